"""Step 05, token embeddings: the table, its rows, and symbolic lengths."""

from tests.samples import BATCH, CONFIGS, LENGTH, OTHER, random_tokens, random_weights
from tutor.check.expectations import expect_equal, expect_looked_up, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "GPT2Embeddings"
TOLERANCE = 1e-6  # of the largest value: a look-up is exact, and so is a product with ones


def shapes_of(config: Config) -> dict[str, list[int]]:
    return {"wte.weight": [config.vocab_size, config.n_embd]}


def test_parameters(step: Workbench) -> None:
    for config in CONFIGS:
        where = f" for vocab_size {config.vocab_size} and n_embd {config.n_embd}"
        expect_parameters(step.parameters(NAME, config), shapes_of(config), where)


def test_rows(step: Workbench) -> None:
    for config in CONFIGS:
        weights = random_weights(shapes_of(config))
        tokens = random_tokens(config, BATCH, LENGTH)
        tokens[0, 0], tokens[1, 2] = config.vocab_size - 1, 0
        got = step.forward(NAME, config, weights=weights, x=tokens)
        what = f"the vectors of the tokens {tokens.tolist()}"
        expect_looked_up(what, got, weights["wte.weight"], tokens, TOLERANCE)


def test_symbolic_lengths(step: Workbench) -> None:
    traced = step.trace(NAME, OTHER, dtype="int64", shape=["batch", "length"])
    expect_equal("the shape in a graph", traced, ["batch", "length", str(OTHER.n_embd)])
