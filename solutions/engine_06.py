"""Engine 06: continuous batching, where texts join and leave between any two tokens.

Source: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from max.driver import Buffer
from max.experimental.tensor import Tensor

from solutions.engine_02 import Sampling, Tokens, choose
from solutions.engine_03 import HIDDEN, Floats, slide
from solutions.engine_04 import CachedModel


@dataclass(eq=False)
class Row:
    """A text: its prompt, how to draw it, and the tokens so far.

    Any token of `ends` ends it; `ended` says why it has ended: "stop", "length", or "cancelled" by
    whoever added it. `cached` counts its tokens in the caches, so it is also the next position.
    """

    prompt: Sequence[int]
    rng: np.random.Generator
    max_new_tokens: int = 50
    sampling: Sampling = Sampling()
    ends: Sequence[int] = ()
    new: list[int] = field(default_factory=list)
    ended: str = ""
    cached: int = 0

    def take(self, logits: Floats) -> None:
        """Choose the next token by these logits, [V], and note whether it ends the text."""
        # Keep the logits as self.logits, and choose a token. A token of `ends` ends the text with
        # "stop", and is not part of it. Append any other to `new`; the last of max_new_tokens ends
        # the text with "length".
        self.logits, token = logits, int(choose(logits[None], self.sampling, [self.rng])[0])
        if token in self.ends:
            self.ended = "stop"
            return
        self.new.append(token)
        if len(self.new) == self.max_new_tokens:
            self.ended = "length"


class RunningBatch:
    """Rows side by side, each in a slot; all of them write to the same column of the caches."""

    def __init__(self, model: CachedModel, slots: int) -> None:
        # Keep the model. At the start no column is in use (`length` is 0), the list `waiting` is
        # empty, all slots are free (`rows` has None for each), and none sees a column (`seen` has a
        # flag for each slot and column).
        self.model, self.length, self.waiting = model, 0, list[Row]()
        self.rows: list[Row | None] = [None] * slots
        self.seen = np.zeros((slots, model.config.n_positions), bool)
        # Make caches full of zeros, with Buffer.from_numpy: a hidden column has the weight 0, but 0
        # times what old memory holds may be NaN. (Buffer.zeros clears too late, after a graph.)
        count, *shape = model.cache_shape(slots)
        zeros = [np.zeros(shape, model.dtype.to_numpy()) for _ in range(count)]
        self.caches = [Buffer.from_numpy(each).to(model.device) for each in zeros]

    def step(self) -> list[Row]:
        """Write a token in each row, including those of `waiting` that join; returns these rows."""
        # Free the slot of each row that has ended or whose window is full. A row with a full window
        # goes to the front of `waiting`, to join again with the last half of its text.
        for slot, row in enumerate(self.rows):
            if row and (row.ended or row.cached == self.model.config.n_positions):
                self.rows[slot], self.seen[slot] = None, False
                self.waiting[:0] = [] if row.ended else [row]
        # Decode the rows that stay. Then let waiting rows join while a slot is free, but drop those
        # that were cancelled meanwhile. Let each row take its logits.
        logits = self._decode() if any(self.rows) else {}
        while self.waiting and None in self.rows:
            if not (row := self.waiting.pop(0)).ended:
                logits[row] = self._join(row, self.rows.index(None))
        for row in logits:
            row.take(logits[row])
        return list(logits)

    def _join(self, row: Row, slot: int) -> Floats:
        """Compute the columns of a row that joins, and no others; returns its logits, [V]."""
        # Put what slide leaves of its text into the columns that end at `length`. If it doesn't
        # fit, move `length`; the others get holes. If there are no others, start at the left again.
        # Note the slot in `rows`, the columns in `seen`, and how many there are in row.cached.
        text = np.array([[*row.prompt, *row.new]])
        ids, _ = slide(text, np.zeros(1, np.int64), self.model.config.n_positions)
        row.cached = ids.shape[1]
        self.length = max(row.cached, self.length if any(self.rows) else 0)
        self.rows[slot], self.seen[slot, self.length - row.cached : self.length] = row, True
        return self._run(slot, ids, np.arange(row.cached)[None])[0]

    def _decode(self) -> dict[Row, Floats]:
        """Compute the next column of all rows at once; returns the logits of each, [V]."""
        # If the columns are used up, move those of each row together.
        if self.length == self.model.config.n_positions:
            self._move()
        self.length += 1
        # Show each row's last token at its own position; from now on, the row sees this column.
        # Leave out the slots after the last row. Free slots in between don't matter.
        running = [(slot, row) for slot, row in enumerate(self.rows) if row]
        ids, positions = np.zeros((2, running[-1][0] + 1, 1), np.int64)
        for slot, row in running:
            ids[slot], positions[slot] = row.new[-1], row.cached
            self.seen[slot, self.length - 1], row.cached = True, row.cached + 1
        logits = self._run(0, ids, positions)
        return {row: logits[slot] for slot, row in running}

    def _move(self) -> None:
        """Close the holes: move the columns of each row together, and make `length` smaller."""
        # Set `length` to that of the longest row. A key knows its position, whatever its column. So
        # in every cache, copy what each row sees to the columns that end at `length`, and mark
        # those in `seen`. The array of Buffer.to_numpy shares the memory of the cache.
        self.length = max(row.cached for row in self.rows if row)
        for slot, row in enumerate(self.rows):
            count = row.cached if row else 0
            place = slice(self.length - count, self.length)
            for cache in map(Buffer.to_numpy, self.caches):
                cache[slot][:, place] = cache[slot][:, self.seen[slot]]
            self.seen[slot], self.seen[slot, place] = False, True

    def _run(self, first: int, ids: Tokens, positions: Tokens) -> Floats:
        """The logits after the last new column, in the slots from `first` on: [B, N] -> [B, V]."""
        # A new column sees the columns of its row, but none after itself. Give the head views of
        # the caches, so that it writes to these slots only.
        slots, keys = slice(first, first + len(ids)), np.arange(self.length)
        visible = self.seen[slots, None, : self.length] & (keys <= keys[-ids.shape[1] :, None])
        mask = np.where(visible, 0, HIDDEN).astype(np.float32)  # [B, N, T]
        arrays = ids, positions, mask, np.array([ids.shape[1] - 1])
        tensors = (Tensor.from_dlpack(np.ascontiguousarray(each)) for each in arrays)
        views = (cache[slots, :, :, :] for cache in self.caches)
        return self.model.head(*(x.to(self.model.device) for x in tensors), *views).to_numpy()[:, 0]
