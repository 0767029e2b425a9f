"""Modern 03: SwiGLU, an MLP with a gate.

Source: Shazeer, "GLU Variants Improve Transformer", section 2.
"""

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor


class LlamaMLP(Module[[Tensor], Tensor]):
    """Widen twice, let one half gate the other, narrow: down_proj(silu(gate_proj(x)) * up_proj(x)).

    Shape: [B, T, C] -> [B, T, C].
    """

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        # Make gate_proj and up_proj, from hidden_size to intermediate_size, and down_proj, back
        # again; none of them has a bias.
        self.gate_proj = Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Compute the gate: SiLU of gate_proj of x.
        gate = F.silu(self.gate_proj(x))  # [B, T, C] -> [B, T, L]
        # Multiply it with up_proj of x, number by number, and narrow the product with down_proj.
        return self.down_proj(gate * self.up_proj(x))  # [B, T, L] -> [B, T, C]
