"""Step 04, the MLP: parameters, the activation by itself, then the whole equation."""

import math
from collections.abc import Callable

import numpy as np

from tests import oracle
from tests.samples import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    as_float32,
    block_shapes,
    random_array,
    random_weights,
    varied,
)
from tutor.check import stages
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "GPT2MLP"
TOLERANCE = 1e-5  # of the largest value: noise 4e-7; GELU by the error function is off by 1e-4
erf = np.vectorize(math.erf)
EDGE = varied(400, range(360, 440), seed=12) / 100  # of the numbers that try the activation

# What may stand in GELU's place, to be told by name.
ACTIVATIONS: dict[str, Callable[[oracle.Array], oracle.Array]] = {
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU, squared,": lambda x: np.maximum(x, 0) ** 2,
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "the sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "GELU with the error function of x, not of x / √2,": lambda x: x * (1 + erf(x)) / 2,
    "the error function": erf,
    "GELU plus x": lambda x: oracle.gelu(x) + x,
    "ReLU plus x": lambda x: np.maximum(x, 0) + x,
}


def shapes_of(config: Config, inner: int) -> dict[str, list[int]]:
    """The parameters, for an intermediate_size that need not be the configuration's."""
    shapes = oracle.under(block_shapes(config), "mlp")
    width = config.n_embd
    return shapes | {
        "c_fc.weight": [inner, width],
        "c_fc.bias": [inner],
        "c_proj.weight": [width, inner],
    }


def expect_equation(step: Workbench, what: str, config: Config, x: oracle.Array) -> None:
    weights = random_weights(shapes_of(config, config.inner))
    got = step.forward(NAME, config.inner, config, weights=weights, x=x)
    expect_close(what, got, oracle.mlp(weights, x), TOLERANCE)


def test_parameters(step: Workbench) -> None:
    for inner, config in ((SMALL.inner, SMALL), (OTHER.inner, OTHER), (10, SMALL)):
        got = step.parameters(NAME, inner, config)
        where = f" for intermediate_size {inner} and n_embd {config.n_embd}"
        expect_parameters(got, shapes_of(config, inner), where)


def test_activation(step: Workbench) -> None:
    width = SMALL.n_embd
    weights = {
        name: np.eye(width) if name.endswith("weight") else np.zeros(width)
        for name in shapes_of(SMALL, width)
    }
    x = as_float32(np.linspace(-EDGE, EDGE, LENGTH * width).reshape(1, LENGTH, width))
    for name, activation in ACTIVATIONS.items():
        stages.note(f"{name} gives", activation(x))
    got = step.forward(NAME, width, SMALL, weights=weights, x=x)
    what = f"the activation of the numbers from {-EDGE:g} to {EDGE:g}"
    expect_close(what, got, oracle.gelu(x), TOLERANCE)


def test_equation(step: Workbench) -> None:
    for config in CONFIGS:
        x = random_array(BATCH, LENGTH, config.n_embd)
        expect_equation(step, f"the output for n_embd {config.n_embd}", config, x)


def test_large_input(step: Workbench) -> None:
    x = 100 * random_array(BATCH, LENGTH, SMALL.n_embd)
    expect_equation(step, "the output for x a hundred times larger", SMALL, x)


def test_symbolic_lengths(step: Workbench) -> None:
    shape: list[int | str] = ["batch", "length", OTHER.n_embd]
    traced = step.trace(NAME, OTHER.inner, OTHER, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
