"""Modern 02, RMSNorm: parameters, the equation, then small, far-off and large numbers."""

import numpy as np

from tests import oracle_modern
from tests.oracle import Array
from tests.samples import BATCH, LENGTH, OTHER, SMALL, as_float32, random_array, random_weights
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench

NAME = "RMSNorm"
DIM, OTHER_DIM = SMALL.n_embd, OTHER.n_embd
EPSILON = 1e-6
TOLERANCE = 1e-5  # of the largest value: noise 3e-7, the nearest mistake 6e-2


def shapes(dim: int) -> dict[str, list[int]]:
    return {"weight": [dim]}


def expect_equation(step: Workbench, what: str, x: Array, epsilon: float | None = None) -> None:
    """Expect the oracle's output; the epsilon is left to its default unless given."""
    x, weights = as_float32(x), random_weights(shapes(x.shape[-1]))
    options = {} if epsilon is None else {"eps": epsilon}
    got = step.forward(NAME, x.shape[-1], weights=weights, x=x, **options)
    expected = oracle_modern.rms_norm(weights, x, EPSILON if epsilon is None else epsilon)
    expect_close(what, got, expected, TOLERANCE)


def test_parameters(step: Workbench) -> None:
    for dim in (DIM, OTHER_DIM):
        expect_parameters(step.parameters(NAME, dim), shapes(dim), f" of {NAME}({dim})")


def test_start(step: Workbench) -> None:
    start = step.initial_weights(NAME, DIM)
    expect_parameters({name: list(start[name].shape) for name in start}, shapes(DIM))
    expect_close("weight", start["weight"], np.ones(DIM), 0.0)


def test_equation(step: Workbench) -> None:
    expect_equation(step, "the output", random_array(BATCH, LENGTH, DIM))
    expect_equation(step, "the output for x of two axes", random_array(LENGTH, OTHER_DIM))


def test_epsilon(step: Workbench) -> None:
    x = random_array(BATCH, LENGTH, DIM)
    expect_equation(step, "the output for x / 1000", x / 1000)
    expect_equation(step, "the output with eps=0.05", x, 0.05)
    expect_equation(step, "the output for x / 100 with eps=1e-5", x / 100, 1e-5)


def test_range(step: Workbench) -> None:
    x = 3 + random_array(BATCH, LENGTH, DIM)
    expect_equation(step, "the output for x + 3", x)
    expect_equation(step, "the output for 10000 (x + 3)", 10000 * x)


def test_symbolic_lengths(step: Workbench) -> None:
    shape: list[int | str] = ["batch", "length", DIM]
    traced = step.trace(NAME, DIM, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
