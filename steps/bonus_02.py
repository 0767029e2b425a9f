"""Bonus 02: sampling strategies, and batches of prompts of any lengths.

Task:    fill in every TODO, and take out the line with NotImplementedError below it.
Chapter: book/src/bonus_02.md
Check:   pixi run b02   or   uv run tutor check b2

Source: Fan et al., "Hierarchical Neural Story Generation", section 5.1, for top-k; Holtzman et
al., "The Curious Case of Neural Text Degeneration", section 3.1, for top-p.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor, TensorType
from numpy.typing import NDArray

from steps.bonus_01 import gumbel_sample
from steps.step_01 import GPT2Config
from steps.step_07 import GPT2MultiHeadAttention
from steps.step_10 import MaxGPT2LMHeadModel

Tokens = NDArray[np.int64]

# TODO: Set HIDDEN, which is added to a score to hide it: far enough below 0 to leave a weight of 0,
#   and yet finite, because a column of padding sees nothing, and the softmax of nothing but -inf is
#   NaN.


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn: from softmax(logits / temperature), cut to top-k, then to top-p.

    A temperature of 0 is greedy; a top_k of None and a top_p of 1 keep all tokens.
    Raises ValueError, naming field and value, for what is impossible.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        # TODO: Refuse a temperature that is below 0 or infinite, a top_k below 1, and a top_p that
        #   is not above 0 and at most 1; write it so that NaN is refused as well.
        raise NotImplementedError("bonus 02: Sampling.__post_init__")


def probabilities(logits: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """What each token is drawn with; 0 for those that are cut, and the others sum to 1.

    Shape: [B, V] -> [B, V].
    """
    # TODO: Compute the softmax of logits / temperature, in float64, from logits less their maximum.
    # TODO: If there is a top_k, set all but the top_k largest of each row to 0; let these sum to 1.
    # TODO: If top_p is below 1, sort each row, the likeliest token first, and keep a token as long
    #   as those before it sum to less than top_p, so that the one that crosses it stays. Undo the
    #   sort.
    raise NotImplementedError("bonus 02: probabilities")


def choose(
    logits: NDArray[np.floating], sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Tokens:
    """A token for every row, drawn with the generator of that row. Shape: [B, V] -> [B]."""
    # TODO: Take the likeliest at temperature 0.
    # TODO: Draw each row by itself, so that it does not matter which rows are beside it:
    #   gumbel_sample takes log-probabilities, here [1, V]; the logarithm of 0 is -inf, which is
    #   never drawn.
    raise NotImplementedError("bonus 02: choose")


def left_pad(prompts: Sequence[Sequence[int]]) -> tuple[Tokens, Tokens]:
    """The prompts side by side, so that all end in the last column, and where each starts.

    Shapes: [B, T], [B].
    """
    # TODO: Put each prompt at the right end of its row of zeros; it starts after these.
    raise NotImplementedError("bonus 02: left_pad")


def positions_and_mask(start: Tokens, length: int, new: int) -> tuple[Tokens, NDArray[np.float32]]:
    """Positions of the last `new` of `length` columns, and what they see: 0, or else HIDDEN.

    Each row counts from its start. Shapes: [B] -> [B, new], [B, new, length].
    """
    # TODO: Number the new columns from the start of each row; padding before it gets position 0.
    # TODO: Hide from each new column the ones after it, and the padding of its row.
    raise NotImplementedError("bonus 02: positions_and_mask")


class GPT2BatchHead(Module[[Tensor, Tensor, Tensor], Tensor]):
    """The logits after the last column, in float32, for given positions and a given mask.

    Shape: [B, T] int64, [B, T] int64, [B, T, T] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # TODO: Keep the model: its weights are the only ones.
        raise NotImplementedError("bonus 02: GPT2BatchHead.__init__")

    def forward(self, input_ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        # TODO: Do as the model does, but with these positions, and this mask in each attention.
        # TODO: Score the vocabulary after the last column alone.
        raise NotImplementedError("bonus 02: GPT2BatchHead.forward")

    def _attend(self, attention: GPT2MultiHeadAttention, x: Tensor, mask: Tensor) -> Tensor:
        """The attention of step 07 with another mask. Shape: [B, T, C] -> [B, T, C]."""
        # TODO: Split what c_attn makes of x into queries, keys and values, and each of these into
        #   heads.
        # TODO: Score queries against keys, add the mask, the same for all heads, and mix the
        #   values.
        # TODO: Put the heads side by side again, and let c_proj mix them.
        raise NotImplementedError("bonus 02: GPT2BatchHead._attend")


class BatchModel:
    """The head compiled, with its config: left-padded ids and starts -> logits [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # TODO: Keep the config and the device, and compile the head for any batch and length.
        raise NotImplementedError("bonus 02: BatchModel.__init__")

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:
        # TODO: Give the head the ids, positions and mask of all columns, as contiguous arrays.
        raise NotImplementedError("bonus 02: BatchModel.__call__")


class NextToken(Protocol):
    """What generation needs of a model: left-padded ids [B, T], starts [B] -> logits [B, V]."""

    config: GPT2Config

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]: ...


def slide(input_ids: Tokens, start: Tokens, n_positions: int) -> tuple[Tokens, Tokens]:
    """What the rows see: all they have; the last n_positions / 2 once that exceeds n_positions.

    Half is rounded up. So a window moves once in half its length, and a cache holds until then.
    Shapes: [B, T], [B] -> [B, T'], [B].
    """
    # TODO: Move the start of the rows that are too long; leave out the columns that no row sees.
    raise NotImplementedError("bonus 02: slide")


def stream_tokens(
    model: NextToken,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int = 50,
    sampling: Sampling = Sampling(),
    *,
    seeds: Sequence[int],
    stop: int | None = None,
) -> Iterator[Tokens]:
    """Yield the next token of every row, [B]; a row that has come to `stop` repeats it.

    Row i is drawn with a generator from seeds[i]. Ends when all rows have come to `stop`.
    """
    # TODO: Make a generator for each row, before the loop.
    # TODO: Choose the next tokens by what the rows see now.
    # TODO: Let the rows that have ended repeat `stop`; end when all have.
    raise NotImplementedError("bonus 02: stream_tokens")


def generate_batch(
    model: NextToken,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int = 50,
    sampling: Sampling = Sampling(),
    *,
    seeds: Sequence[int],
    stop: int | None = None,
) -> list[list[int]]:
    """The new tokens of every row, up to its `stop`, which is left out."""
    # TODO: Collect the tokens of each row, and cut it at its first stop.
    raise NotImplementedError("bonus 02: generate_batch")
