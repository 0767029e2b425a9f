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
    first_that,
    is_felt,
    random_array,
    random_weights,
)
from tutor.check.expectations import expect_close, expect_equal, expect_moved, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "GPT2MultiHeadAttention"
TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-2
CHANGED = 2  # the token that is changed to see what it moves
# Between the scores of the token that is attended to and any other: rounding of scores in the ten
# thousands moves them by 1e-2 or less, and the weight of the other is 2e-9.
SETTLED = 20.0


def weights_of(config: Config) -> dict[str, oracle.Array]:
    return random_weights(oracle.under(block_shapes(config), "attn"))


def expect_equation(step: Workbench, what: str, config: Config, x: oracle.Array) -> None:
    weights = weights_of(config)
    got = step.forward(NAME, config, weights=weights, x=x)
    expect_close(what, got, oracle.attention(weights, x, config.n_head), TOLERANCE)


def with_change(seed: int) -> oracle.Array:
    """A text, and the same but for one token. Shape: [2, T, C]."""
    both = random_array(1, LENGTH, SMALL.n_embd, seed=seed).repeat(2, axis=0)
    both[1, CHANGED] += 1
    return both


def moves_all(both: oracle.Array) -> bool:
    """Whether the token that is changed weighs enough for all after it."""
    return is_felt(oracle.attention(weights_of(SMALL), both, SMALL.n_head), CHANGED)


def is_settled(x: oracle.Array) -> bool:
    """Whether every head attends to one token alone, so that rounding has no say in which."""
    heads = oracle.scores_and_values(weights_of(SMALL), x, SMALL.n_head)
    ranked = np.sort([scores for scores, _ in heads], axis=-1)
    return bool((ranked[..., -1] - ranked[..., -2] > SETTLED).all())


def test_parameters(step: Workbench) -> None:
    for config in CONFIGS:
        expected = oracle.under(block_shapes(config), "attn")
        expect_parameters(step.parameters(NAME, config), expected)


def test_one_token(step: Workbench) -> None:
    expect_equation(step, "the output for one token", SMALL, random_array(BATCH, 1, SMALL.n_embd))


def test_causality(step: Workbench) -> None:
    x = first_that(moves_all, with_change, 1)
    both = step.forward(NAME, SMALL, weights=weights_of(SMALL), x=x)
    expect_moved(f"the tokens that a change of token {CHANGED} moves", both, CHANGED)


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
    shape = BATCH, LENGTH, SMALL.n_embd
    x = first_that(is_settled, lambda seed: 100 * random_array(*shape, seed=seed), 1)
    expect_equation(step, "the output for x a hundred times larger", SMALL, x)


def test_symbolic_lengths(step: Workbench) -> None:
    shape: list[int | str] = ["batch", "length", OTHER.n_embd]
    traced = step.trace(NAME, OTHER, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
