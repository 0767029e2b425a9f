"""Ordinary inputs for each of MAX's kernels, by its name: the same ones each time."""

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from max.driver import Buffer

Array = NDArray[Any]

COUNT = 101  # of the elements on a single axis: whole vectors of the CPU, and a remainder
SIZES = (3, 4, 2, 5, 3)  # of the axes, where there can be one to five


def inputs(name: str) -> "list[Buffer]":
    """What the kernel of this name takes, in buffers that it may write into."""
    return [buffer(array) for array in arrays(name)]


def buffer(array: Array) -> "Buffer":
    """A copy of an array, as kernels take it."""
    from max.driver import CPU, Buffer
    from max.dtype import DType

    if array.ndim == 0 and array.dtype == np.bool_:
        return Buffer.scalar(bool(array), DType.bool, CPU())
    return Buffer.from_numpy(array.copy())


class Draw:
    """Random arrays of one dtype: floats that are mostly within 6 of 0, small integers."""

    def __init__(self, name: str, dtype: str) -> None:
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.dtype = np.dtype(dtype)

    def __call__(self, *shape: int, low: int = -100, high: int = 100) -> Array:
        match self.dtype.kind:
            case "f":
                return self.rng.normal(scale=2, size=shape).astype(self.dtype)
            case "b":
                low, high = 0, 1
            case "u":
                low = max(low, 0)
        return self.rng.integers(low, high, shape, self.dtype, endpoint=True)

    def indices(self, dtype: str, size: int, *shape: int) -> Array:
        return self.rng.integers(size, size=shape, dtype=dtype)


def arrays(name: str) -> list[Array]:  # noqa: C901 (a table of all kernels)
    """What the kernel of this name takes, as arrays."""
    operation, _, variant = name.partition("_cpu_0_")
    dtype, other, *_ = [*variant.removeprefix("DType.").split("_"), ""]
    rank = int(other[1:]) if other.startswith("r") else 0
    draw = Draw(name, dtype)
    match operation.split("_"):
        case ["unary", "LogOp" | "Log1pOp" | "SqrtOp" | "RsqrtOp"]:
            return [np.abs(draw(COUNT))]
        case ["unary", "AtanhOp"]:
            return [np.tanh(draw(COUNT))]
        case ["unary", _]:
            return [draw(COUNT)]
        case ["binary", "DivOp" | "ModOp"]:
            return [draw(COUNT), np.where((y := draw(COUNT)) == 0, draw.dtype.type(1), y)]
        case ["binary", "PowOp"]:
            return [np.abs(draw(COUNT, low=-4, high=4)), draw(COUNT, low=0, high=3)]
        case ["binary", _]:
            return [draw(COUNT), draw(COUNT)]
        case ["cast"]:
            x = draw(COUNT)
            return [np.abs(x) if other.startswith("u") else x]
        case ["select"]:
            return [draw.rng.random(COUNT) < 0.5, draw(COUNT), draw(COUNT)]
        case ["matmul"]:
            return [draw(2, 17, 33), draw(2, 33, 20)]
        case ["layer", "norm"]:
            return [draw(5, 33), draw(33), draw(33), np.array(1e-5, np.float32)]
        case ["rms", "norm"]:
            return [draw(5, 33), draw(33)]
        case ["reduce", _]:
            return [draw(3, 20, 5, low=-2, high=2)]
        case ["TopKOp" | "BottomKOp"]:
            return [draw(3, 20, 5, low=-5, high=5).round(), np.array(7)]
        case ["nonzero"]:
            x = draw(*SIZES[:rank])
            return [x * (draw.rng.random(x.shape) < 0.5)]
        case ["band", "part"]:
            return [draw(3, 7, 9), np.array(2), np.array(-1), np.array(False)]
        case ["range"]:
            return [np.array(value, dtype) for value in (2, 27, 3)]
        # NumPy draws other numbers, unless there is as good as one to draw.
        case ["random", "RandomNormalOp"]:
            two, little = np.array(2, np.float32), np.array(1e-12, np.float32)
            return [np.array([5]), two, little, np.array([7], np.uint64)]
        case ["random", "RandomUniformOp"]:
            return [np.array([5]), *[np.array(2, dtype)] * 2, np.array([7], np.uint64)]
        case ["gather", "GatherOp"]:
            return [draw(3, 7, 5), draw.indices(other, 7, 11)]
        case ["gather", "nd"]:
            return [draw(2, 12, 5), draw.indices(other, 3, 2, 7, 2), np.array([4, 1], other)]
        case ["scatter", "ScatterOp"]:
            return [draw(3, 7, 5), draw(3, 4, 5), draw.indices(other, 7, 3, 4, 5)]
        case ["scatter", "nd", _]:
            x, updates, strides = draw(12, 5), draw(4, 5), np.array([4, 1], other)
            return [x, updates, draw.indices(other, 3, 4, 2), strides]
        case ["scatter", _]:
            x, updates = draw(3, 7, 5), draw(3, 4, 5, low=-3, high=3)
            return [x, updates, draw.indices(other, 7, 3, 4, 5)]
        case ["data", "movement", "TransposeOp"]:
            return [draw(*SIZES), np.array([0, 3, 1, 4, 2])]
        case ["data", "movement", "BroadcastToOp"]:
            return [draw(1, 4, 1, 5, 1), *(np.zeros(size, np.uint8) for size in SIZES)]
        case ["data", "movement", "MutableStoreSliceOp"]:
            bounds = [1, 0, 0, 1, 0], [2, 2, 2, 5, 3], [1, 1, 1, 2, 1]
            return [draw(*SIZES), draw(1, 2, 2, 2, 3), *map(np.array, bounds)]
        case ["rearrange", "ConcatOp"]:
            return [draw(3, 4, 5), draw(3, 2, 5)]
        case ["rearrange", "SplitOp"]:
            return [draw(3, 7, 5), np.array(2), np.array(6)]
        case ["rearrange", "SliceOp"]:
            bounds = [0, 1, 0, -4, 1], [3, 4, 1, 5, 9], [2, 1, 1, 2, 1]
            return [draw(*SIZES[:rank]), *(np.array(bound[:rank]) for bound in bounds)]
        case ["rearrange", "TileOp"]:
            return [draw(*SIZES[:rank]), np.array([2, 1, 3, 1, 2][:rank])]
        case ["rearrange", pad]:
            value = [np.array(7, dtype)] if pad == "PadConstantOp" else []
            return [
                draw(*SIZES[:rank]),
                np.array([1, 2, 0, 3, 1, 1, 4, 0, 1, 2][: 2 * rank]),
                *value,
            ]
    raise KeyError(name)
