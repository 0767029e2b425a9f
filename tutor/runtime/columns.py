"""Has MAX multiply a matrix by one column where a compiled layer would multiply a row by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from max.experimental.nn import Linear
    from max.experimental.tensor import Tensor


@contextmanager
def multiplied() -> Iterator[None]:
    """Have each Linear that is traced compute W x + b for one column of one row, not x W^T + b.

    It is the same, and MAX 26.7 does it twice as fast; engine 04 does it by hand. Eager layers, and
    graphs for any number of rows or columns, stay as they are.
    """
    from max.experimental import functional as F
    from max.experimental.nn import Linear

    forward = Linear.forward

    def forward_column(layer: "Linear", x: "Tensor") -> "Tensor":
        is_column = [*x.shape] == [1, 1, layer.in_dim] and layer.quant_config is None
        if not (is_column and F.in_graph_context()):
            return forward(layer, x)
        product = layer.weight @ x.reshape([layer.in_dim, 1])  # [out, in] @ [in, 1] -> [out, 1]
        return product.reshape([1, 1, layer.out_dim]) + layer.bias

    with mock.patch.object(Linear, "forward", forward_column):
        yield
