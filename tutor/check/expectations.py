"""What a check expects of what it observed; what is not met says how, in lines for a learner."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tutor.check import stages
from tutor.check.likeness import likeness_of_sequences
from tutor.check.sandbox.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    TimedOutError,
)

Array = NDArray[Any]
MOST_TEXT = 4000  # characters of what was expected, and of what came
LONG = 60  # characters of a list or text in which the first difference is hard to find


class AdviceWarning(UserWarning):
    """Something that is right, and could be better."""


class MismatchError(AssertionError):
    """What was observed is not what was expected.

    `observed` is what a mistake is recognized by; it is `got` unless given. `numbers` are those
    that came, the expected ones, and how far they may be off; `stages` are how these were computed.
    `says` is what is wrong in a sentence, where that is plain.
    """

    def __init__(
        self,
        what: str,
        expected: object,
        got: object,
        *,
        observed: object = None,
        place: str = "",
        numbers: tuple[Array, Array, float] | None = None,
        says: str = "",
    ) -> None:
        self.what, self.place, self.numbers, self.says = what, place, numbers, says
        self.stages = stages.recent() if numbers else []
        self.expected, self.got = str(expected)[:MOST_TEXT], str(got)[:MOST_TEXT]
        self.observed = got if observed is None else observed
        super().__init__(f"{what}{place}: expected {self.expected}, got {self.got}")


def expect_equal(
    what: str, got: object, expected: object, *, observed: object = None, says: str = ""
) -> None:
    """Expect a plain value; `observed` recognizes a mistake better than the value, if given.

    `says` is what is wrong otherwise, if that does not show in the value.
    """
    if got != expected or type(got) is not type(expected):
        recognized = got if observed is None else observed
        for kind in (str, list):
            if isinstance(got, kind) and isinstance(expected, kind):
                says = likeness_of_sequences(got, expected) or says
        wanted, came, place = side_by_side(expected, got)
        raise MismatchError(what, wanted, came, observed=recognized, place=place, says=says)


def expect_alike(
    what: str,
    got: object,
    other: object,
    alike: bool = True,
    *,
    observed: object = None,
    says: str = "",
) -> None:
    """Expect two observations to be the same, or not to be; `says` is what is wrong otherwise."""
    if same(got, other) is not alike:
        words = "something else", "the same"
        raise MismatchError(what, words[alike], words[not alike], observed=observed, says=says)


def expect_entries(
    what: str, got: dict[str, Any], expected: dict[str, Any], *, observed: object = None
) -> None:
    """Expect these entries among others; names the first that is missing or different."""
    recognized = got if observed is None else observed
    for name, wanted in expected.items():
        if name not in got:
            shown, came, place = show(wanted), "nothing", ""
            says = misnamed([name], [each for each in got if each not in expected])
        elif got[name] != wanted or type(got[name]) is not type(wanted):
            shown, came, place = side_by_side(wanted, got[name])
            says = exchanged(name, got, expected)
        else:
            continue
        what = f"{what} {name}"
        raise MismatchError(what, shown, came, observed=recognized, place=place, says=says)


def exchanged(name: str, got: dict[str, Any], expected: dict[str, Any]) -> str:
    """Which entry has the value that belongs to another, or what else is wrong with the value."""
    value, wanted = got[name], expected[name]
    if type(value) is not type(wanted) and value == wanted:
        return f"{name} is a {type(value).__name__}; it has to be of type {type(wanted).__name__}."
    others = [each for each, right in expected.items() if right == value and each != name]
    counts = list(expected.values())
    if value is not None and len(others) == 1 and counts.count(value) == 1:
        return f"{name} has the value that belongs to {others[0]}."
    return f"{name} is {show(value)} here; it has to be {show(wanted)}."


def expect_parameters(
    got: dict[str, list[int]], expected: dict[str, list[int]], where: str = ""
) -> None:
    """Expect parameters of these names and shapes; says how one comes to be there unintended."""
    for name in [*expected, *got]:
        if got.get(name) != expected.get(name):
            wanted = expected.get(
                name, "no such parameter; any Tensor kept in a module becomes one"
            )
            found = got.get(name, f"no such parameter; there are {', '.join(got) or 'none'}")
            says = what_of_parameters(name, got, expected)
            what = f"the shape of {name}{where}"
            raise MismatchError(what, wanted, found, observed=got, says=says)


def what_of_parameters(name: str, got: dict[str, list[int]], expected: dict[str, list[int]]) -> str:
    """What is wrong with the names of parameters, or with a shape."""
    missing, extra = ([each for each in a if each not in b] for a, b in both_ways(expected, got))
    if name in missing:
        if [expected[each] for each in missing] == [got[each] for each in extra]:
            return misnamed(missing, extra)
        owner = name.rpartition(".")[0] or name
        own = f"{owner}." in "".join(f"{each}." for each in got)
        if not own:
            return (
                f"Nothing here is called {owner}. What __init__ keeps in self under that name "
                "becomes part of the module."
            )
        return f"{owner} has no {name.rpartition('.')[2]}."
    if name in extra:
        owner, _, last = name.rpartition(".")
        if last == "bias" and f"{owner}.weight" in expected:
            return f"{owner} has a bias, which the checkpoint lacks; bias=False leaves it out."
        return f"{name} is kept in self, so it is a parameter, and the checkpoint has none like it."
    return resized(got[name], expected[name])


def both_ways(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Both orders of a pair."""
    return [(one, other), (other, one)]


def misnamed(missing: list[str], extra: list[str]) -> str:
    """What is called otherwise than it has to be, if there is one for each that is missing."""
    if len(missing) != len(extra):
        return ""
    pairs: dict[str, str] = {}
    for name, other in zip(missing, extra, strict=True):
        parts = name.split("."), other.split(".")
        if len(parts[1]) == len(parts[0]) + 1:
            return f"{other} here has to be called {name}: a list of modules is one level too many."
        if len(parts[0]) != len(parts[1]):
            return ""
        pairs |= {b: a for a, b in zip(*parts, strict=True) if a != b}
    said = [f"{other} here has to be called {name}" for other, name in pairs.items()]
    return f"{', and '.join(said[:4])}." if said else ""


def resized(got: list[int], wanted: list[int]) -> str:
    """What is wrong with a shape, if that has a simple name."""
    if got == wanted:
        return ""
    if got == wanted[::-1]:
        return "The two sizes are the wrong way round." if len(got) == 2 else ""
    if len(got) != len(wanted):
        count = abs(len(got) - len(wanted))
        several = f"{count} axes" if count > 1 else "an axis"
        return f"It has {several} too {'many' if len(got) > len(wanted) else 'few'}."
    wrong = [axis for axis in range(len(got)) if got[axis] != wanted[axis]]
    if len(wrong) != 1:
        return ""
    axis = wrong[0]
    size, right = got[axis], wanted[axis]
    where = f"Along axis {axis}"
    if abs(size - right) == 1:
        return f"{where}, it is one too {'large' if size > right else 'small'}."
    for large, small, word in ((size, right, "large"), (right, size, "small")):
        if small > 1 and large % small == 0:
            return f"{where}, it is {large // small} times too {word}."
    return f"{where}, the size is {size} where {right} belongs."


def expect_close(
    what: str,
    got: Array,
    expected: Array,
    tolerance: float,
    *,
    dtype: type[np.generic] = np.float32,
) -> None:
    """Expect an array whose numbers are off by less than a part of the largest expected one."""
    numbers = got, expected, tolerance
    if got.shape != expected.shape:
        shapes = list(expected.shape), list(got.shape)
        raise MismatchError(f"the shape of {what}", *shapes, observed=got, numbers=numbers)
    if got.dtype != dtype:
        kinds = np.dtype(dtype), got.dtype
        raise MismatchError(f"the dtype of {what}", *kinds, observed=got, numbers=numbers)
    values = got.astype(np.float64)
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(values - expected) <= tolerance * scale
    wrong = ~np.where(finite, near, values == expected)
    if wrong.any():
        index = tuple(map(int, np.argwhere(wrong)[0]))
        wanted, found = expected[index], got[index]
        digits = next((n for n in (4, 6) if number(wanted, n) != number(found, n)), 9)
        raise MismatchError(
            what,
            number(wanted, digits),
            f"{number(found, digits)}  ({wrong.sum()} of {wrong.size} numbers differ)",
            observed=got,
            place=f" at {list(index)}" if index else "",
            numbers=numbers,
        )


def expect_looked_up(what: str, got: Array, table: Array, ids: Array, tolerance: float) -> None:
    """Expect rows of a table, looked up by ids; says so if they are other rows of it."""
    try:
        expect_close(what, got, table[ids], tolerance)
    except MismatchError as error:
        error.says = other_rows(got, table, ids)
        raise


def other_rows(got: Array, table: Array, ids: Array) -> str:
    """Which rows of a table these are, if they are in it and others are wanted."""
    if got.shape != (*ids.shape, table.shape[1]):
        return ""
    places = [np.flatnonzero((table == row).all(axis=1)) for row in got.reshape(-1, len(table.T))]
    found = [int(place[0]) for place in places if len(place)]
    if len(found) < len(places) or found == ids.ravel().tolist():
        return ""
    return f"Rows {found} of the table are looked up; it has to be {ids.ravel().tolist()}."


def expect_moved(what: str, both: Array, first: int) -> None:
    """Expect of two rows [2, T, …] that they part at the token `first`, and stay apart."""
    with np.errstate(divide="ignore", invalid="ignore"):  # all zeros, or infinite
        apart = np.abs(both[0].astype(np.float64) - both[1])
        moved = apart.max(axis=tuple(range(1, apart.ndim))) / np.abs(both).max()
    got = [token for token, by in enumerate(moved) if by > (1e-5 if token < first else 1e-3)]
    expected = list(range(first, len(moved)))
    if got != expected:
        wanted, came, place = side_by_side(expected, got)
        says = seeing(got, expected)
        raise MismatchError(what, wanted, came, observed=both, place=place, says=says)


def seeing(got: list[int], expected: list[int]) -> str:
    """Which tokens see one that they must not see, or do not see one that they have to see."""
    early = [token for token in got if token < expected[0]]
    blind = [token for token in expected if token not in got]
    if early:
        return f"What comes before token {expected[0]} changes with it: a token sees later ones."
    if expected[0] in blind:
        return f"Token {expected[0]} itself does not change: it does not see itself."
    return f"Token {blind[0]} does not change: it does not see one that comes before it."


def expect_refusal(what: str, observe: Callable[[], object], *words: object) -> None:
    """Expect a ValueError whose message has these words, if any are given."""
    named = " and ".join(map(str, words))
    expected = f"a ValueError that names {named}" if words else "a ValueError"
    try:
        observe()
    except (NotStartedError, ContractError, TimedOutError, DiedError):
        raise
    except CodeError as error:
        if "ValueError" not in error.bases:
            says = f"It raises {error.kind}; it has to raise ValueError."
            raise MismatchError(what, expected, error, observed=error.kind, says=says) from error
        missing = [str(word) for word in words if not mentions(error.message, str(word))]
        if missing:
            said = f"ValueError: {error.message}"
            says = f"Its message does not say {' and '.join(missing)}."
            raise MismatchError(what, expected, said, observed=missing, says=says) from error
    else:
        says = "It is let through; raise ValueError."
        raise MismatchError(what, expected, "no error", says=says)


def expect_refusals(cases: dict[str, tuple[Callable[[], object], list[object]]]) -> None:
    """Expect several refusals, each with its words; a mistake is recognized by all of them."""
    failed: dict[str, MismatchError] = {}
    for what, (observe, words) in cases.items():
        try:
            expect_refusal(what, observe, *words)
        except MismatchError as error:
            failed[what] = error
    for first in failed.values():
        first.observed = {what: error.observed for what, error in failed.items()}
        raise first


def mentions(message: str, word: str) -> bool:
    """Whether a message has a word or a number, not just as a part of a longer one."""
    part = r"\d" if word[-1].isdigit() else r"\w"
    return bool(re.search(rf"(?<!{part}){re.escape(word)}(?!{part}|\.\d)", message))


def show(value: object) -> str:
    """A value as a learner would write it, and not too long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


def side_by_side(expected: object, got: object) -> tuple[str, str, str]:
    """Two values as a learner would write them, and where they first differ, if they are long.

    Long texts and lists begin shortly before that place.
    """
    is_long = max(len(repr(expected)), len(repr(got))) > LONG
    for kind, before in ((list, 3), (str, 20)):
        if is_long and isinstance(expected, kind) and isinstance(got, kind):
            pairs = zip(expected, got, strict=False)
            shorter = min(len(expected), len(got))
            first = next((n for n, (one, other) in enumerate(pairs) if one != other), shorter)
            start = max(0, first - before)
            wanted, came = ("… " * (start > 0) + show(each[start:]) for each in (expected, got))
            return wanted, came, f", first difference at index {first}"
    return show(expected), show(got), ""


def number(value: Any, digits: int) -> str:
    """A number with so many digits, or what it is instead."""
    return f"{value:.{digits}g}" if np.issubdtype(type(value), np.floating) else str(value)


def same(observed: object, other: object, tolerance: float = 1e-5) -> bool:
    """Whether two observations are the same, but for a part of the largest number."""
    if isinstance(observed, np.ndarray) and isinstance(other, np.ndarray):
        if observed.shape != other.shape or observed.dtype != other.dtype:
            return False
        if not np.issubdtype(observed.dtype, np.floating):
            return bool(np.array_equal(observed, other))
        scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        off = tolerance * scale
        return bool(np.allclose(observed, other, rtol=0, atol=off, equal_nan=True))
    if isinstance(observed, dict) and isinstance(other, dict):
        return observed.keys() == other.keys() and all(
            same(observed[key], other[key], tolerance) for key in other
        )
    if isinstance(observed, list) and isinstance(other, list):
        return len(observed) == len(other) and all(
            same(*pair, tolerance) for pair in zip(observed, other, strict=True)
        )
    return type(observed) is type(other) and observed == other
