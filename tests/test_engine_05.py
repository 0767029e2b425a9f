"""Engine 05, speculative decoding: the drafts, what stands of a guess, and the text of it all."""

from typing import Any

import numpy as np

from tests import batches
from tests.batches import CHAIN, COUNT, TOKENS, expect_ids
from tests.samples import as_float32, generator, varied
from tutor.check.expectations import expect_alike, expect_equal
from tutor.check.sandbox.workbench import Workbench

# After each token any other can come, so that another draw soon makes another text.
TABLE = as_float32(generator(3).uniform(size=(COUNT, COUNT)))
SETTINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"temperature": 0.4},
    {"temperature": 1.3, "top_k": 7},
    {"top_p": 0.8},
    {"temperature": 0.7, "top_k": 9, "top_p": 0.9},
)
GREEDY = SETTINGS[0]
SEED = varied(5, range(6, 60), seed=12)
START = TOKENS[[7, 3, 10]].tolist()

# How many guesses of each round are right before one that is not, and how many come at most.
DRAFTS: dict[str, tuple[list[int], int]] = {
    "always right": ([COUNT], COUNT),
    "always wrong": ([0], COUNT),
    "right now and then": ([2, 0, 3, 1, COUNT], COUNT),
    "without a guess": ([0], 0),
    "with few guesses": ([COUNT, 1], 2),
}
TELLING = "always right", "right now and then"

# A text, how many guesses are asked for, the longest match, and the guesses; by place in TOKENS.
LOOKUPS: tuple[tuple[list[int], int, list[int], list[int]], ...] = (
    ([1, 2, 3, 9, 4, 1, 2, 3], 2, [], [9, 4]),
    ([1, 2, 3, 9, 4, 1, 2, 3], 4, [], [9, 4, 1, 2]),
    ([1, 2, 5, 0, 1, 2, 6, 7, 1, 2], 1, [2], [6]),  # the latest of two
    ([7, 1, 2, 8, 1, 2, 4, 7, 1, 2], 3, [], [8, 1, 2]),  # the longest, of three tokens
    ([1, 2, 5, 2, 6, 7, 1, 2], 2, [], [5, 2]),  # of two tokens
    ([0, 9, 5, 6, 3, 8, 9, 5, 6, 10, 0, 9, 5, 6], 2, [], [10, 0]),  # four would be too long
    ([7, 1, 2, 8, 3, 2, 4, 7, 1, 2], 3, [1], [4, 7, 1]),  # of one, though more match
    ([4, 0, 8, 6, 11, 8, 6, 2, 0, 8, 6], 3, [9], [11, 8, 6]),
    ([6, 9, 10, 6], 5, [], [9, 10, 6]),  # no more follow
    ([0, 3, 0], 3, [], [3, 0]),
    ([5, 5, 5], 4, [], [5]),
    ([8, 8], 2, [], [8]),
    ([1, 2, 3, 4], 3, [], []),  # nothing was there before
    ([8], 2, [], []),
    ([1, 2, 1, 2], 0, [], []),
)

WINDOWS = ((8, 3), (7, 12), (5, 5), (2, 3), (1, 1))  # positions, and tokens of the prompt

# max_new_tokens, and the place of the token that is the stop, if there is one.
ENDS: tuple[tuple[int, int | None], ...] = (
    *((length, None) for length in (0, 1, 2, 5, 9)),
    (20, 2),  # a guess that stands; it would come again, at the end of a round
    (9, 0),  # right at the start
    (9, 1),  # token 0, which is false
    (9, 4),  # the token after four guesses; it is in the prompt, too
    (9, 5),  # the first one of a round
    (9, 8),  # the last one of all
    (5, 8),  # not reached
)


def plain(step: Workbench, last: int, count: int, sampling: dict[str, Any]) -> list[int]:
    """The tokens after one, chosen one by one."""
    if sampling == GREEDY:
        return batches.following([[last]], count, TABLE)[0]
    made = step.write_plainly(last, count, logits=TABLE, seed=SEED, **sampling)
    return list(made["tokens"])


def noise(step: Workbench, last: int, count: int, sampling: dict[str, Any]) -> list[int]:
    """What is to be drawn before each of these tokens, and after the last."""
    made = step.write_plainly(last, count, logits=TABLE, seed=SEED, **sampling)
    return list(made["noise"])


def expect_guesses(step: Workbench, count: int, sampling: dict[str, Any]) -> None:
    """Expect the next tokens for guesses, and that the model has yet to draw them."""
    expected = plain(step, START[-1], count, sampling)
    what = f"of {count} guesses with {sampling}"
    answer = step.model_draft(np.array(START), count, logits=TABLE, seed=SEED, **sampling)
    expect_ids(f"the tokens {what}", answer["guesses"], expected)
    texts = [START + expected[:place] for place in range(count)]
    expect_equal(f"what the draft's model sees {what}", answer["seen"], texts)
    used = answer["noise"] != noise(step, START[-1], 0, sampling)[0]
    drawn = [answer["drawn"], answer["noise"]]
    what = f"whether {count} guesses with {sampling} have moved the generator"
    expect_equal(what, used, False, observed=drawn)


def expect_verified(step: Workbench, count: int, right: int, sampling: dict[str, Any]) -> None:
    """Expect the tokens up to the first that was guessed wrong, and the noise of no other used."""
    tokens = plain(step, START[-1], count + 1, sampling)
    guesses = np.array(tokens[:count], np.int64)
    guesses[right : right + 1] = (guesses[right : right + 1] + 1) % COUNT
    logits = TABLE[[START[-1], *guesses]]  # after the text, and after each guess
    answer = step.verify(logits, guesses, seed=SEED, **sampling)
    what = f"{count} guesses, {min(right, count)} right before a wrong one, with {sampling}"
    if right >= count:
        what = f"{count} right guesses with {sampling}"
    stand = min(right, count) + 1
    expect_ids(f"the tokens that stand after {what}", answer["tokens"], tokens[:stand])
    due = noise(step, START[-1], count + 1, sampling)
    drawn = due.index(answer["noise"]) if answer["noise"] in due else None
    tokens_drawn = due.index(due[stand])
    expect_equal(f"the tokens that are drawn for {what}", drawn, tokens_drawn)


def speculate(
    step: Workbench, draft: str, prompt: list[int], *arguments: Any, **options: Any
) -> dict[str, Any]:
    right, most = DRAFTS[draft]
    answer: dict[str, Any] = step.speculate(prompt, *arguments, right=right, most=most, **options)
    return answer


def test_model_draft(step: Workbench) -> None:
    for count, sampling in zip((4, 6, 5, 7, 3), SETTINGS, strict=True):
        expect_guesses(step, count, sampling)
    expect_guesses(step, 1, SETTINGS[1])
    expect_guesses(step, 0, SETTINGS[1])


def test_lookup_draft(step: Workbench) -> None:
    for text, count, longest, guesses in LOOKUPS:
        ids, expected = TOKENS[text], TOKENS[guesses]
        what = f"up to {count} guesses after {ids.tolist()}"
        got = step.lookup_draft(ids, count, *longest)
        expect_ids(what + "".join(f" with longest={n}" for n in longest), got, expected)


def test_verify(step: Workbench) -> None:
    for sampling in SETTINGS:
        for count, right in ((5, 2), (4, 4), (4, 0), (3, 2), (0, 0)):
            expect_verified(step, count, right, sampling)


def test_text(step: Workbench) -> None:
    drawn = {"logits": TABLE, "sampling": SETTINGS[1], "seed": SEED}
    one, again = (speculate(step, "always wrong", START, 20, **drawn)["made"] for _ in range(2))
    expect_alike("the text from the same seed", again, one)
    for count, sampling in zip((4, 3, 6, 2, 5), SETTINGS, strict=True):
        expected = plain(step, START[-1], 20, sampling)
        for draft in DRAFTS:
            what = f"the tokens with {sampling} and a draft that is {draft}, count={count}"
            options = {"sampling": sampling, "seed": SEED, "count": count}
            answer = speculate(step, draft, START, 20, logits=TABLE, **options)
            expect_equal(what, answer["made"], expected)


def test_rounds(step: Workbench) -> None:
    for count, sampling in zip((4, 3, 6, 2, 5), SETTINGS, strict=True):
        text = plain(step, START[-1], 20, sampling)
        for draft, (right, most) in DRAFTS.items():
            what = f"with {sampling} and a draft that is {draft}, count={count}"
            options = {"sampling": sampling, "seed": SEED, "count": count}
            answer = speculate(step, draft, START, 20, logits=TABLE, **options)
            seen, written = batches.rounds(START, text, count, 128, right, most)
            calls = len(answer["seen"])
            observed = [answer["seen"], answer["guesses"]]
            expect_equal(f"the calls of the model {what}", calls, len(seen), observed=observed)
            expect_equal(f"the calls until each token {what}", answer["asked"], written)
    answer = speculate(step, "always right", START, logits=CHAIN)
    _, written = batches.rounds(START, answer["made"], 4, 128, *DRAFTS["always right"])
    expect_equal("the calls until each of 50 tokens, count left out", answer["asked"], written)


def test_window(step: Workbench) -> None:
    for limit, length in WINDOWS:
        prompt = TOKENS[np.arange(length) * 5 % COUNT].tolist()
        text = plain(step, prompt[-1], 21, SETTINGS[1])
        options = {"logits": TABLE, "n_positions": limit, "sampling": SETTINGS[1], "seed": SEED}
        for draft in TELLING:
            what = f"after {length} with {limit} positions and a draft that is {draft}"
            answer = speculate(step, draft, prompt, 21, **options)
            expect_equal(f"the tokens {what}", answer["made"], text)
            seen, _ = batches.rounds(prompt, text, 4, limit, *DRAFTS[draft])
            rows = zip(answer["seen"], seen, strict=False)
            texts = [row[: len(begun)] for row, begun in rows]
            expect_equal(f"the calls {what}", len(answer["seen"]), len(seen))
            expect_equal(f"what is seen before the guesses {what}", texts, seen)


def test_end(step: Workbench) -> None:
    for most, place in ENDS:
        text = batches.following([START], 20)[0]
        stop = None if place is None else text[place]
        for draft in TELLING:
            what = f"of at most {most} with stop={stop} and a draft that is {draft}"
            options = {"logits": CHAIN, "sampling": GREEDY, "stop": stop}
            answer = speculate(step, draft, START, most, **options)
            end = most if place is None else min(place + 1, most)
            expect_equal(f"the tokens {what}", answer["made"], text[:end])
            _, written = batches.rounds(START, text[:most], 4, 128, *DRAFTS[draft])
            expect_equal(f"the calls until each token {what}", answer["asked"], written[:end])
            calls = max(written[:end], default=0)
            expect_equal(f"the calls {what}", len(answer["seen"]), calls)
