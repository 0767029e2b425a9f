"""What a check expects of what it observed; what is not met says how, in lines for a learner."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tutor.check import stages
from tutor.check.sandbox.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    TimedOutError,
)

Array = NDArray[Any]
MOST_TEXT = 4000  # characters of what was expected, and of what came


class AdviceWarning(UserWarning):
    """Something that is right, and could be better."""


class MismatchError(AssertionError):
    """What was observed is not what was expected.

    `observed` is what a mistake is recognized by; it is `got` unless given. `numbers` are those
    that came, the expected ones, and how far they may be off; `stages` are how these were computed.
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
    ) -> None:
        self.what, self.place, self.numbers = what, place, numbers
        self.stages = stages.recent() if numbers else []
        self.expected, self.got = str(expected)[:MOST_TEXT], str(got)[:MOST_TEXT]
        self.observed = got if observed is None else observed
        super().__init__(f"{what}{place}: expected {self.expected}, got {self.got}")


def expect_equal(what: str, got: object, expected: object, *, observed: object = None) -> None:
    """Expect a plain value; `observed` recognizes a mistake better than the value, if given."""
    if got != expected or type(got) is not type(expected):
        recognized = got if observed is None else observed
        raise MismatchError(what, show(expected), show(got), observed=recognized)


def expect_alike(
    what: str, got: object, other: object, alike: bool = True, *, observed: object = None
) -> None:
    """Expect two observations to be the same, or not to be."""
    if same(got, other) is not alike:
        words = "something else", "the same"
        raise MismatchError(what, words[alike], words[not alike], observed=observed)


def expect_entries(
    what: str, got: dict[str, Any], expected: dict[str, Any], *, observed: object = None
) -> None:
    """Expect these entries among others; names the first that is missing or different."""
    recognized = got if observed is None else observed
    for name in expected:
        if name not in got:
            said = show(expected[name]), "nothing"
        elif got[name] != expected[name] or type(got[name]) is not type(expected[name]):
            said = show(expected[name]), show(got[name])
        else:
            continue
        raise MismatchError(f"{what} {name}", *said, observed=recognized)


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
            raise MismatchError(f"the shape of {name}{where}", wanted, found, observed=got)


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


def expect_moved(what: str, both: Array, first: int) -> None:
    """Expect of two rows [2, T, …] that they part at the token `first`, and stay apart."""
    with np.errstate(divide="ignore", invalid="ignore"):  # all zeros, or infinite
        apart = np.abs(both[0].astype(np.float64) - both[1])
        moved = apart.max(axis=tuple(range(1, apart.ndim))) / np.abs(both).max()
    got = [token for token, by in enumerate(moved) if by > (1e-5 if token < first else 1e-3)]
    expect_equal(what, got, list(range(first, len(moved))), observed=both)


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
            raise MismatchError(what, expected, error, observed=error.kind) from error
        missing = [str(word) for word in words if not mentions(error.message, str(word))]
        if missing:
            said = f"ValueError: {error.message}"
            raise MismatchError(what, expected, said, observed=missing) from error
    else:
        raise MismatchError(what, expected, "no error")


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


def number(value: Any, digits: int) -> str:
    """A number with so many digits, or what it is instead."""
    return f"{value:.{digits}g}" if np.issubdtype(type(value), np.floating) else str(value)


def same(observed: object, other: object) -> bool:
    """Whether two observations are the same, but for rounding."""
    if isinstance(observed, np.ndarray) and isinstance(other, np.ndarray):
        if observed.shape != other.shape or observed.dtype != other.dtype:
            return False
        if not np.issubdtype(observed.dtype, np.floating):
            return bool(np.array_equal(observed, other))
        scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        return bool(np.allclose(observed, other, rtol=0, atol=1e-5 * scale, equal_nan=True))
    if isinstance(observed, dict) and isinstance(other, dict):
        return observed.keys() == other.keys() and all(same(observed[k], other[k]) for k in other)
    if isinstance(observed, list) and isinstance(other, list):
        return len(observed) == len(other) and all(map(same, observed, other))
    return type(observed) is type(other) and observed == other
