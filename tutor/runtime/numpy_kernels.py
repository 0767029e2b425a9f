"""MAX's eager operations in NumPy, for machines that no pack of compiled kernels fits.

MAX's interpreter looks a compiled model up under a name such as `unary_TanhOp_cpu_0_float32`.
`find` answers with a NumPy function, and all that MAX does around it (views, shapes, dtype rules)
stays as it is. The results are those of MAX on x86-64, up to rounding, and even for NaN, which
many of its kernels skip or take for infinity. `tests/project/test_numpy_kernels.py` compares every
name with the compiled kernel, and lists what still differs.
"""

# To mypy, arithmetic on arrays of any dtype gives Any.
# mypy: disable-error-code="no-any-return"

import contextlib
import math
import operator
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from max.driver import Buffer

Array = NDArray[Any]
# Takes arrays; returns one or more, or None if it has written into the first.
Kernel = Callable[..., Array | tuple[Array, ...] | None]


def find(name: str) -> "Callable[..., list[Buffer]] | None":
    """The model of a name, buffers in and buffers out, or None if there is none of that name."""
    operation, _, variant = name.partition("_cpu_0_")
    if operation in VARIANTS:
        return model(VARIANTS[operation](variant))
    return model(KERNELS[operation]) if operation in KERNELS else None


def model(kernel: Kernel) -> "Callable[..., list[Buffer]]":
    """A kernel as MAX calls its compiled models."""
    from max.driver import Buffer

    def run(*buffers: Buffer) -> list[Buffer]:
        with np.errstate(all="ignore"):
            results = kernel(*(buffer.to_numpy() for buffer in buffers))
        if results is None:
            return []
        arrays = results if isinstance(results, tuple) else (results,)
        return [Buffer.from_numpy(unshared(array)) for array in arrays]

    return run


def unshared(array: Array) -> Array:
    """The array, or a copy of a view: writing into a result must not change an input."""
    return array if array.flags.owndata and array.flags.c_contiguous else array.copy()


def limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The smallest and the largest finite value."""
    if dtype.kind == "b":
        return False, True
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return info.min, info.max


# --- one element at a time ------------------------------------------------------------------------


def exp(x: Array) -> Array:
    """The exponential; that of NaN is infinite."""
    return np.exp(np.fmin(x, np.inf))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent; that of NaN is 1."""
    return np.tanh(np.fmin(x, np.inf))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); that of NaN is 0."""
    return 1 / (1 + exp(-x))


def gelu(x: Array) -> Array:
    """GELU with the error function (Hendrycks and Gimpel, 2016)."""
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def gelu_tanh(x: Array) -> Array:
    """GPT-2's GELU, approximated with tanh."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


# erf(x) = x P(x²) / Q(x²) to within 2e-8 of its value, up to 3.92; beyond, a float32 rounds to 1.
# Fitted by least squares, with weights that grew where the error was largest. Highest power first.
ERF_P = (2.0500867e-06, 0.00028488206, 0.00376559879, 0.0527486648, 0.190406083, 1.12837915)
ERF_Q = (3.80916745e-05, 0.00116253065, 0.0149691799, 0.114108946, 0.502075739, 1.0)

precise_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """The error function."""
    if x.dtype == np.float64:
        return np.asarray(precise_erf(x), np.float64)
    z = x.clip(-3.92, 3.92).astype(np.float64)
    square = z * z
    return (z * polynomial(ERF_P, square) / polynomial(ERF_Q, square)).astype(x.dtype)


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Its value at x, by Horner's rule."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value


UNARY: dict[str, Kernel] = {
    "NegativeOp": np.negative,
    "AbsOp": np.abs,
    "CeilOp": np.ceil,
    "FloorOp": np.floor,
    "RoundOp": np.rint,
    "TruncOp": np.trunc,
    "ExpOp": exp,
    "LogOp": np.log,
    "Log1pOp": np.log1p,
    "SqrtOp": np.sqrt,
    "RsqrtOp": lambda x: 1 / np.sqrt(x),
    "SinOp": np.sin,
    "CosOp": np.cos,
    "TanhOp": tanh,
    "AtanhOp": np.arctanh,
    "ErfOp": erf,
    "SigmoidOp": sigmoid,
    "ReluOp": lambda x: np.fmax(x, 0),
    "SiluOp": lambda x: x * sigmoid(x),
    "GeluOp": gelu,
    "GeluTanhOp": gelu_tanh,
    "GeluQuickOp": lambda x: x * sigmoid(1.702 * x),
    "NotOp": np.logical_not,
    "IsNanOp": np.isnan,
    "IsInfOp": np.isinf,
}


def divide(x: Array, y: Array) -> Array:
    """Quotients; those of integers are rounded towards zero. By zero, MAX ends the process."""
    if x.dtype.kind != "f" and not y.all():
        raise ZeroDivisionError("integers cannot be divided by 0")
    return quotient(x, y)


def quotient(x: Array, y: Array) -> Array:
    """Quotients; those of integers are rounded towards zero, and 0 / 0 is 0."""
    return x / y if x.dtype.kind == "f" else (x - np.fmod(x, y)) // y


def modulo(x: Array, y: Array) -> Array:
    """Remainders with the sign of y; 0 if y is the integer 0, NaN if y is infinite."""
    remainder: Array = np.mod(x, y)
    if x.dtype.kind == "f":
        remainder[np.isinf(y)] = np.nan
    return remainder


def power(x: Array, y: Array) -> Array:
    """Powers; those of integers with a negative exponent are rounded towards zero."""
    if x.dtype.kind == "f":
        return np.power(x, y)
    # Clearing the sign bit keeps an exponent odd or even, which is all that 1 and -1 need.
    powers = np.power(x, y & limits(y.dtype)[1])
    return np.where((y < 0) & (np.abs(x) != 1), x.dtype.type(0), powers)


def differ(x: Array, y: Any) -> Array:
    """Where x is not y; NaN differs from nothing."""
    return (x < y) | (x > y)


BINARY: dict[str, Kernel] = {
    "AddOp": np.add,
    "SubOp": np.subtract,
    "MulOp": np.multiply,
    "DivOp": divide,
    "ModOp": modulo,
    "PowOp": power,
    "MaxOp": np.fmax,
    "MinOp": np.fmin,
    "AndOp": np.logical_and,
    "OrOp": np.logical_or,
    "XorOp": np.logical_xor,
    "EqualOp": np.equal,
    "NotEqualOp": differ,
    "GreaterOp": np.greater,
    "GreaterEqualOp": np.greater_equal,
}


def cast(variant: str) -> Kernel:
    """The variant is like float32_bool, and then NaN becomes False."""
    dtype = variant.partition("_")[2]
    return lambda x: differ(x, 0) if dtype == "bool" else x.astype(dtype)


# --- along the middle axis of three ---------------------------------------------------------------


def maximum(x: Array) -> Array:
    """The largest element that is not NaN, or else the smallest finite number."""
    return np.fmax.reduce(x, axis=1, keepdims=True, initial=limits(x.dtype)[0])


def minimum(x: Array) -> Array:
    """The smallest element that is not NaN, or else the largest finite number."""
    return np.fmin.reduce(x, axis=1, keepdims=True, initial=limits(x.dtype)[1])


def total(x: Array) -> Array:
    """The sum, in the dtype of x."""
    return x.sum(axis=1, keepdims=True, dtype=x.dtype)


def mean(x: Array) -> Array:
    """The sum divided by the count, both in the dtype of x."""
    return quotient(total(x), np.array(x.shape[1]).astype(x.dtype))


def softmax(x: Array) -> Array:
    """Exponentials that sum to 1."""
    exponentials = exp(x - maximum(x))
    return exponentials / total(exponentials)


def log_softmax(x: Array) -> Array:
    """The logarithm of softmax."""
    x = x - maximum(x)
    return x - np.log(total(exp(x)))


def argmax(x: Array) -> Array:
    """Where the first of the largest elements is; NaN counts as the smallest."""
    return first(np.ndarray.argmax, np.fmax(x, limits(x.dtype)[0]))


def argmin(x: Array) -> Array:
    """Where the first of the smallest elements is; NaN counts as the largest."""
    return first(np.ndarray.argmin, np.fmin(x, limits(x.dtype)[1]))


def first(search: Callable[..., Array], x: Array) -> Array:
    """What is found along the axis; 0 where that is empty."""
    if x.shape[1] == 0:
        return np.zeros((x.shape[0], 1, x.shape[2]), np.int64)
    return search(x, axis=1, keepdims=True).astype(np.int64)


def cumsum(variant: str) -> Kernel:
    """The variant is like float32_e1r0: exclusive of the element itself, and not reversed."""
    exclusive, backwards = variant[-3] == "1", variant[-1] == "1"

    def run(x: Array) -> Array:
        ordered = x[:, ::-1] if backwards else x
        sums = np.zeros(x.shape, np.float64 if x.dtype.kind == "f" else x.dtype)
        if exclusive:
            np.add.accumulate(ordered[:, :-1], axis=1, out=sums[:, 1:])
        else:
            np.add.accumulate(ordered, axis=1, out=sums)
        return (sums[:, ::-1] if backwards else sums).astype(x.dtype)

    return run


def top_k(x: Array, k: Array) -> tuple[Array, Array]:
    """The k largest, from the largest down, and where they are; the first of equals first."""
    return in_order(x, k, -x if x.dtype.kind == "f" else ~x)


def bottom_k(x: Array, k: Array) -> tuple[Array, Array]:
    """The k smallest, from the smallest up, and where they are; the first of equals first."""
    return in_order(x, k, x)


def in_order(x: Array, k: Array, keys: Array) -> tuple[Array, Array]:
    """The k elements with the smallest keys, and where they are."""
    if k > x.shape[1]:
        raise ValueError(f"k is {k}, but there are only {x.shape[1]} elements to choose from")
    order = keys.argsort(axis=1, kind="stable")[:, : int(k)].astype(np.int64)
    return np.take_along_axis(x, order, axis=1), order


REDUCE: dict[str, Kernel] = {
    "ReduceMaxOp": maximum,
    "ReduceMinOp": minimum,
    "ReduceAddOp": total,
    "ReduceMulOp": lambda x: x.prod(axis=1, keepdims=True, dtype=x.dtype),
    "ReduceMeanOp": mean,
    "ReduceSoftmaxOp": softmax,
    "ReduceLogsoftmaxOp": log_softmax,
    "ReduceArgMaxOp": argmax,
    "ReduceArgMinOp": argmin,
}

# --- along the last axis --------------------------------------------------------------------------


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: Array) -> Array:
    """Normalization to mean 0 and variance 1, then scale and shift."""
    centered = x - mean_of_last(x)
    return centered / np.sqrt(mean_of_last(centered * centered) + epsilon) * gamma + beta


def rms_norm(variant: str) -> Kernel:
    """The variant is like float32_epsacc52737_wo0000803f_mbc0: two numbers as bytes of float32."""
    _, epsilon_bits, offset_bits, _ = variant.split("_")
    (epsilon,) = struct.unpack("<f", bytes.fromhex(epsilon_bits.removeprefix("eps")))
    (offset,) = struct.unpack("<f", bytes.fromhex(offset_bits.removeprefix("wo")))

    def run(x: Array, weight: Array) -> Array:
        return x / np.sqrt(mean_of_last(x * x) + epsilon) * (weight + offset)

    return run


def mean_of_last(x: Array) -> Array:
    """The mean along the last axis, which stays; NaN if it is empty."""
    return x.sum(axis=-1, keepdims=True) / x.shape[-1]


# --- moving elements, whatever they are -----------------------------------------------------------


def band_part(x: Array, lower: Array, upper: Array, exclude: Array) -> Array:
    """Zeros outside a band around the diagonal, or inside it; a negative width means all."""
    row, column = np.ogrid[: x.shape[1], : x.shape[2]]
    below = (lower < 0) | (row - column <= lower)
    above = (upper < 0) | (column - row <= upper)
    return x * ((below & above) != exclude)


def broadcast(x: Array, *carriers: Array) -> Array:
    """To the sizes of the carriers."""
    return np.broadcast_to(x, [carrier.size for carrier in carriers])


def slices(shape: tuple[int, ...], *bounds: Iterable[Any]) -> tuple[slice, ...]:
    """Starts, stops and steps as slices. Raises ValueError for a stop before its start."""
    cuts = tuple(slice(*map(int, bound)) for bound in zip(*bounds, strict=True))
    for size, cut in zip(shape, cuts, strict=True):
        start, stop, step = cut.indices(size)
        if (stop - start) * step < 0:
            raise ValueError(f"a slice from {start} to {stop} cannot have the step {step}")
    return cuts


def split(x: Array, start: Array, stop: Array) -> Array:
    """One part of the middle axis."""
    return x[:, *slices(x.shape[1:2], [start], [stop], [1])]


def store_slice(x: Array, new: Array, *bounds: Array) -> None:
    """Write into a part of x, which must have the shape of what is new."""
    part = x[slices(x.shape, *bounds)]
    if part.shape != new.shape:
        raise ValueError(f"values of shape {new.shape} do not fill a slice of shape {part.shape}")
    part[...] = new


def pad(mode: Any) -> Kernel:
    """With a value that is given, or with what NumPy's mode finds in x."""

    def run(x: Array, paddings: Array, *value: Array) -> Array:
        given = {"constant_values": value[0]} if value else {}
        return np.pad(x, paddings.reshape(-1, 2), mode, **given)

    return run


@contextlib.contextmanager
def refusing(operation: str) -> Iterator[None]:
    """Refuse an index out of bounds as MAX's gather does, also where MAX reads or writes there."""
    try:
        yield
    except IndexError as error:
        raise ValueError(f"{operation} {error}") from None


def gather(x: Array, indices: Array) -> Array:
    """Along the middle axis; negative indices count from its end."""
    with refusing("gather"):
        return x.take(indices, axis=1)


def gather_nd(x: Array, indices: Array, strides: Array) -> Array:
    """From the middle axis of x [batch, flat, inner], by indices [batch, m, k]; none negative."""
    flat = (indices * strides).sum(axis=-1)
    with refusing("gather_nd"):
        if (flat < 0).any():
            raise IndexError(f"index {flat.min()} is negative")
        return x[np.arange(len(x))[:, None], flat]


def scatter(write: Callable[..., None]) -> Kernel:
    """Along the middle axis; negative indices count from its end."""

    def run(x: Array, updates: Array, indices: Array) -> Array:
        result = x.copy()
        outer, _, inner = np.ogrid[tuple(map(slice, indices.shape))]
        with refusing("scatter"):
            write(result, (outer, indices, inner), updates)
        return result

    return run


def scatter_nd(x: Array, updates: Array, indices: Array, strides: Array) -> Array:
    """Along the first axis of x [flat, inner], by indices [m, k]; the last of equals wins."""
    result = x.copy()
    with refusing("scatter_nd"):
        result[(indices * strides).sum(axis=-1)] = updates
    return result


# --- new elements ---------------------------------------------------------------------------------


def make_range(start: Array, stop: Array, step: Array) -> Array:
    """From start until stop; floats may step away from it, and then as often as towards it."""
    backwards = stop < start if step > 0 else stop > start
    whole = start.dtype.kind != "f"
    if step == 0 or (backwards and whole):
        raise ValueError(f"a range from {start} to {stop} cannot have the step {step}")
    if whole:
        return np.arange(start.item(), stop.item(), step.item(), dtype=start.dtype)
    count = np.ceil(np.abs((stop - start) / step)).item()
    return (start + np.arange(count) * step).astype(start.dtype)


def random_normal(dtype: Any) -> Kernel:
    """The variant is the dtype; the parameters are float32 all the same."""

    def run(shape: Array, mean: Array, deviation: Array, seed: Array) -> Array:
        if deviation <= 0:
            raise ValueError(f"a standard deviation must be positive, but is {deviation}")
        noise = np.random.default_rng(seed).standard_normal(shape.item(), dtype)
        return mean + deviation * noise

    return run


def random_uniform(shape: Array, low: Array, high: Array, seed: Array) -> Array:
    """From low up to high, without it."""
    if low > high:
        raise ValueError(f"the lower bound {low} is above the upper bound {high}")
    return low + (high - low) * np.random.default_rng(seed).random(shape.item(), low.dtype)


# --- all, by MAX's names up to the device ---------------------------------------------------------

KERNELS: dict[str, Kernel] = {
    **{f"unary_{operation}": kernel for operation, kernel in UNARY.items()},
    **{f"binary_{operation}": kernel for operation, kernel in BINARY.items()},
    **{f"reduce_{operation}": kernel for operation, kernel in REDUCE.items()},
    "TopKOp": top_k,
    "BottomKOp": bottom_k,
    "matmul": np.matmul,
    "select": np.where,
    "nonzero": np.argwhere,
    "layer_norm": layer_norm,
    "band_part": band_part,
    "data_movement_TransposeOp": np.transpose,
    "data_movement_BroadcastToOp": broadcast,
    "data_movement_MutableStoreSliceOp": store_slice,
    "rearrange_ConcatOp": lambda x, y: np.concatenate([x, y], axis=1),
    "rearrange_SplitOp": split,
    "rearrange_SliceOp": lambda x, *bounds: x[slices(x.shape, *bounds)],
    "rearrange_TileOp": np.tile,
    "rearrange_PadConstantOp": pad("constant"),
    "rearrange_PadReflectOp": pad("reflect"),
    "rearrange_PadRepeatOp": pad("edge"),
    "gather_GatherOp": gather,
    "gather_nd": gather_nd,
    "scatter_ScatterOp": scatter(operator.setitem),
    "scatter_ScatterAddOp": scatter(np.add.at),
    "scatter_ScatterMulOp": scatter(np.multiply.at),
    "scatter_ScatterMaxOp": scatter(np.fmax.at),
    "scatter_ScatterMinOp": scatter(np.fmin.at),
    "scatter_nd_ScatterNdOp": scatter_nd,
    "range": make_range,
    "random_RandomUniformOp": random_uniform,
}

# Those that need to know more than the dtype of their arguments, from the rest of the name.
VARIANTS: dict[str, Callable[[str], Kernel]] = {
    "cast": cast,
    "reduce_CumsumOp": cumsum,
    "rms_norm": rms_norm,
    "random_RandomNormalOp": random_normal,
}
