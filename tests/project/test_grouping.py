"""What attention with shared keys may be written with, and what MAX gets in its place."""

import re
from typing import Any

import numpy as np
import pytest
from max.driver import CPU, Buffer
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import stage
from max.experimental.tensor import Tensor, TensorType
from max.graph import Dim

from tests.project.helpers import tensor
from tutor.runtime import activate
from tutor.runtime.numpy_graphs import translate

activate()

RNG = np.random.default_rng(0)


def kind(*shape: int | str) -> TensorType:
    return TensorType(DType.float32, shape, device=CPU())


@pytest.mark.parametrize("axis", [0, 1, -2, -1])
def test_repeats_along_an_axis_are_broadcast(axis: int) -> None:
    def repeat(x: Tensor) -> Tensor:
        repeated: Tensor = F.repeat_interleave(x, 3, axis=axis)
        return repeated

    x = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    assert np.array_equal(repeat(tensor(x)).to_numpy(), x.repeat(3, axis))
    graph = stage(repeat)(kind("batch", "length", 4))
    assert "custom" not in str(graph)
    wanted = [Dim("batch"), Dim("length"), Dim(4)]
    wanted[axis] *= 3
    assert graph.out_layouts[0].shape == wanted


def test_other_repeats_are_left_to_max() -> None:
    def repeat(x: Tensor, counts: Tensor) -> list[Tensor]:
        return [F.repeat_interleave(x, 2), F.repeat_interleave(x, counts, axis=0, out_dim=5)]

    graph = stage(repeat)(kind(2, 3), TensorType(DType.int64, [2], device=CPU()))
    assert str(graph).count('symbol = "repeat_interleave"') == 2
    with pytest.raises(ValueError, match="repeat_interleave: axis=2 out of bounds"):
        F.repeat_interleave(tensor(np.ones((2, 3))), 2, axis=2)
    with pytest.raises(ValueError, match="must be positive"):
        F.repeat_interleave(tensor(np.ones((2, 3))), 0, axis=1)


@pytest.mark.parametrize(
    ("left", "right", "axes"),
    [
        ([2, 3, 4, "new", 5], [2, 3, 1, 5, "all"], 4),
        (["batch", 3, 4, "new", 5], ["batch", 3, 1, 5, "all"], 4),
        (["batch", 1, 4, "new", 5], [1, 3, 1, 5, "all"], 4),
        ([2, 3, 4, "new", 5], [2, 3, 4, 5, "all"], 5),
        ([3, 4, "new", 5], [3, 1, 5, "all"], 4),
    ],
    ids=["grouped", "any batch", "outer axes, too", "nothing shared", "four axes"],
)
def test_a_product_in_a_graph_gets_by_with_four_axes(
    left: list[Any], right: list[Any], axes: int
) -> None:
    sizes = {"batch": 2, "new": 7, "all": 6}
    given = [
        RNG.normal(size=[sizes.get(size, size) for size in shape]).astype(np.float32)
        for shape in (left, right)
    ]
    expected = given[0] @ given[1]
    graph = stage(lambda x, y: x @ y)(kind(*left), kind(*right))
    (shape,) = re.findall(r"rmo\.matmul.*-> !mo\.tensor<\[(.*)\], f32>", str(graph))
    assert len(re.sub(r"\(.*?\)", "", shape).split(",")) == axes
    (found,) = translate(graph.graph).bind({})(*map(Buffer.from_numpy, given))
    for product in (found, tensor(given[0]) @ tensor(given[1])):
        np.testing.assert_allclose(product.to_numpy(), expected, rtol=0, atol=1e-5)
