"""Step 07: multi-head self-attention, where tokens exchange what they know.

Source: Vaswani et al., "Attention Is All You Need", section 3.2.
"""

import math

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from solutions.solution_02 import causal_mask


class GPT2MultiHeadAttention(Module[[Tensor], Tensor]):
    """softmax(query key^T / sqrt(D) + mask) value, in H heads side by side.

    Shape: [B, T, C] -> [B, T, C].
    """

    def __init__(self, config: GPT2Config) -> None:
        # Keep n_head and head_dim, the D = C / H numbers that each head works with.
        self.n_head = config.n_head
        self.head_dim = config.n_embd // config.n_head
        # Make c_attn, from n_embd to queries, keys and values side by side, and c_proj, from
        # n_embd to n_embd.
        self.c_attn = Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        # Project x with c_attn and split the result into queries, keys and values.
        batch, length, width = x.shape
        projected = self.c_attn(x)  # [B, T, C] -> [B, T, 3C]
        query, key, value = F.split(projected, [width] * 3, axis=-1)  # [B, T, 3C] -> 3 [B, T, C]
        # Split each of them into heads.
        query, key, value = (self._split_heads(part) for part in (query, key, value))
        # Score every query against every key, divided by the root of head_dim.
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_dim)  # [B, H, T, T]
        # Add the causal mask, in the dtype and on the device of x.
        scores = scores + causal_mask(length, 0, dtype=x.dtype, device=x.device)
        # Turn the scores of each query into weights that sum to 1, and mix the values by them.
        mixed = F.softmax(scores) @ value  # [B, H, T, T] @ [B, H, T, D] -> [B, H, T, D]
        # Put the heads side by side again, and let c_proj mix them.
        merged = mixed.transpose(1, 2).reshape([batch, length, width])  # [B, H, T, D] -> [B, T, C]
        return self.c_proj(merged)

    def _split_heads(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, H, T, D]."""
        # Cut the last axis into n_head pieces of head_dim; then put the heads before the positions.
        batch, length, _ = x.shape
        return x.reshape([batch, length, self.n_head, self.head_dim]).transpose(1, 2)
