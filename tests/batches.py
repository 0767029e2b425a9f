"""What the suites of engine 02 to 05 compare with, row by row and token by token."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import oracle
from tests.samples import random_tokens, shuffled, sizes
from tutor.check.expectations import expect_close
from tutor.check.sizes import Config

# In each row no two tokens are as likely, and no sum of the likeliest is near a top_p of the suite.
LOGITS = np.array(
    [
        [0.3, 2.9, 1.1, -0.6, 2.2, 0.8, 1.7, -1.4, 0.1],
        [-3.0, -7.1, -8.3, -7.7, -6.4, -9.9, -5.2, -8.8, -6.8],
        [4.25, 4.0, 4.5, 4.1, 4.35, 3.9, 4.65, 4.2, 3.8],
    ]
)[:, shuffled(range(9), seed=7)]
# Probabilities that are lost in a sum with 1.
RARE = np.array([[0.0, -45.0, -60.0], [-30.0, 0.0, -70.0]])[:, shuffled(range(3), seed=8)]

COUNT = 12  # tokens that the stand-in for a model knows
# In an order that begins with 0, which is false; after each token comes the next one, surely.
TOKENS = np.array([0, *shuffled(range(1, COUNT), seed=9)])
CHAIN = 50 * np.roll(np.eye(COUNT), 1, axis=1)[np.ix_(TOKENS.argsort(), TOKENS.argsort())]


def expect_ids(what: str, got: Any, expected: Any) -> None:
    """Expect token ids, positions or starts, each of them right."""
    expect_close(what, got, np.array(expected), 0, dtype=np.int64)


def shares(
    logits: oracle.Array, temperature: float = 1, top_k: int | None = None, top_p: float = 1
) -> oracle.Array:
    """The probabilities of the tokens of one row."""
    whole = oracle.softmax(logits.astype(np.float32) / np.float64(temperature))
    ranked = sorted(range(len(whole)), key=lambda token: -whole[token])[:top_k]
    kept: list[int] = []
    for token in ranked:
        if top_p < 1 and whole[kept].sum() / whole[ranked].sum() >= top_p:
            break
        kept.append(token)
    cut = np.zeros_like(whole)
    cut[kept] = whole[kept] / whole[kept].sum()
    return cut


def visible(start: list[int], length: int, new: int) -> NDArray[np.bool_]:
    """Whether a new column sees a column, in each row: none after it, and no padding."""
    columns = range(length)
    return np.array(
        [
            [[first <= key <= query for key in columns] for query in columns[-new:]]
            for first in start
        ]
    )


def attend(
    query: oracle.Array, key: oracle.Array, value: oracle.Array, mask: oracle.Array
) -> oracle.Array:
    """The values mixed, and the heads side by side. Shape: [B, H, N, D], … -> [B, N, C]."""
    batch, heads, new, head_dim = query.shape
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(head_dim) + mask
    mixed = oracle.softmax(scores) @ value
    return mixed.swapaxes(1, 2).reshape(batch, new, heads * head_dim)


class Batch:
    """Prompts of several lengths, side by side; what the padding holds can be anything."""

    def __init__(self, config: Config, lengths: list[int]) -> None:
        self.config, length = config, max(lengths)
        self.start = length - np.array(lengths)
        self.ids = random_tokens(config, len(lengths), length)
        positions = random_tokens(config, len(lengths), length, seed=4) % config.n_positions
        for row, first in enumerate(self.start):
            positions[row, first:] = range(length - first)
        mask = np.where(visible(self.start.tolist(), length, length), 0, -1e9)
        self.inputs = [self.ids, positions, mask]

    def logits(self, weights: oracle.Weights) -> oracle.Array:
        """Those after the last token of each row, by itself."""
        return last_logits(weights, self.ids, self.start, self.config)[:, 0]


def last_logits(
    weights: oracle.Weights,
    ids: oracle.Tokens,
    start: oracle.Tokens,
    config: Config,
    count: int = 1,
) -> oracle.Array:
    """The logits after the last `count` columns, of each row by itself: [B, T] -> [B, count, V]."""
    rows = [row[None, first:] for row, first in zip(ids, start, strict=True)]
    logits = [oracle.lm_head_model(weights, row, **sizes(config))[:, -count:] for row in rows]
    return np.concatenate(logits)


def greedy_logits(
    weights: oracle.Weights, prompt: list[int], count: int, config: Config
) -> Iterator[oracle.Array]:
    """The logits of which each likeliest token is one, [V].

    Once there are more tokens than n_positions, the last half of these is seen.
    """
    ids, first, limit = list(prompt), 0, config.n_positions
    for _ in range(count):
        if len(ids) - first > limit:
            first = len(ids) - (limit + 1) // 2
        [[logits]] = last_logits(weights, np.array([ids]), np.array([first]), config)
        ids.append(int(logits.argmax()))
        yield logits


def cache_shape(config: Config, batch: int) -> tuple[int, ...]:
    return batch, config.n_head, config.n_positions, config.n_embd // config.n_head


def last_half(row: list[int], n_positions: int) -> list[int]:
    """What a row sees: its last half, rounded up, if it is too long."""
    return row[-((n_positions + 1) // 2) :] if len(row) > n_positions else row


def following(prompts: list[list[int]], count: int, table: oracle.Array = CHAIN) -> list[list[int]]:
    """The tokens after each prompt, the likeliest after the one before it."""
    rows: list[list[int]] = [[] for _ in prompts]
    for row, prompt in zip(rows, prompts, strict=True):
        for _ in range(count):
            row.append(int(table[[*prompt, *row][-1]].argmax()))
    return rows


def windows(rows: list[list[int]], count: int, n_positions: int) -> list[list[list[int]]]:
    """What each row sees, turn by turn, when the tokens after it are those of the chain."""
    turns: list[list[list[int]]] = []
    for _ in range(count):
        turns.append([last_half(row, n_positions) for row in rows])
        rows = [[*row, *following([row], 1)[0]] for row in turns[-1]]
    return turns


def columns_until(stop: int | None, rows: list[list[int]]) -> list[list[int]]:
    """The tokens of all rows, turn by turn; a row repeats its stop until all have come to it."""
    columns = [[*column] for column in zip(*rows, strict=True)]
    if stop is None:
        return columns
    lengths = [row.index(stop) + 1 if stop in row else len(row) for row in rows]
    return [
        [token if turn < length else stop for token, length in zip(column, lengths, strict=True)]
        for turn, column in enumerate(columns[: max(lengths)])
    ]


def rounds(
    prompt: list[int], text: list[int], count: int, n_positions: int, right: list[int], most: int
) -> tuple[list[list[int]], list[int]]:
    """What the model sees of a text in each round of guesses, and in which each token is written.

    Of the guesses in a round, at most `most`, so many are right, and the next one is not.
    """
    row, seen, written, turn = prompt, [], list[int](), itertools.cycle(right)
    while len(written) < len(text):
        row = last_half(row, n_positions)
        room = min(count, len(text) - len(written) - 1, n_positions - len(row))
        new = min(room, most, next(turn)) + 1 if room else 1
        seen.append(row)
        row = row + text[len(written) :][:new]
        written += [len(seen)] * new
    return seen, written


class Served:
    """A row of a running batch by itself: what it sees, and what comes of that."""

    def __init__(self, given: dict[str, Any], table: oracle.Array, n_positions: int) -> None:
        self.given, self.table, self.n_positions = given, table, n_positions
        self.rng = np.random.default_rng(given["seed"])
        self.new: list[int] = []
        self.ended, self.window = "", list[int]()

    def step(self) -> list[list[int]]:
        """Take a token; what was seen for it: tokens, positions, and how far each new column."""
        text = [*self.given["prompt"], *self.new]
        joins = not self.window or len(self.window) == self.n_positions
        self.window = last_half(text, self.n_positions) if joins else [*self.window, text[-1]]
        count = len(self.window)
        self.take(self.table[seen_state(self.window) % len(self.table)])
        sights = [*range(1, count + 1)] if joins else [count]
        return [[*self.window], [*range(count)], sights]

    def take(self, logits: oracle.Array) -> None:
        token = drawn(logits, self.rng, **self.given["sampling"])
        if token in self.given.get("ends", []):
            self.ended = "stop"
            return
        self.new.append(token)
        if len(self.new) == self.given.get("max_new_tokens", 50):
            self.ended = "length"


def seen_state(tokens: list[int]) -> int:
    """What the stand-in for the cached head chooses its logits by."""
    return sum((place + 1) * (token + 3) for place, token in enumerate(tokens))


def drawn(
    logits: oracle.Array, rng: np.random.Generator, temperature: float = 1, **cut: Any
) -> int:
    """A token, drawn as engine 02 draws."""
    if temperature == 0:
        return int(logits.argmax())
    noise = rng.standard_exponential(len(logits))
    return int((shares(logits, temperature, **cut) / noise).argmax())


def served(
    rows: list[dict[str, Any]], slots: int, n_positions: int, steps: int, table: oracle.Array
) -> dict[str, Any]:
    """What a running batch has to do with these rows, step by step."""
    texts = [Served(given, table, n_positions) for given in rows]
    waiting, running = list[int](), list[int]()
    made, saw, calls = [], [], []
    for turn in range(steps):
        for number, (text, given) in enumerate(zip(texts, rows, strict=True)):
            if given.get("at", 0) == turn:
                waiting.append(number)
            if given.get("cancel") == turn:
                text.ended = "cancelled"
        running, waiting = (
            [n for n in these if not texts[n].ended] for these in (running, waiting)
        )
        free = slots - len(running)
        running, waiting = running + waiting[:free], waiting[free:]
        seen = [texts[number].step() for number in running]
        made.append(sorted(running))
        saw.append(sorted(seen, key=str))
        joins = sum(sights[0] == 1 for _, _, sights in seen)
        calls.append(joins + (joins < len(seen)))
    ends = [[text.new, text.ended] for text in texts]
    return {"rows": ends, "made": made, "saw": saw, "calls": calls}
