"""Engine 03: many texts at a time, from prompts of any lengths.

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

from solutions.engine_02 import Sampling, Tokens, choose
from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel

Floats = NDArray[np.float32]
Prompts = Sequence[Sequence[int]]

# Set HIDDEN, which is added to a score to hide it: far enough below 0 to leave a weight of 0, but
# finite, because a column of padding sees nothing, and the softmax of nothing but -inf is NaN.
HIDDEN = -1e9


def left_pad(prompts: Prompts) -> tuple[Tokens, Tokens]:
    """The prompts, all ending in the last column, and where each starts. Shapes: [B, T], [B]."""
    # Put zeros before the shorter prompts, until all are as long as the longest one.
    length = max(map(len, prompts))
    start = [length - len(prompt) for prompt in prompts]
    rows = [[0] * first + [*prompt] for first, prompt in zip(start, prompts, strict=True)]
    return np.array(rows, dtype=np.int64), np.array(start, dtype=np.int64)


def positions_and_mask(start: Tokens, length: int, new: int) -> tuple[Tokens, Floats]:
    """Positions of the last `new` of `length` columns, and their mask: 0 if seen, else HIDDEN.

    Shapes: [B] -> [B, new], [B, new, length].
    """
    # Number the new columns from the start of their row; padding before it gets position 0.
    keys = np.arange(length)
    queries = keys[length - new :]
    positions = np.maximum(queries - start[:, None], 0)
    # Hide from each new column the ones after it, and the padding of its row.
    hidden = (keys > queries[:, None]) | (keys < start[:, None, None])  # [B, new, length]
    return positions, np.where(hidden, HIDDEN, 0).astype(np.float32)


def split_heads(projected: Tensor, n_head: int) -> list[Tensor]:
    """Queries, keys and values of all heads. Shape: [B, N, 3C] -> 3 [B, H, N, D]."""
    # Split the last axis into three parts, and each part into heads; put these before the columns.
    batch, new, width = projected.shape
    parts = F.split(projected, [width // 3] * 3, axis=-1)
    shape = batch, new, n_head, width // 3 // n_head
    return [part.reshape(shape).transpose(1, 2) for part in parts]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(D) + mask) value, with the heads side by side again.

    Shape: [B, H, N, D], 2 [B, H, T, D], [B, 1, N, T] -> [B, N, C].
    """
    # Score every query against every key, and add the mask. The mask is float32, so cast the
    # softmax back to the dtype of the values. Mix the values, and put the heads side by side.
    batch, n_head, new, head_dim = query.shape
    scores = query @ key.transpose(-1, -2) / math.sqrt(int(head_dim))
    mixed = F.softmax(scores + mask).cast(value.dtype) @ value  # [B, H, N, T] @ [B, H, T, D]
    return mixed.transpose(1, 2).reshape([batch, new, n_head * head_dim])


class GPT2BatchHead(Module[[Tensor, Tensor, Tensor], Tensor]):
    """The logits after the last column, in float32, for given positions and a given mask.

    Shape: [B, T] int64, [B, T] int64, [B, T, T] -> [B, V].
    """

    def __init__(self, model: MaxGPT2LMHeadModel) -> None:
        # Keep the model; the head has no weights of its own.
        self.model = model

    def forward(self, input_ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        # Run the model as it is, but with these positions, and attend with this mask, which needs
        # an axis for the heads.
        body, mask = self.model.transformer, mask.unsqueeze(1)  # [B, T, T] -> [B, 1, T, T]
        x = body.wte(input_ids) + body.wpe(positions)
        for block in body.h:
            projected = block.attn.c_attn(block.ln_1(x))  # [B, T, C] -> [B, T, 3C]
            query, key, value = split_heads(projected, self.model.config.n_head)
            x = x + block.attn.c_proj(attend(query, key, value, mask))
            x = x + block.mlp(block.ln_2(x))
        # Score the vocabulary after the last column alone.
        last = body.ln_f(x[:, -1])  # [B, T, C] -> [B, C]
        return self.model.lm_head(last).cast(DType.float32)


class BatchModel:
    """The head compiled, with its config: left-padded ids and starts -> logits [B, V]."""

    def __init__(self, model: MaxGPT2LMHeadModel, *, device: Device | None = None) -> None:
        # Keep the config and the device, and compile the head for any batch and length.
        self.config, self.device = model.config, device or CPU()
        tokens = TensorType(DType.int64, ["batch", "length"], device=self.device)
        mask = TensorType(DType.float32, ["batch", "length", "length"], device=self.device)
        self.head = GPT2BatchHead(model).compile(tokens, tokens, mask)

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats:
        # Give the head the ids, positions and mask of all columns, as contiguous arrays.
        length = input_ids.shape[1]
        arrays = input_ids, *positions_and_mask(start, length, length)
        tensors = (Tensor.from_dlpack(np.ascontiguousarray(array)) for array in arrays)
        return self.head(*(x.to(self.device) for x in tensors)).to_numpy()


class NextToken(Protocol):
    """What generation needs of a model: left-padded ids [B, T], starts [B] -> logits [B, V]."""

    config: GPT2Config

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> Floats: ...


def slide(input_ids: Tokens, start: Tokens, n_positions: int) -> tuple[Tokens, Tokens]:
    """What each row sees: all of it, or its last n_positions / 2 tokens once it is too long.

    Half is rounded up. A window moves this far at a time so that a cache is good for many tokens.
    Shapes: [B, T], [B] -> [B, T'], [B].
    """
    # Move the start of each row that is longer than n_positions; drop columns that no row sees.
    length = input_ids.shape[1]
    start = np.where(length - start > n_positions, length - (n_positions + 1) // 2, start)
    first = start.min()
    return input_ids[:, first:], start - first


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
    # Make a generator for each row, once, before the loop.
    rngs = [np.random.default_rng(seed) for seed in seeds]
    input_ids, start = left_pad(prompts)
    ended = np.zeros(len(prompts), dtype=bool)
    for _ in range(max_new_tokens):
        # Let the rows slide, ask the model, and choose the next tokens.
        input_ids, start = slide(input_ids, start, model.config.n_positions)
        next_ids = choose(model(input_ids, start), sampling, rngs)
        # Let each row that has ended repeat `stop`. Yield the tokens, and end once all rows have.
        if stop is not None:
            next_ids = np.where(ended, stop, next_ids)
            ended |= next_ids == stop
        yield next_ids
        if ended.all():
            return
        input_ids = np.append(input_ids, next_ids[:, None], axis=1)  # [B, T] -> [B, T + 1]


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
    # Collect the tokens of each row, and cut it at its first stop.
    rows: list[list[int]] = [[] for _ in prompts]
    for next_ids in stream_tokens(model, prompts, max_new_tokens, sampling, seeds=seeds, stop=stop):
        for row, token in zip(rows, next_ids.tolist(), strict=True):
            row.append(token)
    return [row[: row.index(stop)] if stop in row else row for row in rows]
