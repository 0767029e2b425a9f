"""Step 12 without chance: greedy tokens, what the model is shown, what comes back."""

from typing import Any

import numpy as np
import pytest

from solutions.solution_10 import MaxGPT2LMHeadModel
from solutions.solution_12 import generate_next_token, generate_text, generate_tokens
from tests import oracle
from tests.project.helpers import (
    BATCH,
    LENGTH,
    OTHER,
    SMALL,
    Bigrams,
    array,
    random_tokens,
    randomize,
    sizes,
    tensor,
)

# Logits so close together that sampling would hardly ever take the largest.
NEAR_TIES = np.random.default_rng(3).uniform(size=(61, 61))


class Letters:
    """A tokenizer whose ids are the places in the alphabet, upper case first."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - ord("A") for letter in text]

    def decode(self, token_ids: list[int]) -> str:
        return "".join(chr(ord("A") + token) for token in token_ids)


def likeliest(tokens: oracle.Tokens, count: int) -> oracle.Tokens:
    """The tokens with those behind them that the table of near ties puts first."""
    for _ in range(count):
        tokens = np.append(tokens, NEAR_TIES[tokens[:, -1:]].argmax(axis=-1), axis=1)
    return tokens


@pytest.mark.parametrize("options", [{"do_sample": False}, {"temperature": 0}])
def test_greedy_takes_the_likeliest_token_after_the_last_one(options: dict[str, Any]) -> None:
    tokens = random_tokens(SMALL, BATCH, LENGTH)
    token = array(generate_next_token(Bigrams(NEAR_TIES), tensor(tokens), **options))
    assert token.dtype == np.int64
    np.testing.assert_array_equal(token, likeliest(tokens, 1)[:, -1:])


@pytest.mark.parametrize("options", [{"do_sample": False}, {"temperature": 0}])
@pytest.mark.parametrize("count", [1, 7, 30])
def test_greedy_tokens_come_behind_the_whole_prompt(count: int, options: dict[str, Any]) -> None:
    tokens = random_tokens(SMALL, BATCH, LENGTH)
    made = array(generate_tokens(Bigrams(NEAR_TIES), tensor(tokens), count, **options))
    assert made.dtype == np.int64
    np.testing.assert_array_equal(made, likeliest(tokens, count))


def test_a_real_model_generates_what_the_oracle_does() -> None:
    model = MaxGPT2LMHeadModel(OTHER)
    weights = randomize(model)
    tokens = random_tokens(OTHER, BATCH, OTHER.n_positions - 2)
    made = array(generate_tokens(model, tensor(tokens), 5, do_sample=False))
    np.testing.assert_array_equal(made, oracle.generate(weights, tokens, 5, **sizes(OTHER)))


@pytest.mark.parametrize("length", [3, 16, 20])
def test_the_model_sees_the_last_positions_once_for_every_token(length: int) -> None:
    model = Bigrams(NEAR_TIES, n_positions=16)
    tokens = random_tokens(SMALL, BATCH, length)
    made = array(generate_tokens(model, tensor(tokens), 15, do_sample=False))
    assert len(model.seen) == 15
    for step, seen in enumerate(model.seen):
        assert seen.dtype == np.int64
        np.testing.assert_array_equal(seen, made[:, : length + step][:, -16:])


def test_the_next_token_of_a_long_prompt_is_judged_by_the_last_positions() -> None:
    model = Bigrams(NEAR_TIES, n_positions=16)
    tokens = random_tokens(SMALL, BATCH, 20)
    generate_next_token(model, tensor(tokens))
    (seen,) = model.seen
    np.testing.assert_array_equal(seen, tokens[:, 4:])


def test_no_new_tokens_give_the_prompt_back_and_ask_nothing() -> None:
    model = Bigrams(NEAR_TIES)
    tokens = random_tokens(SMALL, BATCH, LENGTH)
    np.testing.assert_array_equal(array(generate_tokens(model, tensor(tokens), 0)), tokens)
    assert not model.seen


def test_ten_tokens_are_made_unless_told_otherwise() -> None:
    prompt = tensor(random_tokens(SMALL, BATCH, LENGTH))
    assert array(generate_tokens(Bigrams(NEAR_TIES), prompt)).shape == (BATCH, LENGTH + 10)


@pytest.mark.parametrize("do_sample", [True, False])
@pytest.mark.parametrize("length", [LENGTH, 18])
def test_the_prompt_is_not_changed(length: int, do_sample: bool) -> None:
    tokens = random_tokens(SMALL, BATCH, length)
    prompt = tensor(tokens)
    generate_next_token(Bigrams(NEAR_TIES), prompt, do_sample=do_sample)
    made = generate_tokens(Bigrams(NEAR_TIES), prompt, 3, do_sample=do_sample)
    np.testing.assert_array_equal(array(prompt), tokens)
    np.testing.assert_array_equal(array(made)[:, :length], tokens)


@pytest.mark.parametrize("options", [{"do_sample": False}, {"temperature": 0}])
def test_text_is_the_prompt_and_what_follows_it(options: dict[str, Any]) -> None:
    text = generate_text(Bigrams(NEAR_TIES), Letters(), "FAIR", max_new_tokens=6, **options)
    expected = likeliest(np.array([Letters().encode("FAIR")]), 6)
    assert text == Letters().decode(expected[0].tolist())


def test_sampled_text_is_the_sampled_tokens() -> None:
    prompt = tensor(np.array([Letters().encode("FAIR")]))
    tokens = generate_tokens(
        Bigrams(20 * NEAR_TIES), prompt, 30, temperature=3, rng=np.random.default_rng(1)
    )
    text = generate_text(
        Bigrams(20 * NEAR_TIES),
        Letters(),
        "FAIR",
        max_new_tokens=30,
        temperature=3,
        rng=np.random.default_rng(1),
    )
    assert text == Letters().decode(array(tokens)[0].tolist())
