"""Has MAX multiply a matrix by one column where a compiled layer would multiply a row by it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor


def multiply_columns() -> None:
    """Have a compiled Linear compute W x + b for one column of one row, and not x W^T + b.

    It is the same, and MAX 26.7 does it twice as fast; engine 04 does it by hand. Eager layers, and
    graphs for any number of rows or columns, stay as they are.
    """
    from max.experimental import functional as F
    from max.experimental.nn import Linear

    linear: Any = Linear
    forward = Linear.forward

    def forward_column(layer: Linear, x: "Tensor") -> "Tensor":
        width, out = layer.in_dim, layer.out_dim
        is_column = [*x.shape] == [1, 1, width] and layer.quant_config is None
        if not (is_column and F.in_graph_context()):
            return forward(layer, x)
        return (layer.weight @ x.reshape([width, 1])).reshape([1, 1, out]) + layer.bias

    linear.forward = forward_column
