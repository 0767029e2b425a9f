"""Modern 03, the MLP with a gate: parameters, the equation, and what the gate decides."""

import numpy as np

from tests import oracle_modern
from tests.oracle import Array
from tests.samples import (
    BATCH,
    LENGTH,
    OTHER,
    SMALL,
    as_float32,
    random_array,
    random_weights,
    varied,
)
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench

NAME = "LlamaMLP"
# Widths of the vectors and inside; no two agree, and none is four times another.
SIZES = ((SMALL.n_embd, 40), (OTHER.n_embd, 52), (10, 6))
TOLERANCE = 1e-5  # of the largest value: noise 4e-7; GELU in place of SiLU is off by 6e-2
MOVED = varied(2, range(LENGTH), seed=21)  # the token that changes


def shapes(width: int, inner: int) -> dict[str, list[int]]:
    return {
        "gate_proj.weight": [inner, width],
        "up_proj.weight": [inner, width],
        "down_proj.weight": [width, inner],
    }


def inputs(width: int, inner: int) -> tuple[dict[str, Array], Array]:
    """Weights, and an input so large that SiLU is no straight line there."""
    weights = random_weights(shapes(width, inner))
    return weights, as_float32(2 * random_array(BATCH, LENGTH, width))


def test_parameters(step: Workbench) -> None:
    for sizes in SIZES:
        expect_parameters(step.parameters(NAME, *sizes), shapes(*sizes), f" of {NAME}{sizes}")


def test_equation(step: Workbench) -> None:
    for sizes in SIZES:
        weights, x = inputs(*sizes)
        got = step.forward(NAME, *sizes, weights=weights, x=x)
        expect_close(f"the output of {NAME}{sizes}", got, oracle_modern.mlp(weights, x), TOLERANCE)


def test_gate(step: Workbench) -> None:
    weights, x = inputs(*SIZES[0])
    shut = weights | {"gate_proj.weight": np.zeros_like(weights["gate_proj.weight"])}
    got = step.forward(NAME, *SIZES[0], weights=shut, x=x)
    expect_close("the output where gate_proj is 0", got, np.zeros_like(x), 0.0)
    doubled = weights | {"up_proj.weight": 2 * weights["up_proj.weight"]}
    got = step.forward(NAME, *SIZES[0], weights=doubled, x=x)
    expected = oracle_modern.mlp(doubled, x)
    expect_close("the output where up_proj is twice as large", got, expected, TOLERANCE)


def test_positions(step: Workbench) -> None:
    weights, x = inputs(*SIZES[1])
    x[1] = x[0]
    x[1, MOVED] *= -1
    got = step.forward(NAME, *SIZES[1], weights=weights, x=x)
    moved = [place for place in range(LENGTH) if not np.array_equal(got[0, place], got[1, place])]
    expect_equal(f"the outputs that differ where token {MOVED} does", moved, [MOVED], observed=got)


def test_symbolic_lengths(step: Workbench) -> None:
    width, inner = SIZES[1]
    shape: list[int | str] = ["batch", "length", width]
    traced = step.trace(NAME, width, inner, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
