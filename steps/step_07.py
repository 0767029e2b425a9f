"""Step 07: multi-head self-attention, where tokens exchange what they know.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 7   or   uv run tutor book 7
Check:   pixi run s07   or   uv run tutor check 7

Source: Vaswani et al., "Attention Is All You Need", section 3.2.
"""

import math

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from steps.step_01 import GPT2Config
from steps.step_02 import causal_mask


class GPT2MultiHeadAttention(Module[[Tensor], Tensor]):
    """softmax(query key^T / sqrt(D) + mask) value, in H heads side by side.

    Shape: [B, T, C] -> [B, T, C].
    """

    def __init__(self, config: GPT2Config) -> None:
        # TODO: Keep n_head and head_dim, the D = C / H numbers that each head works with.
        # TODO: Make c_attn, from n_embd to queries, keys and values side by side, and c_proj, from
        #   n_embd to n_embd.
        raise NotImplementedError("step 07: GPT2MultiHeadAttention.__init__")

    def forward(self, x: Tensor) -> Tensor:
        # TODO: Project x with c_attn and split the result into queries, keys and values.
        # TODO: Split each of them into heads.
        # TODO: Score every query against every key, divided by the root of head_dim.
        # TODO: Add the causal mask, in the dtype and on the device of x.
        # TODO: Turn the scores of each query into weights that sum to 1, and mix the values by
        #   them.
        # TODO: Put the heads side by side again, and let c_proj mix them.
        raise NotImplementedError("step 07: GPT2MultiHeadAttention.forward")

    def _split_heads(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, H, T, D]."""
        # TODO: Cut the last axis into n_head pieces of head_dim; then put the heads before the
        #   positions.
        raise NotImplementedError("step 07: GPT2MultiHeadAttention._split_heads")
