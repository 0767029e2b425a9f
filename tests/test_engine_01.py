"""Engine 01, compiled heads: what they compute and as what graphs, then draws, then text."""

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tests import oracle
from tests.samples import (
    ALPHABET,
    BATCH,
    CONFIGS,
    LENGTH,
    NEAR_TIES,
    first_that,
    is_clear,
    parameter_shapes,
    random_tokens,
    random_weights,
    shuffled,
    sizes,
    varied,
)
from tutor.check.expectations import (
    MismatchError,
    expect_alike,
    expect_close,
    expect_equal,
    expect_refusal,
)
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

GREEDY, SAMPLING = "GPT2GreedyHead", "GPT2SamplingHead"
# The heads are the same whatever the number of blocks is.
SMALL, OTHER = (replace(config, n_layer=1) for config in CONFIGS)
TOLERANCE = 1e-5  # of the largest value: noise 3e-7; a softmax kept from 0 by 1e-9: 4e-5

# Two rows, in each of which there is a token that is never drawn.
PROBABILITIES = np.array(
    [[0.02, 0.05, 0.0, 0.08, 0.1, 0.15, 0.2, 0.4], [0.3, 0.02, 0.28, 0.2, 0.1, 0.06, 0.04, 0.0]]
)[:, shuffled(range(8), seed=7)]
LOG_PROBABILITIES = np.log(PROBABILITIES, out=np.full((2, 8), -np.inf), where=PROBABILITIES > 0)
DRAWS = 8000  # of each row
CHI_SQUARE = 50.0  # of 6 degrees of freedom: 6 is usual, above 50 is one of 10^8; mistakes: 220

# Logits for each token, so far apart that sampling always takes the largest.
CERTAIN = 1000 * np.roll(np.eye(SMALL.vocab_size), varied(7, range(8, 54), seed=8), axis=1)
GIVEN = "".join(shuffled("Once", seed=9))  # the beginning of the texts


def log_probs(weights: oracle.Weights, tokens: Any, config: Config, heat: Any = 1) -> oracle.Array:
    logits = oracle.lm_head_model(weights, tokens, **sizes(config))[:, -1] / heat
    shifted: oracle.Array = logits - logits.max(axis=-1, keepdims=True)
    total: oracle.Array = np.exp(shifted).sum(axis=-1, keepdims=True)
    return shifted - np.log(total)


def expect_shares(counts: oracle.Tokens) -> None:
    """Expect each token as often as its probability says, by a chi-square test of each row."""
    for row, probabilities in enumerate(PROBABILITIES):
        possible, expected = probabilities > 0, DRAWS * probabilities
        expect_equal("draws of a token of probability 0", int(counts[row, ~possible].sum()), 0)
        off = (counts[row] - expected)[possible] ** 2 / expected[possible]
        if off.sum() > CHI_SQUARE:
            token = np.flatnonzero(possible)[off.argmax()]
            raise MismatchError(
                f"how many of {DRAWS} draws",
                f"about {expected[token]:.0f}",
                f"{counts[row, token]}  (χ² is {off.sum():.0f} for all tokens)",
                observed=closest_noise(counts / DRAWS),
                place=f" take a token of probability {probabilities[token]}",
            )


def closest_noise(shares: oracle.Array) -> object:
    """The noise that gives such shares, by which a mistake is known; else the shares."""
    if shares.max(axis=-1).min() == 1:  # one token takes all
        return bool(np.array_equal(shares.argmax(axis=-1), PROBABILITIES.argmax(axis=-1)))
    off = {}
    for name, sign in (("exponential", 1), ("gumbel", -1), ("normal", 1), ("uniform", 1)):
        noise = sign * getattr(np.random.default_rng(0), name)(size=(DRAWS, 2, 8))
        ids = (LOG_PROBABILITIES + noise).argmax(axis=-1)
        expected = (ids[..., None] == np.arange(8)).mean(axis=0)  # [DRAWS, 2] -> [2, 8]
        off[name, sign] = DRAWS * ((shares - expected) ** 2 / (shares + expected + 1e-9)).sum()
    closest = min(off, key=lambda noise: float(off[noise]))
    return closest if off[closest] < CHI_SQUARE else shares


def clear_tokens(weights: oracle.Weights, config: Config, length: int) -> oracle.Tokens:
    """Random tokens after which rounding has no say in the likeliest one. Shape: [B, T]."""
    return first_that(
        lambda tokens: is_clear(log_probs(weights, tokens, config)),
        lambda seed: random_tokens(config, BATCH, length, seed=seed),
        seed=2,
    )


def likeliest(text: str, count: int, logits: oracle.Array) -> str:
    """The text and so many letters more, those of the largest logits."""
    for _ in range(count):
        text += ALPHABET[logits[ALPHABET.index(text[-1])].argmax()]
    return text


def test_greedy_head(step: Workbench) -> None:
    for config, lengths in ((SMALL, (LENGTH, 1)), (OTHER, (OTHER.n_positions,))):
        weights = random_weights(parameter_shapes(config))
        given = [clear_tokens(weights, config, length) for length in lengths]
        made = step.run_head(GREEDY, config, *([tokens] for tokens in given), weights=weights)
        for tokens, ids in zip(given, made, strict=True):
            expected = log_probs(weights, tokens, config).argmax(axis=-1)
            expect_close(f"the next ids for {list(tokens.shape)}", ids, expected, 0, dtype=np.int64)


def test_log_probs(step: Workbench) -> None:
    for config, scale in ((SMALL, 1), (OTHER, 1000)):
        weights = random_weights(parameter_shapes(config))
        weights["lm_head.weight"] = weights["lm_head.weight"] * scale
        cases = (0.5, LENGTH), (3.0, 1)
        given = [[random_tokens(config, BATCH, n), np.array(t)] for t, n in cases]
        made = step.run_head(SAMPLING, config, *given, weights=weights)
        for (tokens, temperature), got in zip(given, made, strict=True):
            expected = log_probs(weights, tokens, config, temperature)
            what = f"the log-probabilities at temperature {temperature} and logits × {scale}"
            expect_close(what, got, expected, TOLERANCE)


def test_last_position(step: Workbench) -> None:
    for name in (GREEDY, SAMPLING):
        wide = step.trace_head(name, SMALL, "float32")["wide"]
        expect_equal(f"the scores of other positions than the last in {name}", wide, [])


def test_graphs(step: Workbench) -> None:
    ids, scores = ["int64", ["batch", "length"]], ["float32", ["batch", SMALL.vocab_size]]
    expected: dict[str, dict[str, list[Any]]] = {
        "sampling": {"takes": [ids, ["float32", []]], "gives": [scores]},
        "greedy": {"takes": [ids], "gives": [["int64", ["batch"]]]},
    }
    compiled = step.compile_heads(SMALL)
    expect_equal("how many graphs compile_heads compiles", compiled["graphs"], 2)
    for name, graph in expected.items():
        for verb, wanted in graph.items():
            expect_equal(f"what the compiled {name} head {verb}", compiled[name][verb], wanted)
    traced = step.trace_head(SAMPLING, SMALL, "float64")
    expect_equal("what the sampling head of a float64 model gives", traced["gives"], [scores])


def test_frequencies(step: Workbench) -> None:
    rows, what = np.tile(LOG_PROBABILITIES, (DRAWS, 1)), "what gumbel_sample draws"
    draw = partial(step.gumbel_sample, rows)
    (ids,), (again, following), (other,) = draw(0), draw(0, calls=2), draw(1)
    expect_equal(f"the shape of {what}", list(ids.shape), [len(rows)], observed=ids)
    expect_equal(f"the dtype of {what}", str(ids.dtype), "int64")
    expect_shares((ids.reshape(DRAWS, 2, 1) == np.arange(8)).sum(axis=0))  # [2 * DRAWS] -> [2, 8]
    expect_alike(f"{what} from the same seed", again, ids)
    expect_alike(f"{what} next from that generator", following, ids, alike=False)
    expect_alike(f"{what} from another seed", other, ids, alike=False)


def test_text(step: Workbench) -> None:
    write = partial(step.write_text, GIVEN, alphabet=ALPHABET, logits=CERTAIN)
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("greedy", {"do_sample": False}),
        ("greedy", {"temperature": 0}),
        ("sampling", {}),
        ("sampling", {"temperature": 0.7}),
    )
    for head, options in cases:
        logits = NEAR_TIES if head == "greedy" else CERTAIN
        answer, given = write(5, logits=logits, **options), options or "no options"
        expect_equal(f"the heads asked with {given}", answer["asked"], [head] * 5)
        expect_equal(f"the text with {given}", answer["text"], likeliest(GIVEN, 5, logits))
        heat = [options.get("temperature", 1.0)] * 5 if head == "sampling" else []
        expect_equal(f"the temperatures with {given}", answer["temperatures"], heat)
    for count, arguments in ((0, [0]), (50, [])):
        text = write(*arguments)["text"]
        expect_equal(f"the text of {count} tokens", text, likeliest(GIVEN, count, CERTAIN))
    for temperature, do_sample in itertools.product((-0.5, np.nan), (True, False)):
        options = {"temperature": temperature, "do_sample": do_sample}
        expect_refusal(f"generate_text with {options}", partial(write, 0, **options))


def test_loop(step: Workbench) -> None:
    write = partial(step.write_text, alphabet=ALPHABET, logits=CERTAIN)
    for length, limit in ((6, 8), (10, 8), (1030, 1024)):
        text = likeliest("x", length + 2, CERTAIN)
        options: dict[str, Any] = {} if limit == 1024 else {"n_positions": limit}
        answer = write(text[:length], 3, **options)
        windows = [text[max(0, end - limit) : end] for end in range(length, length + 3)]
        got = ["".join(ALPHABET[token] for token in ids.ravel()) for ids in answer["seen"]]
        what = f"what the head sees of {length} tokens and 3 more"
        expect_equal(f"the lengths of {what}", [*map(len, got)], [*map(len, windows)])
        expect_equal(what, got, windows)
        expect_equal(f"the text after {length} tokens", answer["text"][length:], text[length:])
    for do_sample in (True, False):
        write(GIVEN, 3, do_sample=do_sample, eager=False)


def test_seed(step: Workbench) -> None:
    write = partial(step.write_text, GIVEN, 12, alphabet=ALPHABET, logits=0 * NEAR_TIES)
    first, again, other = (write(seed=seed)["text"] for seed in (0, 0, 1))
    shown, texts = "12 tokens that are all as likely", [again == first, other == first]
    halves = first[-6:], first[-12:-6]
    expect_alike(f"the second half of {shown}", *halves, alike=False, observed=texts)
    expect_alike(f"{shown}, from the same seed", again, first)
    expect_alike(f"{shown}, from another seed", other, first, alike=False)
    expect_alike(f"{shown}, without a seed", write()["text"], first)
