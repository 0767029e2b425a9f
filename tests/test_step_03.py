"""Step 03, layer normalization: parameters, the equation, then small and far-off numbers."""

import numpy as np

from tests import oracle
from tests.samples import BATCH, LENGTH, OTHER, SMALL, as_float32, random_array, random_weights
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench

NAME = "LayerNorm"
DIM, OTHER_DIM = SMALL.n_embd, OTHER.n_embd
EPSILON = 1e-5
# Of the largest value. Noise 2e-7, and 1e-5 at an offset, where the variance as a difference of
# squares is off by 3e-4 or more; the other mistakes by 1e-2. What epsilon does at unit variance,
# 2e-5, is left to the check of it.
TOLERANCE = 1e-4


def shapes(dim: int) -> dict[str, list[int]]:
    return {"weight": [dim], "bias": [dim]}


def expect_equation(
    step: Workbench, what: str, x: oracle.Array, epsilon: float | None = None
) -> None:
    """Expect the oracle's output; the epsilon is left to its default unless given."""
    x, weights = as_float32(x), random_weights(shapes(x.shape[-1]))
    options = {} if epsilon is None else {"eps": epsilon}
    got = step.forward(NAME, x.shape[-1], weights=weights, x=x, **options)
    expected = oracle.layer_norm(weights, x, EPSILON if epsilon is None else epsilon)
    expect_close(what, got, expected, TOLERANCE)


def test_parameters(step: Workbench) -> None:
    for dim in (DIM, OTHER_DIM):
        expect_parameters(step.parameters(NAME, dim), shapes(dim), f" of {NAME}({dim})")


def test_start(step: Workbench) -> None:
    start = step.initial_weights(NAME, DIM)
    expect_parameters({name: list(start[name].shape) for name in start}, shapes(DIM))
    got = np.stack([start["weight"], start["bias"]])
    expected = np.stack([np.ones(DIM), np.zeros(DIM)])
    expect_close("weight (row 0) and bias (row 1)", got, expected, 0.0)


def test_equation(step: Workbench) -> None:
    expect_equation(step, "the output", random_array(BATCH, LENGTH, DIM))
    expect_equation(step, "the output for 1000 x", 1000 * random_array(BATCH, LENGTH, DIM))
    expect_equation(step, "the output for x of two axes", random_array(LENGTH, OTHER_DIM))


def test_epsilon(step: Workbench) -> None:
    x = random_array(BATCH, LENGTH, DIM)
    expect_equation(step, "the output for x / 1000", x / 1000)
    expect_equation(step, "the output with eps=0.05", x, 0.05)
    expect_equation(step, "the output for x / 100 with eps=1e-6", x / 100, 1e-6)


def test_offset(step: Workbench) -> None:
    expect_equation(step, "the output for x + 100", 100 + random_array(BATCH, LENGTH, DIM))


def test_symbolic_lengths(step: Workbench) -> None:
    shape: list[int | str] = ["batch", "length", DIM]
    traced = step.trace(NAME, DIM, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
