"""Modern 08: a cache of the groups, with which engine 04 runs a Llama.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m8   or   uv run tutor book m8
Check:   pixi run m08   or   uv run tutor check m8

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 3.3.
"""

from typing import Any

from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor

from steps.engine_04 import CachedModel, remember
from steps.modern_05 import Remember
from steps.modern_06 import MaxLlamaLMHeadModel


class LlamaCachedHead(Module[..., Tensor]):
    """The logits after S of N new columns, in float32; the caches hold the other T - N columns.

    Shape: [B, N] int64, [B, N] int64, [B, N, T], [S] int64, which of the N columns to score, and
    2 num_hidden_layers [B, G, n_positions, D] -> [B, S, V].
    """

    def __init__(self, model: MaxLlamaLMHeadModel) -> None:
        # TODO: Keep the model; the head has no weights of its own.
        raise NotImplementedError("modern 08: LlamaCachedHead.__init__")

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, scored: Tensor, *caches: Tensor
    ) -> Tensor:
        # TODO: The caches are for the keys of each layer, then for the values. Give each layer a
        #   memory that writes to its own two.
        # TODO: Run the model with these, and score the vocabulary after the scored columns alone.
        raise NotImplementedError("modern 08: LlamaCachedHead.forward")

    def _memory(self, keys: Tensor, values: Tensor, length: Any) -> Remember:
        """What remembers the keys and values of one layer in these two caches."""
        # TODO: Return a function of new keys and values that writes each with engine 04's remember.
        raise NotImplementedError("modern 08: LlamaCachedHead._memory")


class LlamaCachedModel(CachedModel):
    """Engine 04's CachedModel, for a Llama."""

    def make_head(self, model: Any) -> Module[..., Tensor]:
        """The head of a Llama."""
        # TODO: Make the head of this step.
        raise NotImplementedError("modern 08: LlamaCachedModel.make_head")

    def cache_shape(self, batch: int | str) -> list[Any]:
        """The shape of all caches together: [2 num_hidden_layers, B, G, n_positions, D]."""
        # TODO: Take the sizes from the config; a cache has one row for each group, not for each
        #   head.
        raise NotImplementedError("modern 08: LlamaCachedModel.cache_shape")
