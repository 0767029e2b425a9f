"""Step 08, the block: parameters, each part alone, the path around both, both together."""

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
)
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "GPT2Block"
TOLERANCE = 1e-5  # of the largest value: noise 5e-7; the epsilon of the other size is off by 1e-2
EXACT = 1e-6  # of the largest value: x plus zeros is x itself


def weights_of(config: Config, *silent: str) -> dict[str, oracle.Array]:
    """Random weights; the parts named `silent` end in zeros, so that they add nothing."""
    weights = random_weights(block_shapes(config))
    last = tuple(f"{part}.c_proj" for part in silent)
    return {name: values * (not name.startswith(last)) for name, values in weights.items()}


def expect_equation(
    step: Workbench, what: str, config: Config, weights: oracle.Weights, x: oracle.Array
) -> None:
    got = step.forward(NAME, config, weights=weights, x=x)
    expected = oracle.block(weights, x, config.n_head, config.layer_norm_epsilon)
    expect_close(what, got, expected, TOLERANCE)


def test_parameters(step: Workbench) -> None:
    for config in CONFIGS:
        where = f" for n_embd {config.n_embd} and n_inner {config.inner}"
        expect_parameters(step.parameters(NAME, config), block_shapes(config), where)


def test_attention(step: Workbench) -> None:
    x = random_array(BATCH, LENGTH, SMALL.n_embd)
    what = "the output when mlp gives zeros"
    expect_equation(step, what, SMALL, weights_of(SMALL, "mlp"), x)


def test_mlp(step: Workbench) -> None:
    x = random_array(BATCH, LENGTH, SMALL.n_embd)
    what = "the output when attn gives zeros"
    expect_equation(step, what, SMALL, weights_of(SMALL, "attn"), x)


def test_residuals(step: Workbench) -> None:
    x = random_array(BATCH, LENGTH, SMALL.n_embd)
    got = step.forward(NAME, SMALL, weights=weights_of(SMALL, "attn", "mlp"), x=x)
    expect_close("x after a block whose attn and mlp give zeros", got, x, EXACT)


def test_equation(step: Workbench) -> None:
    for length in (LENGTH, 1, SMALL.n_positions):
        x = random_array(BATCH, length, SMALL.n_embd)
        expect_equation(step, f"the output at length {length}", SMALL, weights_of(SMALL), x)


def test_epsilon(step: Workbench) -> None:
    x = as_float32(0.1 * random_array(BATCH, LENGTH, OTHER.n_embd))  # of a variance below epsilon
    what = f"the output for layer_norm_epsilon {OTHER.layer_norm_epsilon}"
    expect_equation(step, what, OTHER, weights_of(OTHER), x)


def test_symbolic_lengths(step: Workbench) -> None:
    shape: list[int | str] = ["batch", "length", OTHER.n_embd]
    traced = step.trace(NAME, OTHER, dtype="float32", shape=shape)
    expect_equal("the shape in a graph", traced, [str(size) for size in shape])
