"""Engine 03: many texts at a time, from prompts of any lengths.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e3   or   uv run tutor book e3
Check:   pixi run e03   or   uv run tutor check e3

Source: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models",
section 3, for what makes a batch of texts hard.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor, TensorType
from numpy.typing import NDArray

from steps.engine_02 import Sampling, Tokens, choose
from steps.step_01 import GPT2Config
from steps.step_10 import MaxGPT2LMHeadModel

Floats = NDArray[np.float32]
Prompts = Sequence[Sequence[int]]

# TODO: Set HIDDEN, which is added to a score to hide it: far enough below 0 to leave a weight of 0,
#   but finite, because a column of padding sees nothing, and the softmax of nothing but -inf is
#   NaN.


def left_pad(prompts: Prompts) -> tuple[Tokens, Tokens]:
    """The prompts, all ending in the last column, and where each starts. Shapes: [B, T], [B]."""
    # TODO: Put zeros before the shorter prompts, until all are as long as the longest one.
    raise NotImplementedError("engine 03: left_pad")


def positions_and_mask(start: Tokens, length: int, new: int) -> tuple[Tokens, Floats]:
    """Positions of the last `new` of `length` columns, and their mask: 0 if seen, else HIDDEN.

    Shapes: [B] -> [B, new], [B, new, length].
    """
    # TODO: Number the new columns from the start of their row; padding before it gets position 0.
    # TODO: Hide from each new column the ones after it, and the padding of its row.
    raise NotImplementedError("engine 03: positions_and_mask")


def split_heads(projected: Tensor, n_head: int) -> list[Tensor]:
    """Queries, keys and values of all heads. Shape: [B, N, 3C] -> 3 [B, H, N, D]."""
    # TODO: Split the last axis into three parts, and each part into heads; put these before the
    #   columns.
    raise NotImplementedError("engine 03: split_heads")


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(D) + mask) value, with the heads side by side again.

    Shape: [B, H, N, D], 2 [B, H, T, D], [B, 1, N, T] -> [B, N, C].
    """
    # TODO: Score every query against every key, and add the mask. The mask is float32, so cast the
    #   softmax back to the dtype of the values. Mix the values, and put the heads side by side.
    raise NotImplementedError("engine 03: attend")


class GPT2BatchHead(Module[[Tensor, Tensor, Tensor], Tensor]):
    """The logits after the last column, in float32, for given positions and a given mask.

    Shape: [B, T] int64, [B, T] int64, [B, T, T] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model; the head has no weights of its own.
        raise NotImplementedError("engine 03: GPT2BatchHead.__init__")

    def forward(self, input_ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        # TODO: Run the model as it is, but with these positions, and attend with this mask, which
        #   needs an axis for the heads.
        # TODO: Score the vocabulary after the last column alone.
        raise NotImplementedError("engine 03: GPT2BatchHead.forward")


class BatchModel:
    """The head compiled, with its config: left-padded ids and starts -> logits [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # TODO: Keep the config and the device, and compile the head for any batch and length.
        raise NotImplementedError("engine 03: BatchModel.__init__")

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats:
        # TODO: Give the head the ids, positions and mask of all columns, as contiguous arrays.
        raise NotImplementedError("engine 03: BatchModel.__call__")


class NextToken(Protocol):
    """What generation needs of a model: left-padded ids [B, T], starts [B] -> logits [B, V]."""

    config: GPT2Config

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats: ...


def slide(input_ids: Tokens, start: Tokens, n_positions: int) -> tuple[Tokens, Tokens]:
    """What each row sees: all of it, or its last n_positions / 2 tokens once it is too long.

    Half is rounded up. A window moves this far at a time so that a cache is good for many tokens.
    Shapes: [B, T], [B] -> [B, T'], [B].
    """
    # TODO: Move the start of each row that is longer than n_positions; drop columns that no row
    #   sees.
    raise NotImplementedError("engine 03: slide")


def stream_tokens(
    model: NextToken,
    prompts: Prompts,
    max_new_tokens: int = 50,
    sampling: Sampling = Sampling(),
    *,
    seeds: Sequence[int],
    stop: int | None = None,
) -> Iterator[Tokens]:
    """Yield the next token of every row, [B], drawn with a generator from the seed of that row.

    A row that has reached `stop` repeats it; the stream ends when all rows have.
    """
    # TODO: Make a generator for each row, once, before the loop.
    # TODO: Let the rows slide, ask the model, and choose the next tokens.
    # TODO: Let each row that has ended repeat `stop`. Yield the tokens, and end once all rows have.
    raise NotImplementedError("engine 03: stream_tokens")


def generate_batch(
    model: NextToken,
    prompts: Prompts,
    max_new_tokens: int = 50,
    sampling: Sampling = Sampling(),
    *,
    seeds: Sequence[int],
    stop: int | None = None,
) -> list[list[int]]:
    """The new tokens of every row, up to its `stop`, which is left out."""
    # TODO: Collect the tokens of each row, and cut it at its first stop.
    raise NotImplementedError("engine 03: generate_batch")
