"""Step 10, the language-model head: parameters, the config it carries, then its logits."""

from dataclasses import asdict, replace

from tests import oracle
from tests.samples import (
    BATCH,
    CONFIGS,
    LENGTH,
    first_that,
    is_felt,
    parameter_shapes,
    random_tokens,
    random_weights,
    sizes,
)
from tutor.check.expectations import (
    expect_close,
    expect_entries,
    expect_equal,
    expect_moved,
    expect_parameters,
)
from tutor.check.sandbox.workbench import Workbench

NAME = "MaxGPT2LMHeadModel"
# The head is the same whatever the number of blocks is.
SMALL, OTHER = SHALLOW = [replace(config, n_layer=1) for config in CONFIGS]
TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-1
CHANGED = 2  # the token that is changed to see what it moves


def with_change(seed: int) -> oracle.Tokens:
    """A text, and the same but for one token. Shape: [2, T]."""
    both = random_tokens(SMALL, 1, LENGTH, seed=seed).repeat(2, axis=0)
    both[1, CHANGED] = (both[1, CHANGED] + 1) % SMALL.vocab_size
    return both


def moves_all(both: oracle.Tokens) -> bool:
    """Whether the token that is changed weighs enough for all after it."""
    weights = random_weights(parameter_shapes(SMALL))
    return is_felt(oracle.lm_head_model(weights, both, **sizes(SMALL)), CHANGED)


def test_parameters(step: Workbench) -> None:
    for config in SHALLOW:
        where = f" for vocab_size {config.vocab_size} and n_embd {config.n_embd}"
        expect_parameters(step.parameters(NAME, config), parameter_shapes(config), where)


def test_config(step: Workbench) -> None:
    for config in SHALLOW:
        expected = {**asdict(config), "n_inner": config.inner}
        expect_entries("the config's", step.carried_config(NAME, config), expected)


def test_logits(step: Workbench) -> None:
    for config in SHALLOW:
        weights = random_weights(parameter_shapes(config))
        for length in (LENGTH, 1 if config is SMALL else config.n_positions):
            tokens = random_tokens(config, BATCH, length)
            got = step.forward(NAME, config, weights=weights, x=tokens)
            expected = oracle.lm_head_model(weights, tokens, **sizes(config))
            expect_close(f"the logits of {length} tokens", got, expected, TOLERANCE)


def test_causality(step: Workbench) -> None:
    weights, tokens = random_weights(parameter_shapes(SMALL)), first_that(moves_all, with_change, 2)
    both = step.forward(NAME, SMALL, weights=weights, x=tokens)
    shape = [2, LENGTH, SMALL.vocab_size]
    expect_equal("the shape of the logits", list(both.shape), shape, observed=both)
    expect_moved(f"the positions that a change of token {CHANGED} moves", both, CHANGED)


def test_symbolic_lengths(step: Workbench) -> None:
    traced = step.trace(NAME, OTHER, dtype="int64", shape=["batch", "length"])
    expected = ["batch", "length", str(OTHER.vocab_size)]
    expect_equal("the shape in a graph", traced, expected)
