"""Step 09, the stack: parameters, the embeddings, the last norm, then all blocks."""

import warnings
from dataclasses import replace

from tests import oracle
from tests.samples import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    as_float32,
    parameter_shapes,
    random_tokens,
    random_weights,
    sizes,
)
from tutor.check.expectations import AdviceWarning, expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "MaxGPT2Model"
PLAIN_LIST = (
    "h is a plain list, which computes rightly, but MAX's children, descendants and to() pass it "
    "over; Sequential or ModuleList do not have that gap."
)
TOLERANCE = 1e-5  # of the largest value: noise 5e-7; the nearest mistake is off by 1e-2
# Every block takes its time; one is enough where it adds nothing, three tell which block is which.
ONE_BLOCK, TWO_BLOCKS = replace(SMALL, n_layer=1), replace(SMALL, n_layer=2)


def shapes_of(config: Config) -> dict[str, list[int]]:
    return oracle.under(parameter_shapes(config), "transformer")


def silent_weights(config: Config, scale: float) -> dict[str, oracle.Array]:
    """Random weights, with embeddings scaled, and with blocks that add nothing to them."""
    weights = random_weights(shapes_of(config))
    for name in ("wte.weight", "wpe.weight"):
        weights[name] = as_float32(scale * weights[name])
    return {name: values * ("c_proj" not in name) for name, values in weights.items()}


def expect_equation(
    step: Workbench, what: str, config: Config, weights: oracle.Weights, tokens: oracle.Tokens
) -> None:
    got = step.forward(NAME, config, weights=weights, x=tokens)
    expect_close(what, got, oracle.model(weights, tokens, **sizes(config)), TOLERANCE)


def test_parameters(step: Workbench) -> None:
    if step.kind_of_attribute(NAME, SMALL, "h") in ("list", "tuple", "dict"):
        warnings.warn(PLAIN_LIST, AdviceWarning, stacklevel=1)
    for config in CONFIGS:
        where = f" for n_layer {config.n_layer}"
        expect_parameters(step.parameters(NAME, config), shapes_of(config), where)


def test_embeddings(step: Workbench) -> None:
    # Ids that are positions, too, so that taking the ones for the others is wrong, but no error.
    tokens = random_tokens(replace(SMALL, vocab_size=SMALL.n_positions), BATCH, LENGTH)
    weights = silent_weights(ONE_BLOCK, scale=10)  # of a variance that leaves epsilon no part
    expect_equation(step, "the output when the blocks add zeros", ONE_BLOCK, weights, tokens)


def test_last_norm(step: Workbench) -> None:
    config = replace(OTHER, n_layer=1)
    weights = silent_weights(config, scale=0.1)  # of a variance far below epsilon
    tokens = random_tokens(config, BATCH, LENGTH)
    what = f"ln_f of small numbers, for layer_norm_epsilon {config.layer_norm_epsilon}"
    expect_equation(step, what, config, weights, tokens)


def test_equation(step: Workbench) -> None:
    for config, length in (
        (OTHER, LENGTH),
        (TWO_BLOCKS, 1),
        (TWO_BLOCKS, TWO_BLOCKS.n_positions),
    ):
        weights = random_weights(shapes_of(config))
        tokens = random_tokens(config, BATCH, length)
        tokens[-1, -1] = config.vocab_size - 1
        what = f"the output of {config.n_layer} blocks at length {length}"
        expect_equation(step, what, config, weights, tokens)


def test_symbolic_lengths(step: Workbench) -> None:
    traced = step.trace(NAME, OTHER, dtype="int64", shape=["batch", "length"])
    expect_equal("the shape in a graph", traced, ["batch", "length", str(OTHER.n_embd)])
