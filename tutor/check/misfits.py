"""Why tensors do not fit together, in a sentence, from what MAX says of their shapes."""

import math
import re
from collections import Counter
from collections.abc import Iterator

Shape = list[str]  # sizes are numbers, or names that a graph has for them

MATMUL = re.compile(r"op 'MatmulOp'.*?shape=\[(.*?)\], .*?shape=\[(.*?)\],", re.DOTALL)
RESHAPE = re.compile(r"op 'ReshapeOp'.*?shape=\[(.*?)\], .*?new_shape = \[(.*?)\]\n", re.DOTALL)
BROADCAST = re.compile(r"\(shape \[(.*?)\]\).*?\(shape \[(.*?)\]\).*neither equivalent nor broad")
NUMPY = re.compile(r"could not be broadcast together with shapes (\(.*?\)) (\(.*?\))")
CONCAT = re.compile(r"Concat inputs differ on non-concat.*?shape=\[(.*?)\], .*?shape=\[(.*?)\],")
SQUEEZE = re.compile(r"Squeeze dim must be 1, got axis=(-?\d+), shape=\[(.*?)\]")
WEIGHT = re.compile(r"apply weight shape \[(.*?)\] to input shape \[(.*?)\], weight shape must")


def misfit(message: str, line: str) -> Iterator[str]:
    """What does not fit, the surest first; the line is that of the code."""
    if found := MATMUL.search(message):
        yield from product(*map(sizes, found.groups()))
    elif found := BROADCAST.search(message):
        yield from unlike(*(group.split(", ") for group in found.groups()))
    if found := NUMPY.search(message):
        yield from unlike_in_numpy(*found.groups())
    if found := RESHAPE.search(message):
        yield from reshaped(*map(sizes, found.groups()))
    if "Concat inputs differ" in message and "F.stack(" in line:
        yield (
            "F.stack puts Tensors of the same shape along a new axis; F.concat joins those that "
            "differ along one."
        )
    if found := CONCAT.search(message):
        one, other = map(shown, map(sizes, found.groups()))
        yield (
            "F.concat joins along one axis, and all other sizes have to match; here they are "
            f"{one} and {other}."
        )
    if found := SQUEEZE.search(message):
        axis, shape = int(found[1]), sizes(found[2])
        yield f"squeeze takes away an axis of 1; axis {axis} of {shown(shape)} has {shape[axis]}."
    if found := WEIGHT.search(message):
        weight, given = map(sizes, found.groups())
        yield (
            f"The norm has a weight for {weight[-1]} numbers, and what it gets, {shown(given)}, "
            f"has {given[-1]} along its last axis."
        )


def sizes(shape: str) -> Shape:
    """The sizes of a shape as MAX shows it."""
    return re.findall(r"Dim\('?([^()']+)'?\)", shape)


def shown(shape: Shape) -> str:
    """A shape as people write it."""
    return f"[{', '.join(shape)}]"


def product(left: Shape, right: Shape) -> Iterator[str]:
    """Why two tensors of these shapes have no matrix product."""
    if len(left) < 2 or not right:
        return
    if len(right) == 1:
        yield (
            f"In {shown(left)} @ {shown(right)} the last size of the left has to be that of the "
            "right; number by number they are multiplied with *."
        )
    elif left[-1] != right[-2]:
        said = f"[…, {left[-2]}, {left[-1]}] @ […, {right[-2]}, {right[-1]}]"
        cures = ["the last size of the left has to be the second to last of the right"]
        cures += ["transposed, the right one would fit"] * (left[-1] == right[-1])
        cures += ["number by number they are multiplied with *"] * (left == right)
        yield f"In {said} {'; '.join(cures)}."
    elif not fits(left[:-2], right[:-2]):
        said = f"In {shown(left)} @ {shown(right)} the axes before the last two have to be the same"
        yield f"{said}, or 1{as_fitting(left, right, behind=2)}."


def unlike(one: Shape, other: Shape) -> Iterator[str]:
    """Why two tensors of these shapes cannot be computed with place by place."""
    yield (
        f"Shapes {shown(one)} and {shown(other)} do not fit: counted from the end, two sizes have "
        f"to be the same, or one of them 1{as_fitting(one, other)}."
    )


def fits(one: Shape, other: Shape) -> bool:
    """Whether sizes are the same, counted from the end, or 1."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return all(a == b or "1" in (a, b) for a, b in pairs)


def as_fitting(one: Shape, other: Shape, behind: int = 0) -> str:
    """With which axes of size 1 the shorter one would fit, where only one shape will do.

    So many axes at the end stay as they are, and so does the longer one.
    """
    short, long = sorted((one, other), key=len)
    ones = ["1"] * (len(long) - len(short))
    places = range(1, len(short) + 1 - behind)
    made = [short[:place] + ones + short[place:] for place in places]
    fitting = {shown(each) for each in made if is_spread(each, long, behind)}
    if not ones or len(fitting) != 1:
        return ""
    return f"; as {fitting.pop()} the shorter one would fit, and unsqueeze adds an axis"


def is_spread(one: Shape, other: Shape, behind: int) -> bool:
    """Whether a shape becomes another of equal length, but for the axes behind."""
    pairs = list(zip(one, other, strict=True))
    return all(a in (b, "1") for a, b in pairs[: len(pairs) - behind])


def unlike_in_numpy(one: str, other: str) -> Iterator[str]:
    """The same for arrays of NumPy, of which a sum loses an axis."""
    shapes = [re.findall(r"\d+", shape) for shape in (one, other)]
    short, long = sorted(shapes, key=len)
    lost = any(long[:axis] + long[axis + 1 :] == short for axis in range(len(long)))
    yield f"Shapes {one} and {other} do not fit." + (
        " In NumPy a sum loses its axis; keepdims=True keeps it." if lost else ""
    )


def reshaped(old: Shape, new: Shape) -> Iterator[str]:
    """Why a tensor cannot be given another shape, as far as the sizes are numbers."""
    names = [Counter(size for size in shape if not size.isdigit()) for shape in (old, new)]
    if names[0] == names[1]:
        before, after = (math.prod(int(n) for n in shape if n.isdigit()) for shape in (old, new))
        times = f" for each of {' × '.join(names[0].elements())}" if names[0] else ""
        yield (
            f"A reshape keeps all numbers: {shown(old)} has {before} of them{times}, {shown(new)} "
            f"has room for {after}."
        )
