"""Engine 06: continuous batching, where texts join and leave between any two tokens.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read e6   or   uv run tutor book e6
Check:   pixi run e06   or   uv run tutor check e6

Source: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from max.driver import Buffer
from max.experimental.tensor import Tensor

from steps.engine_02 import Sampling, Tokens, choose
from steps.engine_03 import HIDDEN, Floats, slide
from steps.engine_04 import CachedModel


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
        # TODO: Keep the logits as self.logits, and choose a token. A token of `ends` ends the text
        #   with "stop", and is not part of it. Append any other to `new`; the last of
        #   max_new_tokens ends the text with "length".
        raise NotImplementedError("engine 06: Row.take")


class RunningBatch:
    """Rows side by side, each in a slot; all of them write to the same column of the caches."""

    def __init__(self, model: CachedModel, slots: int) -> None:
        # TODO: Keep the model. At the start no column is in use (`length` is 0), the list `waiting`
        #   is empty, all slots are free (`rows` has None for each), and none sees a column (`seen`
        #   has a flag for each slot and column).
        # TODO: Make caches full of zeros, with Buffer.from_numpy: a hidden column has the weight 0,
        #   but 0 times what old memory holds may be NaN. (Buffer.zeros clears too late, after a
        #   graph.)
        raise NotImplementedError("engine 06: RunningBatch.__init__")

    def step(self) -> list[Row]:
        """Write a token in each row, including those of `waiting` that join; returns these rows."""
        # TODO: Free the slot of each row that has ended or whose window is full. A row with a full
        #   window goes to the front of `waiting`, to join again with the last half of its text.
        # TODO: Decode the rows that stay. Then let waiting rows join while a slot is free, but drop
        #   those that were cancelled meanwhile. Let each row take its logits.
        raise NotImplementedError("engine 06: RunningBatch.step")

    def _join(self, row: Row, slot: int) -> Floats:
        """Compute the columns of a row that joins, and no others; returns its logits, [V]."""
        # TODO: Put what slide leaves of its text into the columns that end at `length`. If it
        #   doesn't fit, move `length`; the others get holes. If there are no others, start at the
        #   left again. Note the slot in `rows`, the columns in `seen`, and how many there are in
        #   row.cached.
        raise NotImplementedError("engine 06: RunningBatch._join")

    def _decode(self) -> dict[Row, Floats]:
        """Compute the next column of all rows at once; returns the logits of each, [V]."""
        # TODO: If the columns are used up, move those of each row together.
        # TODO: Show each row's last token at its own position; from now on, the row sees this
        #   column. Leave out the slots after the last row. Free slots in between don't matter.
        raise NotImplementedError("engine 06: RunningBatch._decode")

    def _move(self) -> None:
        """Close the holes: move the columns of each row together, and make `length` smaller."""
        # TODO: Set `length` to that of the longest row. A key knows its position, whatever its
        #   column. So in every cache, copy what each row sees to the columns that end at `length`,
        #   and mark those in `seen`. The array of Buffer.to_numpy shares the memory of the cache.
        raise NotImplementedError("engine 06: RunningBatch._move")

    def _run(self, first: int, ids: Tokens, positions: Tokens) -> Floats:
        """The logits after the last new column, in the slots from `first` on: [B, N] -> [B, V]."""
        # TODO: A new column sees the columns of its row, but none after itself. Give the head views
        #   of the caches, so that it writes to these slots only.
        raise NotImplementedError("engine 06: RunningBatch._run")
