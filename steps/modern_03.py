"""Modern 03: SwiGLU, an MLP with a gate.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m3   or   uv run tutor book m3
Check:   pixi run m03   or   uv run tutor check m3

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
        # TODO: Make gate_proj and up_proj, from hidden_size to intermediate_size, and down_proj,
        #   back again; none of them has a bias.
        raise NotImplementedError("modern 03: LlamaMLP.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Compute the gate: SiLU of gate_proj of x.
        # TODO: Multiply it with up_proj of x, number by number, and narrow the product with
        #   down_proj.
        raise NotImplementedError("modern 03: LlamaMLP.forward")
