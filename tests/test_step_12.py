"""Step 12, generation: greedy tokens and what the model sees, then drawn ones, then text."""

from functools import partial
from typing import Any

import numpy as np

from tests import oracle
from tests.samples import (
    ALPHABET,
    BATCH,
    LENGTH,
    NEAR_TIES,
    OTHER,
    SMALL,
    first_that,
    is_clear,
    likeliest,
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
from tutor.check.likeness import likeness_of_shares
from tutor.check.sandbox.workbench import Workbench

NEXT, TOKENS = "generate_next_token", "generate_tokens"
GREEDY: tuple[dict[str, Any], ...] = ({"do_sample": False}, {"temperature": 0})
CERTAIN: dict[str, Any] = {"do_sample": False, "temperature": 0}

# The length of a prompt, what generate_tokens is given beside it, and how many tokens come of it.
COUNTS: tuple[tuple[int, list[int], int, dict[str, Any]], ...] = (
    (LENGTH, [3], 3, {"do_sample": False}),
    (LENGTH, [], 10, {"temperature": 0}),  # without a number, there are ten
    (LENGTH, [0], 0, {"do_sample": False}),
    (SMALL.n_positions + 2, [3], 3, {"temperature": 0}),
)
BELOW = varied(-0.5, (-0.01, -0.2, -1.0, -3.0), seed=8)
# Temperatures, each with a do_sample.
REFUSED = ((BELOW, True), (BELOW, False), (-np.inf, True), (np.nan, False), (np.nan, True))

ORDER = shuffled(range(3), seed=7)  # of the tokens in the tables that follow
LOGITS = np.array([[0.0, 1.0, 3.0], [2.5, 0.0, 2.0], [0.0, 0.0, 0.0]])[:, ORDER]
LARGE = np.array([[0.0, 5000.0, 4900.0], [-4000.0, -9000.0, -4100.0], [0.0, 0.0, 0.0]])[:, ORDER]
EVEN = np.zeros_like(NEAR_TIES)  # every token is as likely as any other
PEAK = EVEN + np.log(len(EVEN) - 1) * (np.arange(len(EVEN)) == 0)  # the first, as all together
DRAWS = 2000
SHARE_TOLERANCE = 5 * np.sqrt(0.25 / DRAWS)  # five deviations, 0.06; the nearest mistake: 0.14
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0, np.inf)  # by the closest of which a mistake is known


def named(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def expect_ids(what: str, got: Any, expected: oracle.Tokens) -> None:
    expect_close(what, got, expected, 0, dtype=np.int64)


def expect_seen(name: str, answer: dict[str, Any], windows: list[oracle.Tokens]) -> None:
    """Expect that the model is asked once for each token, and shown these."""
    seen, asked = answer["seen"], f"how often {name} asks the model for {len(windows)} more"
    expect_equal(asked, len(seen), len(windows), observed=seen, says="Each new token takes a call.")
    for ids, window in zip(seen, windows, strict=True):
        expect_ids(f"what {name} shows the model", ids, window)


def expect_shares(step: Workbench, name: str, temperature: float, *arguments: float) -> None:
    """Expect each token to be drawn as often as the softmax of logits / temperature says."""
    prompt = np.tile([[1, 0], [2, 1]], (DRAWS, 1))
    answer = step.generate(name, prompt, *arguments, logits=LOGITS, seed=0)
    ids, what = answer["ids"][0], f"the tokens that {name} draws"
    columns = 1 if name == NEXT else 3
    expect_equal(f"the shape from {name}", list(ids.shape), [2 * DRAWS, columns])
    drawn = (ids[:, -1:] == np.arange(3)).reshape(DRAWS, 2, 3)  # [2 * DRAWS, 3] -> [DRAWS, 2, 3]
    shares = drawn.mean(axis=0)
    says = likeness_of_shares(shares, LOGITS[:2], temperature, SHARE_TOLERANCE)
    if shares.max(axis=1).min() == 1:
        what, seen = f"{what} for {DRAWS} equal rows", [answer["drew"], shares.argmax(1).tolist()]
        raise MismatchError(what, "not the same", "all the same", observed=seen, says=says)
    expected = {t: oracle.softmax(LOGITS[:2] / t) for t in TEMPERATURES}
    off = {t: np.abs(shares - expected[t]) for t in TEMPERATURES}
    if off[temperature].max() > SHARE_TOLERANCE:
        row, token = np.unravel_index(off[temperature].argmax(), shares.shape)
        logits = f"logits {LOGITS[row].tolist()} at temperature {temperature:g}"
        raise MismatchError(
            f"the share of draws by {name}",
            f"{expected[temperature][row, token]:.2f}",
            f"{shares[row, token]:.2f}",
            observed=[temperature, min(off, key=lambda t: float(off[t].max()))],
            place=f" that take token {token}, for {logits}",
            says=says,
        )
    expect_ids("the prompt itself, afterwards,", answer["prompt"], prompt)


def draw(step: Workbench, name: str, seed: int | None, *, calls: int = 1) -> list[Any]:
    """What each call draws for 8 rows where every token is as likely as any other, by column."""
    prompt = random_tokens(SMALL, 8, LENGTH)
    arguments, columns = ([2], LENGTH + 2) if name == TOKENS else ([], 1)
    answer = step.generate(name, prompt, *arguments, logits=EVEN, seed=seed, calls=calls)
    for ids in answer["ids"]:
        expect_equal(f"the shape from {name}", list(ids.shape), [8, columns])
    return [ids[:, -2:].T.tolist() for ids in answer["ids"]]


def test_greedy_token(step: Workbench) -> None:
    prompt = random_tokens(SMALL, BATCH, LENGTH)
    expected = likeliest(prompt, 1)[:, -1:]
    for options in GREEDY:
        answer = step.generate(NEXT, prompt, logits=NEAR_TIES, seed=0, **options)
        expect_ids(f"the next tokens with {named(options)}", answer["ids"][0], expected)


def test_context(step: Workbench) -> None:
    limit = SMALL.n_positions
    for length in (3, limit, limit + 4):
        prompt = random_tokens(SMALL, BATCH, length)
        answer = step.generate(NEXT, prompt, logits=NEAR_TIES, **CERTAIN)
        expect_seen(NEXT, answer, [prompt[:, -limit:]])
    made, ends = likeliest(prompt[:, : limit - 1], 3), range(limit - 1, limit + 2)
    answer = step.generate(TOKENS, made[:, : limit - 1], 3, logits=NEAR_TIES, **CERTAIN)
    expect_seen(TOKENS, answer, [made[:, :end][:, -limit:] for end in ends])


def test_tokens(step: Workbench) -> None:
    for length, arguments, count, options in COUNTS:
        prompt = random_tokens(SMALL, BATCH, length)
        answer = step.generate(TOKENS, prompt, *arguments, logits=NEAR_TIES, seed=0, **options)
        expect_ids(f"the prompt and {count} tokens", answer["ids"][0], likeliest(prompt, count))
        expect_ids("the prompt itself, afterwards,", answer["prompt"], prompt)


def test_frequencies(step: Workbench) -> None:
    expect_shares(step, NEXT, 1.0)
    expect_shares(step, TOKENS, 1.0, 1)
    prompt = np.zeros((2 * DRAWS, 1), np.int64)
    (ids,) = step.generate(NEXT, prompt, logits=NEAR_TIES, seed=0)["ids"]  # each 37 times or more
    drawn = np.unique(ids).tolist()
    expect_equal("the tokens of similar logits that are drawn", drawn, [*range(SMALL.vocab_size)])
    (ids,) = step.generate(NEXT, prompt, logits=PEAK, seed=0)["ids"]
    is_half = bool(abs((ids == 0).mean() - 0.5) <= SHARE_TOLERANCE)
    expect_equal("whether a token as likely as all others is half of the draws", is_half, True)


def test_temperature(step: Workbench) -> None:
    for temperature in (0.5, 2.0):
        expect_shares(step, NEXT, temperature, temperature)


def test_large_logits(step: Workbench) -> None:
    answer = step.generate(NEXT, np.array([[2, 0], [2, 1]]), 0.01, logits=LARGE, seed=0)
    expect_ids("the next tokens for such logits", answer["ids"][0], LARGE[:2].argmax(-1)[:, None])


def test_generator(step: Workbench) -> None:
    (columns,) = draw(step, TOKENS, 1)
    what, says = "the second token drawn in each of 8 rows", "Every token takes the same numbers."
    expect_alike(what, columns[1], columns[0], alike=False, says=says)
    for name in (NEXT, TOKENS):
        (first,), (again, following) = draw(step, name, 1), draw(step, name, 1, calls=2)
        what, says = f"what {name} draws", "There are numbers in it that do not come from rng."
        expect_alike(f"{what} from the same seed", again, first, says=says)
        says = f"{name} begins again with the same numbers."
        expect_alike(f"{what} next from that rng", following, first, alike=False, says=says)
        first, *following = draw(step, name, None, calls=4)
        expect_alike(f"{what} next without rng", following, [first] * 3, alike=False, says=says)


def test_bad_temperature(step: Workbench) -> None:
    prompt = random_tokens(SMALL, BATCH, LENGTH)
    for temperature, do_sample in REFUSED:
        options: dict[str, Any] = {"temperature": temperature, "do_sample": do_sample}
        for name in (NEXT, TOKENS):
            ask = partial(step.generate, name, prompt, logits=NEAR_TIES, **options)
            expect_refusal(f"{name} with {named(options)}", ask)


def test_text(step: Workbench) -> None:
    given = "".join(shuffled("Once", seed=9))
    write = partial(step.generate_text, given, alphabet=ALPHABET, logits=NEAR_TIES)
    prompt = np.array([[ALPHABET.index(letter) for letter in given]])
    expected = "".join(ALPHABET[token] for token in likeliest(prompt, 5)[0])
    for options in GREEDY:
        text = write(max_new_tokens=5, seed=0, **options)
        expect_equal(f"the text with {named(options)}", text, expected)
    first, again, other = (write(4, seed=seed) for seed in (1, 1, 2))
    what, says = "what generate_text draws from", "It does not follow rng, and rng alone."
    expect_alike(f"{what} the same seed", again, first, says=says)
    expect_alike(f"{what} another seed", other, first, alike=False, says=says)
    blank = str.maketrans({expected[0]: " ", expected[-1]: "\n"})
    spaced: dict[str, Any] = {"alphabet": ALPHABET.translate(blank), "logits": NEAR_TIES, "seed": 0}
    what, text = "a text that ends in a new line", given.translate(blank)
    expect_equal(what, step.generate_text(text, 5, 0.0, **spaced), expected.translate(blank))


def test_own_model(step: Workbench) -> None:
    weights, count, length = random_weights(parameter_shapes(OTHER)), 2, OTHER.n_positions

    def written(prompt: oracle.Tokens) -> oracle.Tokens:
        return oracle.generate(weights, prompt, count, **sizes(OTHER))

    def is_plain(prompt: oracle.Tokens) -> bool:
        text = written(prompt)
        before = [text[:, : length + turn] for turn in range(count)]
        scores = [oracle.next_logits(weights, tokens, **sizes(OTHER)) for tokens in before]
        return is_clear(np.array(scores)) and bool((text[:, -1] != text[:, -2]).any())

    prompt = first_that(is_plain, lambda n: random_tokens(OTHER, BATCH, length, seed=n), seed=2)
    got = step.generate_by_own_model(OTHER, prompt, count, 0.0, False, weights=weights)
    expect_ids("the text", got, written(prompt))
