"""Modern 08: a cache of the groups, with which engine 04 runs a Llama.

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 3.3.
"""

from typing import Any

from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor

from solutions.engine_04 import CachedModel, remember
from solutions.modern_05 import Remember
from solutions.modern_06 import MaxLlamaLMHeadModel


class LlamaCachedHead(Module[..., Tensor]):
    """The logits after S of N new columns, in float32; the caches hold the other T - N columns.

    Shape: [B, N] int64, [B, N] int64, [B, N, T], [S] int64, which of the N columns to score, and
    2 num_hidden_layers [B, G, n_positions, D] -> [B, S, V].
    """

    def __init__(self, model: MaxLlamaLMHeadModel) -> None:
        # Keep the model; the head has no weights of its own.
        self.model = model

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, scored: Tensor, *caches: Tensor
    ) -> Tensor:
        # The caches are for the keys of each layer, then for the values. Give each layer a memory
        # that writes to its own two.
        layers, length = len(caches) // 2, mask.shape[-1]
        pairs = zip(caches[:layers], caches[layers:], strict=True)
        memories = [self._memory(keys, values, length) for keys, values in pairs]
        # Run the model with these, and score the vocabulary after the scored columns alone.
        x = self.model.model(input_ids, positions, mask, memories)
        return self.model.lm_head(F.gather(x, scored, axis=1)).cast(DType.float32)

    def _memory(self, keys: Tensor, values: Tensor, length: Any) -> Remember:
        """What remembers the keys and values of one layer in these two caches."""
        # Return a function of new keys and values that writes each with engine 04's remember.
        return lambda key, value: (remember(keys, key, length), remember(values, value, length))


class LlamaCachedModel(CachedModel):
    """Engine 04's CachedModel, for a Llama."""

    def make_head(self, model: Any) -> Module[..., Tensor]:
        """The head of a Llama."""
        # Make the head of this step.
        return LlamaCachedHead(model)

    def cache_shape(self, batch: int | str) -> list[Any]:
        """The shape of all caches together: [2 num_hidden_layers, B, G, n_positions, D]."""
        # Take the sizes from the config; a cache has one row for each group, not for each head.
        config = self.config
        sizes = [config.num_key_value_heads, config.n_positions, config.head_dim]
        return [2 * config.num_hidden_layers, batch, *sizes]
