"""Step 12 by chance: what is drawn, how often, and from which generator."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from max.experimental.tensor import Tensor

from solutions.solution_12 import generate_next_token, generate_tokens
from tests.project.helpers import BATCH, LENGTH, SMALL, Bigrams, array, random_tokens, tensor

# Four standard deviations of a frequency among so many draws are 0.03 at the most; leaving the
# temperature out, multiplying by it or applying it to probabilities moves one by 0.19 or more.
DRAWS = 4000
FREQUENCY_TOLERANCE = 4 * np.sqrt(0.25 / DRAWS)

INDIFFERENT = np.zeros((61, 61))


def prompt() -> Tensor:
    return tensor(random_tokens(SMALL, BATCH, LENGTH))


def drawn(rng: np.random.Generator | None, count: int = 12) -> list[list[int]]:
    """What is generated where every token is as likely as any other."""
    made = array(generate_tokens(Bigrams(INDIFFERENT), prompt(), count, rng=rng))
    rows: list[list[int]] = made[:, LENGTH:].tolist()
    return rows


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"temperature": 2.0}])
def test_frequencies_are_the_softmax_of_logits_over_temperature(
    options: dict[str, Any],
) -> None:
    temperature = options.get("temperature", 1.0)
    logits = np.array([[0.0, 1.0, 2.0, 3.0], [2.5, 0.0, 2.0, 1.0]])
    exponentials = np.exp(logits / temperature)
    expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
    endings = tensor(np.tile([[1, 0], [0, 1]], (DRAWS, 1)))
    rng = np.random.default_rng(0)
    tokens = array(generate_next_token(Bigrams(logits), endings, rng=rng, **options))
    assert tokens.dtype == np.int64
    assert tokens.shape == (2 * DRAWS, 1)
    for ending in range(2):
        frequencies = np.bincount(tokens[ending::2, 0], minlength=4) / DRAWS
        np.testing.assert_allclose(frequencies, expected[ending], rtol=0, atol=FREQUENCY_TOLERANCE)


def test_logits_beyond_the_range_of_exp_can_be_sampled() -> None:
    table = np.array([[0.0, 5000.0, 4900.0]] * 3)
    token = generate_next_token(Bigrams(table), tensor(np.array([[2, 0]])), 0.01)
    assert array(token).tolist() == [[1]]


def test_a_seed_repeats_what_is_drawn() -> None:
    first, again, other = (drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_without_a_generator_no_two_results_are_alike() -> None:
    assert drawn(None) != drawn(None)


def test_tokens_and_rows_are_drawn_apart() -> None:
    first, second = drawn(np.random.default_rng(0))
    assert first != second
    assert min(len(set(first)), len(set(second))) > 6


def test_a_generator_goes_on_from_call_to_call() -> None:
    rng = np.random.default_rng(0)
    assert drawn(rng) != drawn(rng)


def test_greedy_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    generate_tokens(Bigrams(INDIFFERENT), prompt(), 3, do_sample=False, rng=rng)
    generate_tokens(Bigrams(INDIFFERENT), prompt(), 3, temperature=0, rng=rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("temperature", [-0.5, float("-inf"), float("nan")])
@pytest.mark.parametrize("do_sample", [True, False])
@pytest.mark.parametrize("generate", [generate_next_token, generate_tokens])
def test_a_temperature_below_zero_or_nan_is_refused(
    generate: Callable[..., Any], do_sample: bool, temperature: float
) -> None:
    with pytest.raises(ValueError, match="temperature"):
        generate(Bigrams(INDIFFERENT), prompt(), temperature=temperature, do_sample=do_sample)
