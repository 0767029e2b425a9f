"""Step 04: the MLP, which works on every position by itself.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 4   or   uv run tutor book 4
Check:   pixi run s04   or   uv run tutor check 4

Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", section 2.
"""

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config


class GPT2MLP(Module[[Tensor], Tensor]):
    """Widen, bend, narrow: c_proj(gelu(c_fc(x))). Shape: [B, T, C] -> [B, T, C]."""

    def __init__(self, intermediate_size: int, config: GPT2Config) -> None:
        # TODO: Make c_fc, from n_embd to intermediate_size, and c_proj, back again.
        raise NotImplementedError("step 04: GPT2MLP.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Widen with c_fc.
        # TODO: Apply GELU in its tanh approximation, the one that GPT-2 was trained with.
        # TODO: Narrow with c_proj.
        raise NotImplementedError("step 04: GPT2MLP.forward")
