"""Modern 04, rotary positions: the speeds, the table, the rotation, and what it is good for."""

from functools import partial
from typing import Any

import numpy as np

from tests import oracle_modern
from tests.oracle import Array
from tests.samples import as_float32, generator, random_array, varied
from tutor.check.expectations import expect_alike, expect_close, expect_equal, expect_refusals
from tutor.check.sandbox.workbench import Workbench

# No two of these agree: batch, heads, tokens, half a head.
BATCH, HEADS, LENGTH, HALF = 2, 3, 5, 4
THETA = varied(80.0, [60.0, 90.0, 120.0], seed=22)
SPEEDS = as_float32(oracle_modern.speeds(2 * HALF, THETA))
# With gaps, out of order, and others in each row.
ROWS = (generator(23).permutation(40)[: BATCH * LENGTH]).reshape(BATCH, LENGTH)
POSITIONS = varied(np.array([[3, 0, 9, 4, 30], [7, 1, 2, 20, 5]]), [ROWS], seed=23)
LATE = np.array([[100_000, 4096, 99_999, 2048, 65_537]]) + varied(0, range(1, 500), seed=24)
TOLERANCE = 1e-5  # of the largest value: noise 2e-6, from angles of 30 radians; mistakes 7e-2
LATE_TOLERANCE = 1e-2  # what rounding an angle of 100,000 radians to float32 costs is 4e-3
SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    # Of eight pairs, three turn faster than high, three slower than low, two lie in between.
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": varied(64, range(60, 68), seed=25),
    },
}


def table() -> list[Array]:
    """Cosines and sines for the positions, from complex numbers."""
    turns = oracle_modern.turns(POSITIONS, SPEEDS)
    return [as_float32(turns.real), as_float32(turns.imag)]


def heads(length: int = LENGTH) -> Array:
    return random_array(BATCH, HEADS, length, 2 * HALF)


def test_speeds(step: Workbench) -> None:
    given = {"hidden_size": 36, "num_attention_heads": 3, "head_dim": 2 * HALF, "rope_theta": THETA}
    got, expected = step.rotary_speeds(**given), oracle_modern.speeds(2 * HALF, THETA)
    expect_close(f"the speeds for head_dim 8 and rope_theta {THETA:g}", got, expected, 1e-6)
    plain = {"hidden_size": 60, "num_attention_heads": 6, "rope_scaling": {"rope_type": "default"}}
    expected = oracle_modern.speeds(10, 10000.0)
    expect_close("the speeds for 6 heads of 10", step.rotary_speeds(**plain), expected, 1e-6)


def test_scaling(step: Workbench) -> None:
    sizes = {"hidden_size": 96, "num_attention_heads": 6, "rope_theta": THETA}
    for kind, scaling in SCALINGS.items():
        got = step.rotary_speeds(**sizes, rope_scaling=scaling, max_position_embeddings=512)
        expected = oracle_modern.speeds(16, THETA, scaling)
        expect_close(f"the speeds with the scaling {kind}", got, expected, 1e-6)
    unknown = {"rope_type": "yarn", "factor": 4.0}
    refused = partial(step.rotary_speeds, **sizes, rope_scaling=unknown)
    expect_refusals({"the speeds with the scaling yarn": (refused, ["yarn"])})


def test_table(step: Workbench) -> None:
    for name, positions, tolerance in (
        ("positions", POSITIONS, TOLERANCE),
        ("late positions", LATE, LATE_TOLERANCE),
    ):
        turns = oracle_modern.turns(positions, SPEEDS)
        got, expected = np.stack(step.rotary_table(positions, SPEEDS)), [turns.real, turns.imag]
        what = f"cosines and sines [2, B, T, D / 2] for the {name} {positions[0].tolist()} …"
        expect_close(what, got, np.stack(expected), tolerance)


def test_rotate(step: Workbench) -> None:
    cos, sin = table()
    got, expected = step.rotate(heads(), cos, sin), oracle_modern.rotate(heads(), cos + 1j * sin)
    expect_close("what is rotated", got, expected, TOLERANCE)


def test_distance(step: Workbench) -> None:
    x, shift = heads(), 1000
    where = [POSITIONS, POSITIONS + shift, 2 * POSITIONS]
    near, far, apart = step.rotated(x, where, SPEEDS)
    lengths = np.linalg.norm(near.astype(np.float64), axis=-1)
    what = "the lengths of what is rotated"
    expect_close(what, lengths.astype(np.float32), np.linalg.norm(x, axis=-1), TOLERANCE)
    before, after, farther = (each @ each.swapaxes(2, 3) for each in (near, far, apart))
    what = f"the scores of tokens with each other, {shift} positions later"
    expect_close(what, after, before.astype(np.float64), 1e-4)  # rounding of the angles: 3e-5
    expect_alike("the scores of tokens twice as far apart", farther, before, alike=False)


def test_start(step: Workbench) -> None:
    nowhere = np.zeros((1, LENGTH), np.int64)
    (got,) = step.rotated(heads(), [nowhere], SPEEDS)
    expect_close("what is rotated at position 0", got, heads(), 0.0)


def test_symbolic_lengths(step: Workbench) -> None:
    half = ["batch", "length", str(HALF)]
    expected = [half, half, ["batch", str(HEADS), "length", str(2 * HALF)]]
    got = step.trace_rotation(HEADS, SPEEDS)
    expect_equal("the shapes of cosines, sines and what is rotated in a graph", got, expected)
