"""Four-bit weights: what is packed, and what a model with them computes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from solutions.engine_04 import CachedModel
from solutions.solution_11 import load_pretrained
from tests.project.commands import assert_refused, run_here
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.quantization import BLOCK, pack, quantize

LARGEST_ERROR = 0.3  # of the largest logit; it is 0.16, and with the halves of a block swapped, 1
Packed = NDArray[np.uint8]


def unpack(packed: Packed, columns: int) -> NDArray[np.float64]:
    """Number by number, as the format has it: a scale, then the halves of a block side by side."""
    rows = []
    for row in packed.reshape(len(packed), columns // BLOCK, 18):
        numbers = []
        for block in row:
            scale = float(block[:2].view(np.float16)[0])
            halves = [byte & 15 for byte in block[2:]] + [byte >> 4 for byte in block[2:]]
            numbers += [scale * (int(number) - 8) for number in halves]
        rows.append(numbers)
    return np.array(rows)


def test_numbers_are_off_by_half_a_step_at_most() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 4 * BLOCK)).astype(np.float32)
    found = unpack(pack(weight), weight.shape[1])
    largest = np.abs(weight.reshape(3, 4, BLOCK)).max(axis=-1)
    steps = np.repeat(largest / 8, BLOCK, axis=-1).reshape(weight.shape)
    # The largest number itself is exact, and one as large with the other sign loses a whole step.
    most = np.where(np.abs(weight) > 7.4 * steps, 1.01, 0.51) * steps
    assert (np.abs(found - weight) <= most).all()
    assert np.abs(found - weight).mean() > 0.1 * steps.mean()


def test_numbers_that_are_steps_of_a_scale_are_exact() -> None:
    weight = np.stack([np.tile(np.arange(-8, 8), 2) * 0.5, np.zeros(BLOCK)]).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(weight), BLOCK), weight)


@pytest.mark.full("looks into models")
def test_a_model_with_four_bits_says_nearly_the_same() -> None:
    ids, start = np.random.default_rng(0).integers(4096, size=(2, 20)), np.zeros(2, np.int64)
    exact = CachedModel(load_pretrained(BUNDLED_MODEL))(ids, start)
    model = load_pretrained(BUNDLED_MODEL)
    quantize(model)
    found = CachedModel(model)(ids, start)
    error = np.abs(found - exact).max() / np.abs(exact).max()
    assert 1e-3 < error < LARGEST_ERROR


@pytest.mark.parametrize("options", [["--no-cache"], ["--tree", "steps"]])
def test_four_bits_are_for_the_cached_reference(options: list[str]) -> None:
    assert_refused(run_here("generate", "Once", "--dtype", "q4_0", *options), "--dtype q4_0")
