"""Modern 05: grouped-query attention, in which several heads share their keys and values.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m5   or   uv run tutor book m5
Check:   pixi run m05   or   uv run tutor check m5

Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", section 2.2.
"""

import math
from collections.abc import Callable

from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor

from steps.modern_01 import LlamaConfig
from steps.modern_02 import RMSNorm
from steps.modern_04 import rotate

Remember = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # 2 [B, G, T, D] -> 2 [B, G, S, D]


class LlamaAttention(Module[..., Tensor]):
    """softmax(query key^T / sqrt(D) + mask) value; H heads share the keys and values of G groups.

    A cache comes as `remember`: it is handed the new keys and values, and returns those of all S
    positions so far, [B, G, T, D] -> [B, G, S, D].
    Shape: [B, T, C], cos and sin [B, T, D / 2], mask [B, T, S] -> [B, T, C].
    """

    def __init__(self, config: LlamaConfig) -> None:
        # TODO: Keep the config. Make q_proj for H heads of D numbers, and k_proj and v_proj for G
        #   groups, each with a bias if the config has qkv_bias; and o_proj, back to C, without one.
        # TODO: If the config has qk_norm, make q_norm and k_norm: each norms one head, with the
        #   config's rms_norm_eps.
        raise NotImplementedError("modern 05: LlamaAttention.__init__")

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, remember: Remember | None = None
    ) -> Tensor:
        # TODO: Project x to queries, keys and values, and split these into H heads or G groups.
        # TODO: Normalize queries and keys if there are norms, and only then rotate both.
        # TODO: If there is a cache, hand it the new keys and values, and attend to all it returns.
        # TODO: Attend to them, and let o_proj mix the heads.
        raise NotImplementedError("modern 05: LlamaAttention.forward")

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """[B, H, T, D], 2 [B, G, S, D], mask [B, T, S] -> [B, T, H D]."""
        # TODO: Stack the queries of the R = H / G heads of a group to [B, G, R T, D], so that they
        #   meet its keys in one product.
        # TODO: Take the heads apart to add the mask, which is the same for all, and to take the
        #   softmax.
        # TODO: Stack them again to mix the values; then put the heads side by side for o_proj.
        raise NotImplementedError("modern 05: LlamaAttention._attend")

    def _split(self, x: Tensor) -> Tensor:
        """Heads of D numbers each, before the tokens: [B, T, n D] -> [B, n, T, D]."""
        # TODO: Give each head an axis of its own, and swap it with the tokens.
        raise NotImplementedError("modern 05: LlamaAttention._split")
