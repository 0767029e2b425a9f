"""Step 06, position embeddings: the table, and what is looked up in it."""

import numpy as np

from tests.samples import CONFIGS, OTHER, random_weights
from tutor.check.expectations import expect_equal, expect_looked_up, expect_parameters
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

NAME = "GPT2PositionEmbeddings"
EXACT = 0.0  # numbers are only copied


def shapes(config: Config) -> dict[str, list[int]]:
    return {"wpe.weight": [config.n_positions, config.n_embd]}


def expect_rows(step: Workbench, config: Config, positions: list[int]) -> None:
    weights, looked_up = random_weights(shapes(config)), np.array(positions)
    got = step.forward(NAME, config, weights=weights, x=looked_up)
    what = f"the vectors of the positions {positions}"
    expect_looked_up(what, got, weights["wpe.weight"], looked_up, EXACT)


def test_parameters(step: Workbench) -> None:
    for config in CONFIGS:
        expect_parameters(step.parameters(NAME, config), shapes(config))


def test_rows(step: Workbench) -> None:
    # Neither ascending nor from 0; one more and one less are in the table, too.
    for config in CONFIGS:
        expect_rows(step, config, [3, 1, 9, 7, 3])


def test_ends(step: Workbench) -> None:
    for config in CONFIGS:
        expect_rows(step, config, [config.n_positions - 1, 0])
        expect_rows(step, config, [0])


def test_symbolic_length(step: Workbench) -> None:
    traced = step.trace(NAME, OTHER, dtype="int64", shape=["length"])
    expect_equal("the shape in a graph", traced, ["length", str(OTHER.n_embd)])
