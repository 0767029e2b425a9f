"""Engine 04: a KV cache, so that a token costs the same however long the text is.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e4   or   uv run tutor book e4
Check:   pixi run e04   or   uv run tutor check e4

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 2.
"""

from typing import Any

import numpy as np
from max.driver import CPU, Buffer, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, DeviceRef, Dim, TensorValue

from steps.engine_02 import Tokens
from steps.engine_03 import Floats, attend, positions_and_mask, split_heads
from steps.step_10 import MaxGPT2LMHeadModel


def linear(layer: Linear, x: Tensor) -> Tensor:
    """The layer's x W^T + b, or W x + b for a single column: [B, N, in] -> [B, N, out].

    MAX multiplies a matrix by one column twice as fast as one row by a matrix.
    """
    # TODO: Leave it to the layer, unless the graph is for one column of one row.
    raise NotImplementedError("engine 04: linear")


def remember(cache: Tensor, new: Tensor, length: Dim) -> Tensor:
    """Write new columns into a cache as the last of `length`, and take all of these.

    Shape: [B, H, n_positions, D], [B, H, N, D] -> [B, H, T, D].
    """
    # TODO: Write them in place, to (slice(begin, end), count) on the axis of the columns; MAX wants
    #   the two bounds as values of the graph, TensorValue(Tensor.from_dim(…)).
    # TODO: Take the columns up to the last new one.
    raise NotImplementedError("engine 04: remember")


class GPT2CachedHead(Module[..., Tensor]):
    """The logits after S of N new columns, in float32; the caches hold the other T - N columns.

    Shape: [B, N] int64, [B, N] int64, [B, N, T], [S] int64, which of the N columns to score, and
    2 n_layer [B, H, n_positions, D] -> [B, S, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model; the head has no weights of its own.
        raise NotImplementedError("engine 04: GPT2CachedHead.__init__")

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, scored: Tensor, *caches: Tensor
    ) -> Tensor:
        # TODO: Do as GPT2BatchHead does, but multiply with linear of this step, and attend to all
        #   that each block remembers: the caches are for the keys of each block, then for the
        #   values.
        # TODO: In the last block, continue with the scored columns alone: nothing needs the others.
        # TODO: Score the vocabulary after these columns.
        raise NotImplementedError("engine 04: GPT2CachedHead.forward")


class CachedModel:
    """In place of BatchModel: it computes only the columns that it was not shown before."""

    def __init__(self, model: Any, *, device: Device | None = None) -> None:
        # TODO: Keep the config, the device, and the dtype of the weights, which the caches share.
        # TODO: Compile two graphs with the same weights: one for any number of rows, of new
        #   columns, and of scored ones, and one for a single column of a single row.
        # TODO: Remember what was shown last: nothing, and no rows.
        raise NotImplementedError("engine 04: CachedModel.__init__")

    def _compile(self, head: Any, batch: int | str, new: int | str, scored: int | str) -> Any:
        """The head compiled for so many rows, new columns, and scored ones; a name means any."""
        # TODO: A cache is a BufferType, which the graph can write to.
        raise NotImplementedError("engine 04: CachedModel._compile")

    def make_head(self, model: Any) -> Module[..., Tensor]:
        """The head for such a model; another architecture has another one."""
        # TODO: Make the head of this step.
        raise NotImplementedError("engine 04: CachedModel.make_head")

    def cache_shape(self, batch: int | str) -> list[Any]:
        """The shape of all caches together: [2 n_layer, B, H, n_positions, D]."""
        # TODO: Take the sizes from the config; the number of rows can be a name, which means any.
        raise NotImplementedError("engine 04: CachedModel.cache_shape")

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats:
        # TODO: Score the last column alone.
        raise NotImplementedError("engine 04: CachedModel.__call__")

    def score(self, input_ids: Tokens, start: Tokens, count: int) -> Floats:
        """The logits after each of the last `count` columns: [B, T], [B] -> [B, count, V]."""
        # TODO: Make new caches for another number of rows; nothing is read there before it is
        #   written.
        # TODO: Show a head the columns that are not in the caches, and those to score in any case,
        #   with their positions and mask.
        # TODO: Remember a copy of what was shown.
        raise NotImplementedError("engine 04: CachedModel.score")

    def _count_known(self, input_ids: Tokens, start: Tokens) -> int:
        """How many columns are as before, from the first one on."""
        # TODO: None are in rows that start elsewhere than before.
        raise NotImplementedError("engine 04: CachedModel._count_known")
