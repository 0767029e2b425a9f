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
    """A text: its prompt, how it is drawn, and what has come of it so far.

    Each token of `ends` ends it; `ended` says why it has: "stop", "length", or "cancelled" by
    whoever added it. `cached` counts the tokens in the caches, and so is the next position.
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
        # TODO: Keep the logits, and choose. A token of `ends` ends the text with "stop" and is not
        #   part of it; otherwise the last of max_new_tokens ends it with "length".
        raise NotImplementedError("engine 06: Row.take")


class RunningBatch:
    """Rows side by side, each in a slot; all of them write to the same column of the caches."""

    def __init__(self, model: CachedModel, slots: int) -> None:
        # TODO: Begin with free slots, which see no column, and of the columns none is used.
        # TODO: Make the caches of zeros, with Buffer.from_numpy: a hidden column has the weight 0,
        #   but 0 times what old memory holds may be NaN. (Buffer.zeros clears too late, after a
        #   graph.)
        raise NotImplementedError("engine 06: RunningBatch.__init__")

    def step(self) -> list[Row]:
        """Write one token in each row, also in those of `waiting` that join; returns these rows."""
        # TODO: Free the slot of each row that has ended, or whose window is full. The latter goes
        #   to the front of `waiting`, to join again with the last half of its text.
        # TODO: Decode the rows that stay. Then let others join while a slot is free, but none that
        #   was cancelled while it waited. Let each take its logits.
        raise NotImplementedError("engine 06: RunningBatch.step")

    def _join(self, row: Row, slot: int) -> Floats:
        """Compute the columns of a row that joins, and of no other: its logits, [V]."""
        # TODO: Take what slide leaves of its text, to the columns before `length`. Move `length` if
        #   it is less than that; the others have holes there. If there are no others, begin anew.
        raise NotImplementedError("engine 06: RunningBatch._join")

    def _decode(self) -> dict[Row, Floats]:
        """Compute the next column, one for all rows: the logits of each, [V]."""
        # TODO: If the columns are used up, move those of each row together.
        # TODO: Each row shows its last token at its own position, and sees the column from now on.
        #   Leave out the slots after the last row; nobody looks at free ones between.
        raise NotImplementedError("engine 06: RunningBatch._decode")

    def _move(self) -> None:
        """Close the holes: the columns of each row come together, before a smaller `length`."""
        # TODO: Make `length` that of the longest row. A key knows its position and its column says
        #   nothing, so copy what each row sees, in every cache, and mark where it is now. What
        #   Buffer.to_numpy returns shares the memory of the cache.
        raise NotImplementedError("engine 06: RunningBatch._move")

    def _run(self, first: int, ids: Tokens, positions: Tokens) -> Floats:
        """The logits after the last new column, in the slots from `first` on: [B, N] -> [B, V]."""
        # TODO: A new column sees those of its row, but none after itself. Give the head views of
        #   the caches, so that it writes to these slots only.
        raise NotImplementedError("engine 06: RunningBatch._run")
