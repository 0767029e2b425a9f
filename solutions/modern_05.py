"""Modern 05: grouped-query attention, in which several heads share their keys and values.

Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", section 2.2.
"""

import math
from collections.abc import Callable

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from solutions.modern_01 import LlamaConfig
from solutions.modern_02 import RMSNorm
from solutions.modern_04 import rotate

Remember = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # 2 [B, G, T, D] -> 2 [B, G, S, D]


class LlamaAttention(Module[..., Tensor]):
    """softmax(query key^T / sqrt(D) + mask) value; H heads share the keys and values of G groups.

    A cache comes as `remember`: it is handed the new keys and values, and returns those of all S
    positions so far, [B, G, T, D] -> [B, G, S, D].
    Shape: [B, T, C], cos and sin [B, T, D / 2], mask [B, T, S] -> [B, T, C].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # Keep the config. Make q_proj for H heads of D numbers, and k_proj and v_proj for G groups,
        # each with a bias if the config has qkv_bias; and o_proj, back to C, without one.
        self.config = config
        width, bias = config.hidden_size, config.qkv_bias
        heads = config.num_attention_heads * config.head_dim
        groups = config.num_key_value_heads * config.head_dim
        self.q_proj = Linear(width, heads, bias=bias)
        self.k_proj = Linear(width, groups, bias=bias)
        self.v_proj = Linear(width, groups, bias=bias)
        self.o_proj = Linear(heads, width, bias=False)
        # If the config has qk_norm, make q_norm and k_norm: each norms one head, with the
        # config's rms_norm_eps.
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, eps=config.rms_norm_eps)
            self.k_norm = RMSNorm(config.head_dim, eps=config.rms_norm_eps)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, remember: Remember | None = None
    ) -> Tensor:
        # Project x to queries, keys and values, and split these into H heads or G groups.
        query = self._split(self.q_proj(x))  # [B, T, H D] -> [B, H, T, D]
        key = self._split(self.k_proj(x))  # [B, T, G D] -> [B, G, T, D]
        value = self._split(self.v_proj(x))
        # Normalize queries and keys if there are norms, and only then rotate both.
        if self.config.qk_norm:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        # If there is a cache, hand it the new keys and values, and attend to all it returns.
        if remember:
            key, value = remember(key, value)  # [B, G, T, D] -> [B, G, S, D]
        # Attend to them, and let o_proj mix the heads.
        return self.o_proj(self._attend(query, key, value, mask))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """[B, H, T, D], 2 [B, G, S, D], mask [B, T, S] -> [B, T, H D]."""
        # Stack the queries of the R = H / G heads of a group to [B, G, R T, D], so that they meet
        # its keys in one product.
        batch, heads, length, head_dim = query.shape
        groups, seen = key.shape[1:3]
        shared = int(heads) // int(groups)
        stacked = query.reshape([batch, groups, shared * length, head_dim])  # -> [B, G, R T, D]
        scores = stacked @ key.transpose(-1, -2) / math.sqrt(int(head_dim))  # -> [B, G, R T, S]
        # Take the heads apart to add the mask, which is the same for all, and to take the softmax.
        scores = scores.reshape([batch, groups, shared, length, seen])
        weights = F.softmax(scores + mask.unsqueeze(1).unsqueeze(1))  # [B, T, S] -> [B, 1, 1, T, S]
        # Stack them again to mix the values; then put the heads side by side for o_proj.
        mixed = weights.reshape([batch, groups, shared * length, seen]) @ value  # -> [B, G, R T, D]
        mixed = mixed.reshape([batch, heads, length, head_dim]).transpose(1, 2)
        return mixed.reshape([batch, length, heads * head_dim])  # -> [B, T, H D]

    def _split(self, x: Tensor) -> Tensor:
        """Heads of D numbers each, before the tokens: [B, T, n D] -> [B, n, T, D]."""
        # Give each head an axis of its own, and swap it with the tokens.
        batch, length, width = x.shape
        head_dim = self.config.head_dim
        return x.reshape([batch, length, width // head_dim, head_dim]).transpose(1, 2)
