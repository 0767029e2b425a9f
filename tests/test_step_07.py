"""Step 07, multi-head attention: parameters, one token, causality, then the whole equation."""

import numpy as np

from tests import oracle
from tests.samples import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    block_shapes,
    random_array,
    random_weights,
)
from tutor.grading.channel import Config
from tutor.grading.expectations import (
    expect_close,
    expect_equal,
    expect_moved,
    expect_parameters,
)
from tutor.grading.workbench import Workbench

NAME = "GPT2MultiHeadAttention"
TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-2


def weights_of(config: Config) -> dict[str, oracle.Array]:
    return random_weights(oracle.under(block_shapes(config), "attn"))


def expect_equation(step: Workbench, what: str, config: Config, x: oracle.Array) -> None:
    weights = weights_of(config)
    got = step.forward(NAME, config, weights=weights, x=x)
    expect_close(what, got, oracle.attention(weights, x, config.n_head), TOLERANCE)


def test_parameters(step: Workbench) -> None:
    for config in CONFIGS:
        expected = oracle.under(block_shapes(config), "attn")
        expect_parameters(step.parameters(NAME, config), expected)


def test_one_token(step: Workbench) -> None:
    expect_equation(step, "the output for one token", SMALL, random_array(BATCH, 1, SMALL.n_embd))


def test_causality(step: Workbench) -> None:
    x, changed = random_array(1, LENGTH, SMALL.n_embd), 2
    other = x.copy()
    other[:, changed] += 1
    both = step.forward(NAME, SMALL, weights=weights_of(SMALL), x=np.concatenate([x, other]))
    expect_moved(f"the tokens that a change of token {changed} moves", both, changed)


def test_equation(step: Workbench) -> None:
    for config in CONFIGS:
        for length in (LENGTH, config.n_positions):
            x = random_array(BATCH, length, config.n_embd)
            expect_equation(step, f"the output for {length} tokens", config, x)


def test_rows(step: Workbench) -> None:
    x, weights = random_array(3, LENGTH, SMALL.n_embd), weights_of(SMALL)
    together = step.forward(NAME, SMALL, weights=weights, x=x)
    alone = step.forward(NAME, SMALL, weights=weights, x=x[1:2])
    expect_close("row 1 by itself", alone, together[1:2], TOLERANCE)


def test_large_scores(step: Workbench) -> None:
    x = 100 * random_array(BATCH, LENGTH, SMALL.n_embd)
    expect_equation(step, "the output for x a hundred times larger", SMALL, x)


def test_symbolic_lengths(step: Workbench) -> None:
    shape = ["batch", "length", OTHER.n_embd]
    traced = step.trace(NAME, OTHER, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
