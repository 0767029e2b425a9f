"""Wrong solutions made by rule, found by how they fail; tools/course/record_edits.py recorded it.

Each is the reference, or another right solution, with one edit. That a learner's code behaves as
one of them is said only after that one has failed every check in the same way, in a fresh process.
"""

import ast
import difflib
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tutor.check.results import symptom
from tutor.course import sources
from tutor.course.names import Name
from tutor.course.registry import EXERCISES

RECORDS = EXERCISES / "recorded" / "edits"
NEAR = 1e-3  # of 1: how far apart the prints of two failures may be that differ by rounding
DIGITS = 4  # of the numbers in a print


class Print(msgspec.Struct, frozen=True, array_like=True):
    """What tells a failure from others: a digest of all but its decimal numbers, and some of these.

    They are how large the numbers are, and sums of them with random weights.
    """

    key: str
    numbers: list[float]

    def is_near(self, other: "Print") -> bool:
        """Whether two failures look the same, but for rounding."""
        pairs = zip(self.numbers, other.numbers, strict=True)
        return self.key == other.key and all(abs(a - b) <= NEAR for a, b in pairs)


class Lookalike(msgspec.Struct, frozen=True, array_like=True):
    """A wrong solution: the reference with other lines, from one place on."""

    says: str
    first: int
    count: int
    text: str
    seen: Print
    others: dict[str, Print] = {}  # of the next check that fails, unless that crashes

    def apply(self, source: str) -> str:
        """The source of the reference with this edit in it."""
        lines = source.splitlines(keepends=True)
        return "".join([*lines[: self.first], self.text, *lines[self.first + self.count :]])

    @property
    def size(self) -> float:
        """How many letters of the code that it names are others; those left out count half."""
        new, old, *_ = [*self.says.split("`")[1::2], "", ""]
        blocks = difflib.SequenceMatcher(None, new, old, autojunk=False).get_matching_blocks()
        apart = len(new) + len(old) - 2 * sum(block.size for block in blocks)
        return apart / 2 if new in old else apart


class Record(msgspec.Struct, frozen=True):
    """Those of a step, by the check that they fail first."""

    reference: str  # what tells the code that they are edits of
    edits: dict[str, list[Lookalike]]


def two(first: str, second: str) -> str:
    """What is said of two mistakes at once."""
    return f"There are two mistakes. First: {first} Second: {second}"


def find(step: Name, check: str, error: BaseException | None) -> list[Lookalike]:
    """Those that fail this check first, and fail it in the same way."""
    seen = imprint(error)
    return [each for each in recorded(step).get(check, []) if each.seen.is_near(seen)]


def find_by_all(
    step: Name, check: str, errors: Mapping[str, BaseException | None]
) -> list[Lookalike]:
    """Those of them that fail other checks in the same way, too, as far as is known."""
    prints = {name: imprint(error) if error else None for name, error in errors.items()}

    def fits(name: str, seen: Print) -> bool:
        came = prints[name]
        return came is not None and seen.is_near(came)

    return [
        each
        for each in find(step, check, errors[check])
        if all(fits(name, seen) for name, seen in each.others.items() if name in prints)
    ]


@functools.cache
def recorded(step: Name) -> dict[str, list[Lookalike]]:
    """Those of a step, by the check that they fail first; none if the reference has changed."""
    file = RECORDS / f"{step.name}.json"
    if not file.exists():
        return {}
    record = msgspec.json.decode(file.read_bytes(), type=Record)
    return record.edits if record.reference == code_digest(sources.reference(step)) else {}


def code_digest(source: str) -> str:
    """A digest of code and where it stands, but not of its comments."""
    return digest(ast.dump(ast.parse(source), include_attributes=True))


def digest(text: str) -> str:
    """A short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def imprint(error: BaseException | None) -> Print:
    """The print of a failure."""
    arrays: list[NDArray[np.float64]] = []
    words = json.dumps([*plain(symptom(error), arrays)], ensure_ascii=False)
    return Print(digest(words), projections(arrays))


def plain(value: object, arrays: list[NDArray[np.float64]]) -> Iterator[object]:
    """What a symptom holds beside decimal numbers, which are put into the arrays."""
    match value:
        case np.ndarray():
            yield [str(value.dtype), list(value.shape)]
            if np.issubdtype(value.dtype, np.floating):
                finite = np.isfinite(value)
                scale = np.abs(value[finite]).max(initial=0.0) or 1.0
                arrays.append(np.where(finite, value, 0).astype(np.float64).ravel() / scale)
                arrays.append(np.log10([scale]))
                yield digest(str(np.argwhere(~finite).tolist()))
            else:
                yield digest(str(value.tolist()))
        case dict():
            for key, item in value.items():
                yield str(key)
                yield from plain(item, arrays)
        case list() | tuple():
            yield len(value)
            for item in value:
                yield from plain(item, arrays)
        case _:
            yield repr(value)


def projections(arrays: list[NDArray[np.float64]]) -> list[float]:
    """Three sums of all numbers with fixed random weights."""
    if not arrays:
        return []
    numbers = np.concatenate(arrays)
    weights = np.random.default_rng(0).normal(size=(3, len(numbers)))
    return [round(float(each), DIGITS) for each in weights @ numbers / np.sqrt(len(numbers) or 1)]
