"""Keeps attention whose heads share keys and values from operations that MAX is not ready for."""

import functools
from typing import Any

AXES = 5  # the most that eager MAX knows


def keep_groups_light() -> None:
    """Replace two operations that cost MAX 26.7 minutes, or all memory, by others that are equal.

    repeat_interleave is a custom operation, which eager MAX refuses or compiles for each shape,
    for two minutes. A product of matrices with five axes computes at once, but to compile one
    takes 16 GB.
    """
    from max.experimental import functional as F

    F.repeat_interleave = by_broadcasting(F.repeat_interleave)
    F.matmul = with_four_axes(F.matmul)


def by_broadcasting(original: Any) -> Any:
    """Of repeat_interleave, what repeats a number of times along an axis without the operation.

    [.., A, ..] is broadcast to [.., A, repeats, ..], and the two axes become one.
    """
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor

    @functools.wraps(original)
    def repeat_interleave(x: Any, repeats: Any, axis: Any = None, out_dim: Any = None) -> Any:
        is_plain = isinstance(x, Tensor) and isinstance(repeats, int) and isinstance(axis, int)
        if not is_plain or repeats < 1 or not -x.rank <= axis < x.rank < AXES:
            return original(x, repeats, axis, out_dim)
        behind = axis % x.rank + 1
        *before, repeated = x.shape[:behind]
        after = x.shape[behind:]
        wide = F.broadcast_to(x.unsqueeze(behind), [*before, repeated, repeats, *after])
        return wide.reshape([*before, repeated * repeats, *after])

    return repeat_interleave


def with_four_axes(original: Any) -> Any:
    """Of matmul, what stacks the matrices that share one on the right, if a graph has five axes.

    [.., R, N, D] @ [.., 1, D, S] is [.., R N, D] @ [.., D, S], taken apart again.
    """
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor

    @functools.wraps(original)
    def matmul(lhs: Any, rhs: Any) -> Any:
        is_plain = isinstance(lhs, Tensor) and isinstance(rhs, Tensor) and F.in_graph_context()
        if not is_plain or not lhs.rank == rhs.rank == AXES or rhs.shape[-3] != 1:
            return original(lhs, rhs)
        *outer, sharing, rows, inner = lhs.shape
        product = original(lhs.reshape([*outer, sharing * rows, inner]), rhs.squeeze(-3))
        return product.reshape([*product.shape[:-2], sharing, rows, product.shape[-1]])

    return matmul
