"""Engine 06, continuous batching: rows that join, leave, slide, and what each of them sees."""

import itertools
from typing import Any

import numpy as np

from tests import batches
from tests.batches import COUNT, TOKENS
from tests.samples import as_float32, generator, varied
from tutor.check.expectations import expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench

# The stand-in for the model chooses a row of this by all that a row of the batch sees.
TABLE = as_float32(generator(11).normal(scale=1.5, size=(53, COUNT)))
PLAIN: dict[str, Any] = {"temperature": 1}
GREEDY: dict[str, Any] = {"temperature": 0}
COLD = {"temperature": 0.5, "top_k": 6}
CUT = {"temperature": 1.4, "top_p": 0.9}
SEED = varied(3, range(4, 60), seed=13)
NONE = -1  # a token that never comes


def row(length: int, number: int, count: int = 6, **more: Any) -> dict[str, Any]:
    """A row with a prompt of this length; its number makes it unlike the others."""
    prompt = TOKENS[(np.arange(length) * (number + 2) + 3 * number + 1) % COUNT].tolist()
    given = {"prompt": prompt, "seed": SEED + number, "sampling": PLAIN, "max_new_tokens": count}
    return given | {"ends": [NONE]} | more


def expect_served(
    step: Workbench,
    what: str,
    rows: list[dict[str, Any]],
    *,
    slots: int = 3,
    n_positions: int = 64,
    steps: int = 12,
) -> None:
    """Expect that a running batch treats each of these rows as if it were alone."""
    got = step.run_batch(rows, slots, n_positions, steps, logits=TABLE)
    expected = batches.served(rows, slots, n_positions, steps, TABLE)
    for turn in range(steps):
        where = f"in step {turn + 1} of {what}"
        said = f"the rows that get a token {where}"
        expect_equal(said, got["made"][turn], expected["made"][turn], observed=got)
        for came, wanted in itertools.zip_longest(got["saw"][turn], expected["saw"][turn]):
            said = f"tokens and positions that a row sees, and how many each new one, {where}"
            expect_equal(said, came, wanted, observed=got)
    for number, (came, wanted) in enumerate(zip(got["rows"], expected["rows"], strict=True)):
        expect_equal(f"the text of row {number} of {what}", came, wanted, observed=got)
    more = [max(calls) for calls in zip(got["calls"], expected["calls"], strict=True)]
    expect_equal(f"the calls of the head in {what}", more, expected["calls"], observed=got)


def test_row(step: Workbench) -> None:
    for sampling in (PLAIN, GREEDY, COLD, CUT):
        for count, ends in ((5, [NONE]), (1, [NONE]), (6, [])):
            given: dict[str, Any] = {"seed": SEED, "sampling": sampling, "ends": ends}
            given["max_new_tokens"] = count
            text = batches.Served({"prompt": [], **given}, TABLE, 64)
            states = []
            for logits in TABLE[:count]:
                text.take(logits)
                states.append([[*text.new], text.ended])
            got = step.take_tokens(TABLE[:count], **given)
            what = f"tokens and end of a row with {sampling}, max_new_tokens={count}"
            expect_equal(what, got["states"], states, observed=got)
            expect_close("the logits that a row keeps", np.array(got["logits"]), TABLE[:count], 0)
    for place, ends in ((0, []), (3, [NONE]), (4, [])):
        tokens = TABLE.argmax(axis=-1).tolist()
        ends = [*ends, tokens[place]]
        first = min(tokens.index(token) for token in ends if token != NONE)
        got = step.take_tokens(
            TABLE[: first + 1], seed=SEED, sampling=GREEDY, ends=ends, max_new_tokens=first + 1
        )
        what = f"tokens and end of a row with ends={ends}"
        expect_equal(what, got["states"][-1], [tokens[:first], "stop"], observed=got)
    got = step.take_tokens(TABLE[[0] * 50], seed=SEED, sampling=PLAIN)
    expect_equal("what ends a row, max_new_tokens left out", got["states"][-1][1], "length")


def test_alone(step: Workbench) -> None:
    expect_served(step, "one row", [row(4, 0)], slots=1, steps=8)
    expect_served(step, "one row of one token", [row(1, 1, 9)], slots=1)
    expect_served(step, "one row, another slot free", [row(5, 2, sampling=COLD)], slots=2)


def test_side_by_side(step: Workbench) -> None:
    rows = [row(4, 0, 7), row(1, 1, 9, sampling=CUT), row(7, 2, 5, sampling=GREEDY)]
    expect_served(step, "three rows", rows)
    rows = [row(2, 3, 8, sampling=COLD), row(2, 3, 8), row(5, 3, 8, sampling=COLD)]
    expect_served(step, "rows that differ in little", rows, slots=4)


def test_join(step: Workbench) -> None:
    rows = [row(5, 0, 9), row(3, 1, 7, at=2), row(4, 2, 7, at=3)]
    expect_served(step, "rows that join two others", rows)
    rows = [row(2, 0, 11), row(9, 1, 6, at=1), row(1, 2, 6, at=3)]
    expect_served(step, "a row that joins with a longer prompt", rows)
    rows = [row(3, 0, 10, at=1), row(4, 1, 8, at=3), row(6, 2, 8, at=3), row(2, 3, 4, at=3)]
    expect_served(step, "rows that join at once", rows, slots=4)


def test_leave(step: Workbench) -> None:
    rows = [row(4, 0, 2), row(2, 1, 8), row(3, 2, 3), row(6, 3, 4), row(1, 4, 3)]
    expect_served(step, "rows that wait for a slot", rows, slots=2, steps=14)
    rows = [row(6, 0, 3), row(3, 1, 12), row(2, 2, 6, at=5)]
    expect_served(step, "a row in the place of another, a little later", rows, slots=2, steps=14)
    made = batches.served([row(5, 0, 20)], 1, 64, 20, TABLE)["rows"][0][0]
    ends = [made[3]]
    rows = [row(5, 0, 20, ends=ends), row(2, 1, 9), row(3, 2, 5)]
    expect_served(step, f"rows of which one ends with token {ends[0]}", rows, slots=2, steps=14)
    rows = [row(3, 0, 1), row(2, 1, 1), row(4, 2, 1), row(1, 3, 1)]
    expect_served(step, "rows of one new token", rows, slots=1, steps=6)


def test_cancel(step: Workbench) -> None:
    rows = [row(4, 0, 20, cancel=3), row(3, 1, 6), row(5, 2, 5)]
    expect_served(step, "rows of which one is cancelled", rows, slots=2)
    rows = [row(4, 0, 3), row(3, 1, 6, cancel=2), row(2, 2, 4)]
    expect_served(step, "rows of which one is cancelled while it waits", rows, slots=1)


def test_columns(step: Workbench) -> None:
    rows = [row(8, 0, 5), row(2, 1, 9), row(4, 2, 8, at=5)]
    expect_served(step, "rows that use up 12 columns", rows, slots=2, n_positions=12, steps=15)
    rows = [row(9, 0, 3), row(2, 1, 10), row(3, 2, 8, at=3), row(1, 3, 10, at=6)]
    expect_served(step, "rows with holes that use up 11", rows, n_positions=11, steps=17)
    rows = [row(2, 0, 11), row(5, 1, 8, at=1), row(8, 2, 2, at=2)]
    expect_served(step, "rows that were there before a longer one", rows, n_positions=12, steps=14)
    rows = [row(3, n, 4, at=3 * n) for n in range(6)]
    what = "rows that relieve one another in 9 columns"
    expect_served(step, what, rows, slots=2, n_positions=9, steps=20)


def test_window(step: Workbench) -> None:
    for n_positions, length in ((8, 3), (7, 12), (5, 5), (2, 3), (1, 1)):
        what = f"a row whose prompt has {length} tokens, with {n_positions} positions"
        expect_served(step, what, [row(length, 0, 14)], slots=1, n_positions=n_positions, steps=15)
    rows = [row(7, 0, 12), row(2, 1, 12), row(8, 2, 12, at=2), row(4, 3, 5, at=1)]
    expect_served(step, "rows that slide at times of their own", rows, n_positions=8, steps=18)
    rows = [row(5, 0, 9), row(3, 1, 4), row(2, 2, 4)]
    what = "a row that slides while others wait"
    expect_served(step, what, rows, slots=1, n_positions=6, steps=19)
