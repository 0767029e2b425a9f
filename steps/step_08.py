"""Step 08: the transformer block.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 8   or   uv run tutor book 8
Check:   pixi run s08   or   uv run tutor check 8

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from max.experimental.nn import Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config
from steps.step_03 import LayerNorm
from steps.step_04 import GPT2MLP
from steps.step_07 import GPT2MultiHeadAttention


class GPT2Block(Module[[Tensor], Tensor]):
    """Attention, then the MLP; each reads a normalized copy of x, and its output is added to x.

    Shape: [B, T, C] -> [B, T, C].
    """

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Make ln_1 and attn, then ln_2 and mlp; the norms use layer_norm_epsilon.
        raise NotImplementedError("step 08: GPT2Block.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Normalize x with ln_1, run attn on it, and add the output to x.
        # TODO: Normalize the result with ln_2, run mlp on it, and add the output to it.
        raise NotImplementedError("step 08: GPT2Block.forward")
