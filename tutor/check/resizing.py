"""What numbers in another shape have to do with the right ones, in sentences that are true."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Alike = Callable[[Array, Array], bool]

PARTS = (2, 3)  # into which a step may cut something


def other_shape(got: Array, right: Array, alike: Alike) -> Iterator[str]:
    """What was done to numbers that come in another shape."""
    if got.size == right.size:
        if alike(got.reshape(right.shape), right):
            yield "The numbers are right, in another shape."
        for axis in range(right.ndim):
            yield from joined_elsewhere(got, right, axis, alike)
    for axis in range(right.ndim if got.ndim == right.ndim else 0):
        others = (np.delete(array.shape, axis).tolist() for array in (got, right))
        if operator.eq(*others) and (said := [*more_or_fewer(got, right, axis, alike)]):
            yield from said
            return
    for axis in range(right.ndim):
        yield from made_one(got, right, axis, alike)


def joined_elsewhere(got: Array, right: Array, axis: int, alike: Alike) -> Iterator[str]:
    """Where parts were put together that belong side by side along an axis."""
    for count in PARTS:
        if right.shape[axis] % count == 0 and right.shape[axis] > count:
            parts = np.split(right, count, axis)
            for place in {*range(right.ndim)} - {axis}:
                if alike(got, np.concatenate(parts, place)):
                    yield (
                        f"The numbers are right, but {count} parts are joined along axis {place} "
                        f"that belong side by side along axis {axis}."
                    )
            for place in {*range(right.ndim + 1)} - {axis}:
                if alike(got, np.stack(parts, place)):
                    yield (
                        f"The numbers are right, but {count} parts are stacked along a new axis "
                        f"{place}; they belong side by side along axis {axis}."
                    )


def made_one(got: Array, right: Array, axis: int, alike: Alike) -> Iterator[str]:
    """What all places along an axis have become."""
    for made, word in ((np.mean, "mean"), (np.sum, "sum"), (np.max, "largest")):
        one = made(right, axis=axis, keepdims=True)
        if right.shape[axis] > 1 and (alike(got, one) or alike(got, one.squeeze(axis))):
            yield f"Along axis {axis} there is only the {word} of all places."
    for place, word in ((0, "first"), (-1, "last")):
        if right.shape[axis] > 1 and alike(got, right.take(place, axis)):
            yield f"Along axis {axis} there is only the {word} place, and the axis is gone."


def more_or_fewer(got: Array, right: Array, axis: int, alike: Alike) -> Iterator[str]:
    """How many are missing, or are too many, at an end of an axis."""
    count = got.shape[axis] - right.shape[axis]
    long, short = (got, right) if count > 0 else (right, got)
    size = short.shape[axis]
    if said := times_over(long, short, axis, alike, count > 0):
        yield said
        return
    for end, part in {"end": slice(None, size), "beginning": slice(-size, None)}.items():
        if size and alike(take(long, axis, part), short):
            several = f"{abs(count)} are" if abs(count) > 1 else "one is"
            what = "too many" if count > 0 else "missing"
            yield f"Along axis {axis}, {several} {what}, at the {end}; the others are right."


def times_over(long: Array, short: Array, axis: int, alike: Alike, too_many: bool) -> str:
    """How often everything along an axis is there, or which of its places are the others."""
    size = short.shape[axis]
    if size < 2 or long.shape[axis] % size:
        return ""
    count, where = long.shape[axis] // size, f"Along axis {axis}"
    if too_many and alike(long, np.concatenate([short] * count, axis)):
        return f"{where} everything is there {count} times, one after the other."
    if too_many and alike(long, np.repeat(short, count, axis)):
        return f"{where} each place is there {count} times in a row."
    if alike(take(long, axis, slice(None, None, count)), short):
        each = f"only one place in {count}"
        return f"{where} {each} is right." if too_many else f"{where} {each} is there."
    return ""


def take(array: Array, axis: int, part: slice) -> Array:
    """A part of an array along an axis."""
    return array[(slice(None),) * axis + (part,)]
