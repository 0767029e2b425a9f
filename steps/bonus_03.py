"""Bonus 03: a KV cache, so that a token costs the same however long the text is.

Task:    fill in every TODO, and take out the line with NotImplementedError below it.
Chapter: book/src/bonus_03.md
Check:   pixi run b03   or   uv run tutor check b3

Source: Pope et al., "Efficiently Scaling Transformer Inference", section 2.
"""

import math
from typing import Any

import numpy as np
from max.driver import CPU, Buffer, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Linear, Module
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, DeviceRef, Dim, TensorValue
from numpy.typing import NDArray

from steps.bonus_02 import Tokens, positions_and_mask
from steps.step_10 import MaxGPT2LMHeadModel


def linear(layer: Linear, x: Tensor) -> Tensor:
    """The layer's x W^T + b, computed as (W x^T)^T + b. Shape: [B, N, in] -> [B, N, out].

    For one token this is a matrix times a column, which MAX does as fast as memory can be read;
    a row times a matrix takes twice as long.
    """
    # TODO: Put all tokens side by side as columns, multiply, and give them the shape of x again.
    raise NotImplementedError("bonus 03: linear")


def remember(cache: Tensor, new: Tensor, length: Dim) -> Tensor:
    """Write new columns into a cache, as the last of `length`, and take all of these.

    Shape: [B, H, n_positions, D], [B, H, N, D] -> [B, H, T, D].
    """
    # TODO: Write them in place, to (slice(begin, end), count) on the axis of the columns; MAX wants
    #   the two bounds as values of the graph, TensorValue(Tensor.from_dim(…)).
    # TODO: Take the columns up to the last new one.
    raise NotImplementedError("bonus 03: remember")


class GPT2CachedHead(Module[..., Tensor]):
    """The logits after the last of N new columns, in float32; the mask is over all T columns.

    The caches, of the keys of each layer and then of the values of each, hold the other T - N
    columns; the new ones are written there.
    Shape: [B, N] int64, [B, N] int64, [B, N, T], 2 n_layer times [B, H, n_positions, D] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model: its weights are the only ones.
        raise NotImplementedError("bonus 03: GPT2CachedHead.__init__")

    def forward(
        self, input_ids: Tensor, positions: Tensor, mask: Tensor, *caches: Tensor
    ) -> Tensor:
        # TODO: Do as the model does, but with linear of this step, and with the keys and values
        #   that each layer remembers. The mask is float32: cast the softmax to the dtype of the
        #   values.
        # TODO: In the last block go on with the last column alone: no one asks for the others.
        # TODO: Score the vocabulary after the last column.
        raise NotImplementedError("bonus 03: GPT2CachedHead.forward")

    def _split_heads(self, projected: Tensor) -> list[Tensor]:
        """Queries, keys and values of all heads. Shape: [B, N, 3C] -> 3 [B, H, N, D]."""
        # TODO: Split the last axis into three, then each into heads.
        raise NotImplementedError("bonus 03: GPT2CachedHead._split_heads")


class CachedModel:
    """The head compiled, with its cache: left-padded ids and starts -> logits [B, V].

    It takes the place of BatchModel: what it was shown before, it does not compute again.
    """

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # TODO: Keep the config, the device, and the dtype of the weights, which the caches share.
        # TODO: Compile the head for any number of rows, of new columns, and of all columns; a cache
        #   is a BufferType, which the graph can write to.
        # TODO: Remember what was shown last: nothing, and no rows.
        raise NotImplementedError("bonus 03: CachedModel.__init__")

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:
        # TODO: Make new caches for another number of rows; nothing is read there before it is
        #   written.
        # TODO: Show the head the columns that the caches do not hold, as contiguous arrays, with
        #   their positions and mask.
        # TODO: Remember a copy of what was shown.
        raise NotImplementedError("bonus 03: CachedModel.__call__")

    def _count_known(self, input_ids: Tokens, start: Tokens) -> int:
        """How many columns need not be computed; the last one always is."""
        # TODO: Count those that are as before, from the first on, in rows that start where they
        #   did.
        raise NotImplementedError("bonus 03: CachedModel._count_known")

    def _cache_shape(self, batch: int | str) -> list[Any]:
        """What a layer keeps of its keys, or of its values: [B, H, n_positions, D]."""
        # TODO: Take the sizes from the config; the number of rows can be a name, for the type of a
        #   cache.
        raise NotImplementedError("bonus 03: CachedModel._cache_shape")
