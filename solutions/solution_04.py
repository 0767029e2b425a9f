"""Step 04: the MLP, which works on every position by itself.

Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", section 2.
"""

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config


class GPT2MLP(Module[[Tensor], Tensor]):
    """Widen, bend, narrow: c_proj(gelu(c_fc(x))). Shape: [B, T, C] -> [B, T, C]."""

    def __init__(self, intermediate_size: int, config: GPT2Config) -> None:
        # Make c_fc, from n_embd to intermediate_size, and c_proj, back again.
        self.c_fc = Linear(config.n_embd, intermediate_size)
        self.c_proj = Linear(intermediate_size, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        # Widen with c_fc.
        x = self.c_fc(x)  # [B, T, C] -> [B, T, L]
        # Apply GELU in its tanh approximation, the one that GPT-2 was trained with.
        x = F.gelu(x, approximate="tanh")
        # Narrow with c_proj.
        return self.c_proj(x)  # [B, T, L] -> [B, T, C]
