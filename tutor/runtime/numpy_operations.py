"""What each operation of a lowered graph computes, as a function of NumPy arrays.

What MAX's eager kernels compute is taken from `numpy_kernels`, so that a rule, such as that of NaN,
stands once. Some of them want their arrays with one to three axes, as MAX's interpreter gives them.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from max._interpreter_ops import gather_gc, rms_norm_gc, scatter_gc, scatter_nd_gc
from max._interpreter_ops.gc_compile import canonical_rank2, canonical_rank3
from max.driver import CPU
from max.graph.ops.rms_norm import _float32_attr_value
from numpy.typing import NDArray

from tutor.runtime.numpy_kernels import BINARY, KERNELS, REDUCE, UNARY, VARIANTS

Array = NDArray[Any]
Shape = tuple[int, ...]
Function = Callable[..., Any]
Maker = Callable[[Any], Function]  # from an operation of a graph to what it computes


class UnsupportedOpError(Exception):
    """A graph that NumPy cannot compute as MAX would; names the operation."""


def operands_of(op: Any) -> list[Any]:
    """The values that an operation reads."""
    return [getattr(operand, "value", operand) for operand in op.operands]


def axis_of(op: Any) -> int:
    """The axis of an operation, counted from the first."""
    axis: int = op.axis
    return axis % len(operands_of(op)[0].type.shape.values)


def always(function: Function) -> Maker:
    """What computes the same for every operation of its name."""
    return lambda _: function


def cast(op: Any) -> Function:
    """The same numbers in the dtype of the result."""
    dtypes = operands_of(op)[0].type.dtype.name, op.results[0].type.dtype.name
    return VARIANTS["cast"]("_".join(dtypes))


# Along an axis


def reduce(kernel: Function) -> Maker:
    """A kernel of [outer, axis, inner] that keeps the axis."""

    def make(op: Any) -> Function:
        axis = axis_of(op)

        def along_axis(x: Array) -> Array:
            reduced: Array = kernel(x.reshape(canonical_rank3(x.shape, axis)))
            return reduced.reshape(*x.shape[:axis], reduced.shape[1], *x.shape[axis + 1 :])

        return along_axis

    return make


def cumsum(op: Any) -> Function:
    """Sums so far, which may leave out the element itself, or begin at the end."""
    return reduce(VARIANTS["reduce_CumsumOp"](f"e{int(op.exclusive)}r{int(op.reverse)}"))(op)


def select_k(kernel: Function) -> Maker:
    """The k largest or smallest along an axis, in order, and where they are."""

    def along_axis(x: Array, k: Array, axis: Array, _in_order: Array) -> list[Array]:
        at = int(axis) % x.ndim
        shape = (*x.shape[:at], int(k), *x.shape[at + 1 :])
        return [part.reshape(shape) for part in kernel(x.reshape(canonical_rank3(x.shape, at)), k)]

    return always(along_axis)


def over_rows(kernel: Function, x: Array, *others: Array) -> Array:
    """What a kernel of [rows, width] computes, for any number of leading axes."""
    result: Array = kernel(x.reshape(canonical_rank2(x.shape)), *others)
    return result.reshape(x.shape)


def rms_norm(op: Any) -> Function:
    """With the two numbers of an operation, which MAX puts into the name of a kernel."""
    epsilon, offset = map(_float32_attr_value, (op.epsilon, op.weight_offset))
    dtype = operands_of(op)[0].type.dtype
    name = rms_norm_gc._graph_name(CPU(), dtype, epsilon, offset, op.multiply_before_cast)
    return partial(over_rows, VARIANTS["rms_norm"](name.partition("_cpu_0_")[2]))


def matmul(x: Array, y: Array) -> Array:
    """The product of matrices. One matrix for all rows is multiplied once, which is fastest."""
    if y.ndim > 2 and not any(y.strides[:-2]):
        rows = in_line(x).reshape(canonical_rank2(x.shape))
        return matmul(rows, y[(0,) * (y.ndim - 2)]).reshape(*x.shape[:-1], y.shape[-1])
    product: Array = np.matmul(in_line(x), in_line(y))
    return product


def in_line(x: Array) -> Array:
    """The same matrices, the numbers of a row or of a column side by side, as BLAS wants them."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


# By indices


def gather(op: Any) -> Function:
    """What lies at some indices of an axis."""
    kernel: Function = KERNELS["gather_GatherOp"]
    axis = axis_of(op)

    def along_axis(x: Array, indices: Array) -> Array:
        view, flat = gather_gc.gather_operand_views(x.shape, indices.shape, axis)
        taken: Array = kernel(x.reshape(view), indices.reshape(flat))
        shape: Shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
        return taken.reshape(shape)

    return along_axis


def gather_nd(op: Any) -> Function:
    """What lies at vectors of indices, of the axes after the first batch_dims."""
    kernel: Function = KERNELS["gather_nd"]
    batch_dims: int = op.batch_dims

    def at_vectors(x: Array, indices: Array) -> Array:
        view, vectors, strides = gather_gc.gather_nd_operand_views(
            x.shape, indices.shape, batch_dims
        )
        taken: Array = kernel(x.reshape(view), indices.reshape(vectors), np.array(strides))
        shape: Shape = indices.shape[:-1] + x.shape[batch_dims + indices.shape[-1] :]
        return taken.reshape(shape)

    return at_vectors


def scatter(kernel: Function) -> Maker:
    """A copy with updates at some indices of an axis, which is an attribute or the last operand."""

    def make(op: Any) -> Function:
        attribute = () if len(operands_of(op)) == 4 else (op.axis,)

        def along_axis(x: Array, updates: Array, indices: Array, *operand: Array) -> Array:
            (axis,) = attribute or operand
            at = int(axis) % x.ndim
            view, part = scatter_gc.scatter_operand_views(x.shape, updates.shape, at)
            result: Array = kernel(x.reshape(view), updates.reshape(part), indices.reshape(part))
            return result.reshape(x.shape)

        return along_axis

    return make


def scatter_nd(x: Array, updates: Array, indices: Array) -> Array:
    """A copy with updates at vectors of indices."""
    *views, strides = scatter_nd_gc.scatter_nd_operand_views(x.shape, indices.shape)
    parts = (part.reshape(view) for part, view in zip((x, updates, indices), views, strict=True))
    kernel: Function = KERNELS["scatter_nd_ScatterNdOp"]
    result: Array = kernel(*parts, np.array(strides))
    return result.reshape(x.shape)


# Moving elements


def band_part(x: Array, *bounds: Array) -> Array:
    """What lies in a band of the last two axes, and 0 elsewhere, even for an infinite number."""
    kernel: Function = KERNELS["band_part"]
    matrices = x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
    kept: Array = kernel(matrices.view(f"u{x.itemsize}"), *bounds)
    return kept.view(x.dtype).reshape(x.shape)


def concat(op: Any) -> Function:
    """Side by side along an axis."""
    axis = axis_of(op)
    return lambda *parts: np.concatenate(parts, axis=axis)


def split(op: Any) -> Function:
    """Into parts of some sizes along an axis."""
    before = (slice(None),) * axis_of(op)

    def into_parts(x: Array, sizes: Array) -> list[Array]:
        ends = np.cumsum(sizes).tolist()
        return [x[(*before, slice(*part))] for part in zip([0, *ends], ends, strict=False)]

    return into_parts


def broadcast_shape(*shapes: Array) -> Array:
    """The shape that operands of these shapes are broadcast to."""
    return np.array(np.broadcast_shapes(*(shape.tolist() for shape in shapes)), np.int64)


# Operations that MAX calls by a name


def argsort(op: Any) -> Function:
    """Where each element is in order; equals stay as they are."""
    ascending = dict(op.parameters.value)["ascending"].value
    return lambda x: np.argsort(x if ascending else -x, kind="stable")


BLOCK = 32  # numbers with one scale


def unpack(packed: Array) -> Array:
    """The float32 numbers of a matrix in Q4_0. Shape: [out, in / 32 * 18] -> [out, in]."""
    blocks = packed.reshape(len(packed), -1, 2 + BLOCK // 2)
    scale = blocks[..., :2].copy().view(np.float16).astype(np.float32)
    whole = np.concatenate([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], axis=-1)
    return (scale * (whole - np.float32(8))).reshape(len(packed), -1)


def quantized_matmul(x: Array, weight: Array) -> Array:
    """The product x W^T; MAX first rounds each block of x to whole numbers up to 127.

    Shape: [N, in], [out, in] -> [N, out].
    """
    blocks = x.reshape(len(x), -1, BLOCK)
    scale = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(127)
    whole = np.rint(blocks / np.where(scale, scale, 1))
    product: Array = (whole * scale).reshape(x.shape) @ weight.T
    return product


CUSTOM: dict[str, Maker] = {
    "mx.argsort": argsort,
    "repeat_interleave": always(lambda x, repeats, axis: np.repeat(x, repeats, int(axis))),
    "vroom_q4_0_repack_weights": always(unpack),
    "vroom_q4_0_matmul": always(quantized_matmul),
}


def custom(op: Any) -> Function:
    """What MAX calls by this name."""
    if op.symbol not in CUSTOM:
        raise UnsupportedOpError(f"NumPy does not stand in for {op.symbol}")
    return CUSTOM[op.symbol](op)


# By the classes that MAX has for them: functions of the operands …
OPERATIONS: dict[str, Maker] = {
    **{name: always(kernel) for name, kernel in {**UNARY, **BINARY}.items()},
    "CastOp": cast,
    "SelectOp": always(np.where),
    **{name: reduce(kernel) for name, kernel in REDUCE.items()},
    "CumsumOp": cumsum,
    "TopKOp": select_k(KERNELS["TopKOp"]),
    "BottomKOp": select_k(KERNELS["BottomKOp"]),
    "ReduceLayerNormOp": always(partial(over_rows, KERNELS["layer_norm"])),
    "ReduceRmsNormOp": rms_norm,
    "MatmulOp": always(matmul),
    "BatchMatmulOp": always(matmul),
    "GatherOp": gather,
    "GatherNdOp": gather_nd,
    **{
        name: scatter(KERNELS[f"scatter_{name}"])
        for name in (f"Scatter{how}Op" for how in ("", "Add", "Max", "Min", "Mul"))
    },
    "ScatterNdOp": always(scatter_nd),
    "ArgNonzeroOp": always(KERNELS["nonzero"]),
    "LinalgBandPartOp": always(band_part),
    "TransposeOp": always(lambda x, order: x.transpose(order.tolist())),
    "ConcatOp": concat,
    "SplitOp": split,
    **{
        name: always(KERNELS[f"rearrange_{name}"])
        for name in ("TileOp", "PadConstantOp", "PadReflectOp", "PadRepeatOp")
    },
    "BroadcastToOp": always(lambda x, shape: np.broadcast_to(x, shape.tolist())),
    "BroadcastShapeOp": always(broadcast_shape),
    "ShapeOfOp": always(lambda x: np.array(x.shape, np.int64)),
    "TransferOp": always(lambda x: x),
    "CustomOp": custom,
}


def checked(function: Function) -> Maker:
    """For an operation whose graph only claims what shape its result has."""

    def make(op: Any) -> Function:
        name = type(op).__name__

        def fitting(shape: Sequence[int | None], *operands: Array) -> Array:
            result: Array = function(*operands)
            if any(size not in (None, got) for size, got in zip(shape, result.shape, strict=True)):
                raise ValueError(f"{name} gives the shape {list(result.shape)}, not {list(shape)}")
            return result

        return fitting

    return make


# … of the shape that the result has in the graph, and the operands …
SHAPED: dict[str, Maker] = {
    "StaticReshapeOp": always(lambda shape, x: x.reshape(shape)),
    "StaticBroadcastToOp": always(lambda shape, x: np.broadcast_to(x, shape)),
    "ReshapeOp": checked(lambda x, shape: x.reshape(shape.tolist())),
    "RebindOp": checked(lambda x: x),
    "SliceOp": checked(KERNELS["rearrange_SliceOp"]),
    "RangeOp": checked(KERNELS["range"]),
}

# … or of a buffer, which they write to, and the other operands.
STORES: dict[str, Function] = {
    "MutableStoreOp": np.copyto,
    "MutableStoreSliceOp": KERNELS["data_movement_MutableStoreSliceOp"],
}
