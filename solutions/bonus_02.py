"""Bonus 02: sampling strategies, and batches of prompts of any lengths.

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

from solutions.bonus_01 import gumbel_sample
from solutions.solution_01 import GPT2Config
from solutions.solution_07 import GPT2MultiHeadAttention
from solutions.solution_10 import MaxGPT2LMHeadModel

Tokens = NDArray[np.int64]

# Set HIDDEN, which is added to a score to hide it: far enough below 0 to leave a weight of 0, and
# yet finite, because a column of padding sees nothing, and the softmax of nothing but -inf is NaN.
HIDDEN = -1e9


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
        # Refuse a temperature that is below 0 or infinite, a top_k below 1, and a top_p that is
        # not above 0 and at most 1; write it so that NaN is refused as well.
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be 0 or more, and finite, but is {self.temperature}"
            )
        if self.top_k is not None and not self.top_k >= 1:
            raise ValueError(f"top_k must be 1 or more, but is {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, but is {self.top_p}")


def probabilities(logits: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """What each token is drawn with; 0 for those that are cut, and the others sum to 1.

    Shape: [B, V] -> [B, V].
    """
    # Compute the softmax of logits / temperature, in float64, from logits less their maximum.
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    weights = np.exp(shifted / sampling.temperature)
    weights /= weights.sum(axis=-1, keepdims=True)
    # If there is a top_k, set all but the top_k largest of each row to 0; let these sum to 1.
    if sampling.top_k is not None:
        rest = np.argsort(-weights, axis=-1)[:, sampling.top_k :]
        np.put_along_axis(weights, rest, 0, axis=-1)
        weights /= weights.sum(axis=-1, keepdims=True)
    # If top_p is below 1, sort each row, the likeliest token first, and keep a token as long as
    # those before it sum to less than top_p, so that the one that crosses it stays. Undo the sort.
    if sampling.top_p < 1:
        order = np.argsort(-weights, axis=-1)
        ranked = np.take_along_axis(weights, order, axis=-1)
        ranked[ranked.cumsum(axis=-1) - ranked >= sampling.top_p] = 0
        np.put_along_axis(weights, order, ranked, axis=-1)
        weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def choose(
    logits: NDArray[np.floating], sampling: Sampling, rngs: Sequence[np.random.Generator]
) -> Tokens:
    """A token for every row, drawn with the generator of that row. Shape: [B, V] -> [B]."""
    # Take the likeliest at temperature 0.
    if sampling.temperature == 0:
        return logits.argmax(axis=-1)
    # Draw each row by itself, so that it does not matter which rows are beside it: gumbel_sample
    # takes log-probabilities, here [1, V]; the logarithm of 0 is -inf, which is never drawn.
    with np.errstate(divide="ignore"):
        log_probs = np.log(probabilities(logits, sampling)).astype(np.float32)
    rows = zip(log_probs[:, None], rngs, strict=True)  # [B, V] -> B [1, V]
    return np.concatenate([gumbel_sample(row, rng) for row, rng in rows])


def left_pad(prompts: Sequence[Sequence[int]]) -> tuple[Tokens, Tokens]:
    """The prompts side by side, so that all end in the last column, and where each starts.

    Shapes: [B, T], [B].
    """
    # Put each prompt at the right end of its row of zeros; it starts after these.
    length = max(len(prompt) for prompt in prompts)
    input_ids = np.zeros((len(prompts), length), dtype=np.int64)
    start = np.array([length - len(prompt) for prompt in prompts], dtype=np.int64)
    for row, first, prompt in zip(input_ids, start, prompts, strict=True):
        row[first:] = prompt
    return input_ids, start


def positions_and_mask(start: Tokens, length: int, new: int) -> tuple[Tokens, NDArray[np.float32]]:
    """Positions of the last `new` of `length` columns, and what they see: 0, or else HIDDEN.

    Each row counts from its start. Shapes: [B] -> [B, new], [B, new, length].
    """
    # Number the new columns from the start of each row; padding before it gets position 0.
    keys = np.arange(length)
    queries = keys[length - new :]
    positions = np.maximum(queries - start[:, None], 0)
    # Hide from each new column the ones after it, and the padding of its row.
    hidden = (keys > queries[:, None]) | (keys < start[:, None, None])  # [B, new, length]
    return positions, np.where(hidden, HIDDEN, 0).astype(np.float32)


class GPT2BatchHead(Module[[Tensor, Tensor, Tensor], Tensor]):
    """The logits after the last column, in float32, for given positions and a given mask.

    Shape: [B, T] int64, [B, T] int64, [B, T, T] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model: its weights are the only ones.
        self.model = model

    def forward(self, input_ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        # Do as the model does, but with these positions, and this mask in each attention.
        body = self.model.transformer
        x = body.wte(input_ids) + body.wpe(positions)
        for block in body.h:
            x = x + self._attend(block.attn, block.ln_1(x), mask)
            x = x + block.mlp(block.ln_2(x))
        # Score the vocabulary after the last column alone.
        last = body.ln_f(x[:, -1])  # [B, T, C] -> [B, C]
        return self.model.lm_head(last).cast(DType.float32)

    def _attend(self, attention: GPT2MultiHeadAttention, x: Tensor, mask: Tensor) -> Tensor:
        """The attention of step 07 with another mask. Shape: [B, T, C] -> [B, T, C]."""
        # Split what c_attn makes of x into queries, keys and values, and each of these into heads.
        batch, length, _ = x.shape
        heads, width = self.model.config.n_head, self.model.config.n_embd
        query, key, value = (
            part.reshape([batch, length, heads, width // heads]).transpose(1, 2)
            for part in F.split(attention.c_attn(x), [width] * 3, axis=-1)
        )
        # Score queries against keys, add the mask, the same for all heads, and mix the values.
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // heads)
        mixed = F.softmax(scores + mask.unsqueeze(1)) @ value  # [B, H, T, T] @ [B, H, T, D]
        # Put the heads side by side again, and let c_proj mix them.
        return attention.c_proj(mixed.transpose(1, 2).reshape([batch, length, width]))


class BatchModel:
    """The head compiled, with its config: left-padded ids and starts -> logits [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # Keep the config and the device, and compile the head for any batch and length.
        self.config, self.device = model.config, device or CPU()
        tokens = TensorType(DType.int64, ["batch", "length"], device=self.device)
        mask = TensorType(DType.float32, ["batch", "length", "length"], device=self.device)
        self.head = GPT2BatchHead(model).compile(tokens, tokens, mask)

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:
        # Give the head the ids, positions and mask of all columns, as contiguous arrays.
        length = input_ids.shape[1]
        arrays = (input_ids, *positions_and_mask(start, length, length))
        inputs = (Tensor.from_dlpack(np.ascontiguousarray(array)) for array in arrays)
        return self.head(*(x.to(self.device) for x in inputs)).to_numpy()


class NextToken(Protocol):
    """What generation needs of a model: left-padded ids [B, T], starts [B] -> logits [B, V]."""

    config: GPT2Config

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]: ...


def slide(input_ids: Tokens, start: Tokens, n_positions: int) -> tuple[Tokens, Tokens]:
    """What the rows see: all they have; the last n_positions / 2 once that exceeds n_positions.

    Half is rounded up. So a window moves once in half its length, and a cache holds until then.
    Shapes: [B, T], [B] -> [B, T'], [B].
    """
    # Move the start of the rows that are too long; leave out the columns that no row sees.
    length = input_ids.shape[1]
    start = np.where(length - start > n_positions, length - (n_positions + 1) // 2, start)
    first = start.min()
    return input_ids[:, first:], start - first


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
    # Make a generator for each row, before the loop.
    rngs = [np.random.default_rng(seed) for seed in seeds]
    input_ids, start = left_pad(prompts)
    ended = np.zeros(len(prompts), dtype=bool)
    for _ in range(max_new_tokens):
        # Choose the next tokens by what the rows see now.
        input_ids, start = slide(input_ids, start, model.config.n_positions)
        next_ids = choose(model(input_ids, start), sampling, rngs)
        # Let the rows that have ended repeat `stop`; end when all have.
        if stop is not None:
            next_ids = np.where(ended, stop, next_ids)
            ended |= next_ids == stop
        yield next_ids
        if ended.all():
            return
        input_ids = np.append(input_ids, next_ids[:, None], axis=1)  # [B, T] -> [B, T + 1]


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
    # Collect the tokens of each row, and cut it at its first stop.
    rows: list[list[int]] = [[] for _ in prompts]
    for next_ids in stream_tokens(model, prompts, max_new_tokens, sampling, seeds=seeds, stop=stop):
        for row, token in zip(rows, next_ids.tolist(), strict=True):
            row.append(token)
    return [row[: row.index(stop)] if stop in row else row for row in rows]
