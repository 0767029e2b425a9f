"""What wrong numbers have to do with the right ones, in a sentence that is true of all of them.

They may be the right answer to another question: by a factor, with another sign, in another order,
one place further on. Nothing is said where two such sentences would be true, or none.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tutor.check.resizing import Alike, Array, other_shape, take

MOST_NUMBERS = 200_000  # of arrays that are looked at; the suites' are smaller
LEAST_SPREAD = 1e-3  # of the largest: arrays with less of it are like anything
FACTORS = {2: "twice", 0.5: "half", 3: "three times", -2: "minus twice"}


def likeness(
    got: Array, expected: Array, tolerance: float, stages: Sequence[tuple[str, Array]] = ()
) -> str:
    """A sentence on how these numbers come from the expected ones, or nothing.

    The stages are what else was computed on the way to these, with words for each.
    """
    if not (0 < got.size <= MOST_NUMBERS and expected.size) or got.dtype.kind not in "biuf":
        return ""
    numbers, right = got.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(right).all():
        return in_place_of_infinity(numbers, right)
    if np.ptp(right) <= LEAST_SPREAD * np.abs(right).max():
        return ""
    with np.errstate(all="ignore"):  # the numbers can be anything
        found = list(dict.fromkeys(sentences(numbers, right, tolerance)))
        if not found and np.isfinite(numbers).all():
            found = list(dict.fromkeys(at_stages(numbers, stages, tolerance)))
    if not found and got.shape == expected.shape and np.isfinite(numbers).all():
        return partly(numbers, right, tolerance)
    return found[0] if len(found) == 1 else ""


def in_place_of_infinity(got: Array, right: Array) -> str:
    """What stands where an infinity belongs, if all else is right, as in a mask."""
    finite = np.isfinite(right)
    if got.shape == right.shape and (said := hidden(np.isfinite(got), finite)):
        return said
    if got.shape != right.shape or (got[finite] != right[finite]).any():
        return ""
    wanted, found = np.unique(right[~finite]), np.unique(got[~finite])
    if len(wanted) == len(found) == 1:
        return f"Where {wanted[0]:g} belongs, there is {found[0]:g}."
    return ""


def hidden(seen: Array, right: Array) -> str:
    """By how many places all rows of a mask begin too early or too late to hide."""
    fewer = right.sum(-1, dtype=int) - seen.sum(-1, dtype=int)
    is_first = (np.diff(seen.astype(int)) <= 0).all() and (np.diff(right.astype(int)) <= 0).all()
    count = int(fewer.flat[0])
    if not is_first or not count or (fewer != count).any():
        return ""
    several = f"{abs(count)} places are" if abs(count) > 1 else "one place is"
    return f"In each row {several} {'hidden' if count > 0 else 'seen'} that must not be."


def at_stages(got: Array, stages: Sequence[tuple[str, Array]], tolerance: float) -> Iterator[str]:
    """At which stages of the computation these numbers are right."""
    for words, array in stages:
        if array.any() and near(got, array, tolerance):
            yield f"This is what {words}."


def near(one: Array, other: Array, tolerance: float) -> bool:
    """Whether two arrays are the same, but for a part of the largest number."""
    if one.shape != other.shape:
        return False
    off = tolerance * np.abs(other).max(initial=0.0)
    return bool((np.abs(one - other) <= off).all())


def sentences(got: Array, right: Array, tolerance: float) -> Iterator[str]:
    """All sentences that are true."""
    alike = functools.partial(near, tolerance=tolerance)
    if not np.isfinite(got).all():
        if np.isnan(got).all():
            yield "Every number is NaN."
        return
    if got.shape == right.shape:
        if alike(got, right):
            yield "The numbers are right; their type is not."
            return
        yield from same_place(got, right, alike)
        for axis in range(right.ndim):
            yield from along(got, right, axis, alike)
    else:
        yield from other_shape(got, right, alike)
    yield from transposed(got, right, alike)


def same_place(got: Array, right: Array, alike: Alike) -> Iterator[str]:
    """What was done to every number where it stands."""
    if not got.any():
        yield "Every number is 0."
        return
    factor = float((got * right).sum() / (right * right).sum())
    if factor and alike(got / factor, right):
        yield f"Every number {times(factor)}."
    offset = float((got - right).mean())
    if alike(got - offset, right):
        word = "more" if offset > 0 else "less"
        yield f"Every number is {abs(offset):.4g} {word} than the right one."
    elif got.shape[-1:] > (2,) and alike(got - (got - right).mean(-1, keepdims=True), right):
        yield "Along the last axis, all numbers are off by the same amount, which varies by row."
    elif is_off_by_a_vector(got, right, alike):
        yield "All vectors along the last axis are off by the same vector."
    for name, inverse in (("square", np.square), ("exponential", np.exp)):
        if alike(got, inverse(right)):
            yield f"Every number is the {name} of the right one."


def is_off_by_a_vector(got: Array, right: Array, alike: Alike) -> bool:
    """Whether what was added is the same for at least three vectors."""
    others = tuple(range(right.ndim - 1))
    if right.shape[-1:] < (2,) or math.prod(right.shape[:-1]) < 3:
        return False
    return alike(got - (got - right).mean(others, keepdims=True), right)


def times(factor: float) -> str:
    """How a factor reads: is twice the right one."""
    if math.isclose(factor, -1, rel_tol=1e-4):
        return "has the wrong sign"
    for known, word in FACTORS.items():
        if math.isclose(factor, known, rel_tol=1e-4):
            return f"is {word} the right one"
    for square, mark in ((factor**2, "{}√{} times"), (factor**-2, "{}1/√{} times")):
        whole = round(square)
        is_root = math.isqrt(whole) ** 2 != whole and math.isclose(square, whole, rel_tol=1e-4)
        if whole > 1 and is_root:
            return f"is {mark.format('−' * (factor < 0), whole)} the right one"
    digits = 4 if abs(factor - 1) > 0.001 else 7
    return f"is {factor:.{digits}g} times the right one"


def along(got: Array, right: Array, axis: int, alike: Alike) -> Iterator[str]:
    """What was done to the order of what lies along an axis."""
    size, where = got.shape[axis], f"Along axis {axis}"
    if size < 2:
        return
    if alike(got, np.flip(right, axis)):
        yield f"{where} the order is reversed."
    if size > 2:
        for by, word in ((1, "before"), (-1, "after")):
            inside = slice(1, None) if by == 1 else slice(None, -1)
            moved = np.roll(right, by, axis)
            if alike(take(got, axis, inside), take(moved, axis, inside)):
                yield f"{where} each place has what belongs to the place {word} it."
    for place, word in ((0, "first"), (size - 1, "last")):
        repeated = np.broadcast_to(take(right, axis, slice(place, place + 1)), got.shape)
        if alike(got, repeated):
            yield f"{where} every place has what belongs to the {word}."
    if alike(got, np.broadcast_to(right.mean(axis, keepdims=True), got.shape)):
        yield f"{where} every place has the mean of all places."
    if alike(got, np.cumsum(right, axis)):
        yield f"{where} each place has the sum of itself and all before it."


def transposed(got: Array, right: Array, alike: Alike) -> Iterator[str]:
    """In which order the axes are, where they are in another."""
    for order in list(itertools.permutations(range(right.ndim)))[1:]:
        if alike(got, right.transpose(order)):
            how = "transposed" if right.ndim == 2 else f"transposed to {list(order)}"
            yield f"The numbers are right, but {how}."


def likeness_of_sequences(got: Sequence[Any], right: Sequence[Any]) -> str:
    """What a text or a list has to do with the right one, in a sentence, or nothing."""
    what = "character" if isinstance(right, str) else "entry"
    several = "characters" if isinstance(right, str) else "entries"
    if not got or not right:
        return "It is empty." if right else ""
    for long, short, word in ((got, right, "too many"), (right, got, "missing")):
        count = len(long) - len(short)
        places = [long[count:] == short, long[:-count] == short] if count > 0 else []
        if any(places):
            how_many = f"{count} {several} are" if count > 1 else f"One {what} is"
            return f"{how_many} {word}, at the {'beginning' if places[0] else 'end'}."
        if count > 1 and isinstance(long, str) and str(short) in long:
            return f"{count} {several} are {word}, some at the beginning and some at the end."
    if any(each != right[0] for each in right) and got == right[::-1]:
        return "The order is reversed."
    return ""


def likeness_of_shares(got: Array, logits: Array, temperature: float, off: float) -> str:
    """At which question these shares of drawn tokens would be right, [B, V], or nothing.

    `off` is how far a share may be off by chance.
    """

    def softmax(numbers: Array) -> Array:
        weights = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
        shares: Array = weights / weights.sum(axis=-1, keepdims=True)
        return shares

    def fits(right: Array) -> bool:
        return bool((np.abs(got - right) <= off).all())

    if got.max(axis=1).min() == 1:
        likeliest = (got.argmax(axis=1) == logits.argmax(axis=1)).all()
        return "Nothing is drawn: each row takes its likeliest token." if likeliest else ""
    right = softmax(logits / temperature)
    starts = 0.0, logits.max(axis=1, keepdims=True), logits.min(axis=1, keepdims=True)
    with np.errstate(all="ignore"):  # where they sum to 0
        bare = [(logits - start) / (logits - start).sum(axis=1, keepdims=True) for start in starts]
    known = {
        "All tokens are drawn equally often.": [np.full_like(right, 1 / right.shape[-1])],
        "All rows draw as only the first row should.": [np.broadcast_to(right[0], right.shape)],
        "The shares are those of the tokens in reverse order.": [right[:, ::-1]],
        "The shares are right but belong to other tokens: they are sorted by size.": [
            np.sort(right),
            np.sort(right)[:, ::-1],
        ],
        "The least likely tokens are drawn most, as if the logits had the wrong sign.": [
            softmax(-logits / temperature)
        ],
        "The shares are in proportion to the logits; exp is missing.": bare,
    }
    found = [says for says, shares in known.items() if any(map(fits, shares))]
    inverses = np.geomspace(0.1, 10, 401) / temperature
    apart = [float(np.abs(got - softmax(logits * inverse)).max()) for inverse in inverses]
    best = float(1 / inverses[int(np.argmin(apart))])
    if not found and min(apart) <= off:
        found.append(f"The draws fit a temperature of about {best:.2g}.")
    return found[0] if len(found) == 1 else ""


def partly(got: Array, right: Array, tolerance: float) -> str:
    """Where along an axis the numbers are right, and where not, if that has a simple name."""
    wrong = np.abs(got - right) > tolerance * np.abs(right).max()
    for axis in range(right.ndim):
        across = tuple(place for place in range(right.ndim) if place != axis)
        is_right = ~wrong.any(across)
        size, count = len(is_right), int(is_right.sum())
        if size < 3 or count in (0, size):
            continue
        if is_right[:count].all():
            which = "only the first is" if count == 1 else f"only the first {count} are"
            return f"Along axis {axis} {which} right."
        if is_right[-count:].all():
            which = "the first is" if count == size - 1 else f"the first {size - count} are"
            return f"Along axis {axis} {which} wrong; the others are right."
    vectors = np.argwhere(wrong.any(-1)).tolist()
    if right.ndim > 1 and len(vectors) == 1:
        return f"Only what is at {vectors[0]} is wrong."
    return ""
