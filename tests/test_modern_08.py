"""Modern 08, the cache of a Llama: its head, the shape of a cache, and what CachedModel does."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tests import oracle_modern
from tests.llamas import LLAMA, OTHER_LLAMA, Options, parameter_shapes
from tests.oracle import Array, Tokens, Weights
from tests.samples import first_that, generator, is_clear, random_array, random_weights
from tutor.check.expectations import expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench

TOLERANCE = 1e-5  # of the largest value: noise 1e-6; the nearest mistake is off by 1e-2
HIDDEN = -1e9  # as in engine 03
# Two layers tell whose cache is whose. The contexts are short, so that windows soon move.
GROUPED: Options = {**LLAMA, "max_position_embeddings": 7}
SHORT: Options = {**OTHER_LLAMA, "num_hidden_layers": 2, "max_position_embeddings": 5}


def cache_shape(options: Options, batch: Any) -> list[Any]:
    groups, positions = options["num_key_value_heads"], options["max_position_embeddings"]
    return [batch, groups, positions, options["head_dim"]]


def weights_of(options: Options) -> Weights:
    return random_weights(parameter_shapes(options))


def tokens_of(options: Options, *shape: int, seed: int = 2) -> Tokens:
    return generator(seed).integers(options["vocab_size"], size=shape)


def last_logits(
    weights: Weights, ids: Tokens, start: Tokens, options: Options, count: int = 1
) -> Array:
    """Those after the last columns, of each row by itself: [B, T], [B] -> [B, count, V]."""
    rows = [row[None, first:] for row, first in zip(ids, start, strict=True)]
    logits = [oracle_modern.lm_head_model(weights, row, options)[:, -count:] for row in rows]
    return np.concatenate(logits)


def greedy_logits(
    weights: Weights, prompt: list[int], count: int, options: Options
) -> Iterator[Array]:
    """The logits of which each likeliest token is one, [V].

    Once there are more tokens than the context has, the last half of it is seen.
    """
    ids, first, limit = list(prompt), 0, options["max_position_embeddings"]
    for _ in range(count):
        if len(ids) - first > limit:
            first = len(ids) - (limit + 1) // 2
        [[logits]] = last_logits(weights, np.array([ids]), np.array([first]), options)
        ids.append(int(logits.argmax()))
        yield logits


def cases_of(tokens: list[int]) -> dict[str, tuple[list[list[int]], list[int]]]:
    """Prompts by what they are, and how many columns are shown for each token after them."""
    return {
        "2 tokens": ([tokens[:2]], [2, 1, 1, 1, 3, 1]),
        "3, 1 and 2 tokens": ([tokens[:3], tokens[3:4], tokens[4:]], [3, 1, 1]),
    }


def is_plain(weights: Weights, tokens: list[int]) -> bool:
    """Whether rounding has no say in what follows, and no window begins as the one before it."""
    scores = [
        [*greedy_logits(weights, prompt, len(shown), SHORT)]
        for prompts, shown in cases_of(tokens).values()
        for prompt in prompts
    ]
    follows = [int(logits.argmax()) for logits in scores[0]]
    return is_clear(np.concatenate(scores)) and follows[1] != tokens[0]


def expect_head(step: Workbench, options: Options, *calls: tuple[int, list[int]]) -> None:
    """Expect the right logits for so many new columns of two rows, of which these are scored."""
    weights, ends = weights_of(options), np.cumsum([new for new, _ in calls])
    ids, columns, given = tokens_of(options, 2, ends[-1]), np.arange(ends[-1]), []
    for (count, scored), end in zip(calls, ends, strict=True):
        new = np.tile(columns[end - count : end], (2, 1))
        mask = np.where(columns[:end] > new[:, :, None], HIDDEN, 0.0)
        given.append([ids[:, end - count : end], new, mask, np.array(scored)])
    cache = random_array(*cache_shape(options, 2))
    made = step.run_llama_head(options, given, cache=cache, weights=weights)
    for logits, (count, scored), end in zip(made, calls, ends, strict=True):
        after = last_logits(weights, ids[:, :end], np.zeros(2, np.int64), options, count)
        what = f"the logits after {end} columns, {count} of them new, {scored} scored,"
        expect_close(what, logits, after[:, scored], TOLERANCE)


def test_head(step: Workbench) -> None:
    expect_head(step, GROUPED, (4, [1, 3]))
    expect_head(step, SHORT, (2, [1]), (1, [0]), (2, [0, 1]))


def test_cache_shape(step: Workbench) -> None:
    for options in (GROUPED, SHORT):
        answer, layers = step.compile_llama(options), options["num_hidden_layers"]
        shape = cache_shape(options, 5)
        expect_equal("the shape of all caches for 5 rows", answer["shape"], [2 * layers, *shape])
        for graph in answer["graphs"]:
            batch = graph["takes"][0][1][0]
            cache = ["float32", cache_shape(options, batch)]
            got = graph["takes"][4:]
            expect_equal(f"the caches of the graph for {batch} rows", got, [cache] * 2 * layers)


def test_padding(step: Workbench) -> None:
    ids, start, weights = tokens_of(GROUPED, 3, 6), np.array([1, 0, 3]), weights_of(GROUPED)
    calls: list[Any] = [(ids[:, :4], start), (ids[:, :5], start), (ids, start, 2)]
    answer = step.ask_llama(GROUPED, calls, weights=weights)
    for (columns, _, *count), logits in zip(calls, answer["logits"], strict=True):
        scores = last_logits(weights, columns, start, GROUPED, *count)
        what = f"the logits of 3 rows after {columns.shape[1]} columns"
        expect_close(what, logits, scores if count else scores[:, 0], TOLERANCE)


def test_greedy(step: Workbench) -> None:
    weights = weights_of(SHORT)
    tokens = first_that(
        partial(is_plain, weights), lambda seed: tokens_of(SHORT, 6, seed=seed).tolist(), seed=2
    )
    for what, (prompts, shown) in cases_of(tokens).items():
        answer = step.generate_by_llama(SHORT, prompts, len(shown), weights=weights)
        scores = [[*greedy_logits(weights, prompt, len(shown), SHORT)] for prompt in prompts]
        expected = [[int(logits.argmax()) for logits in row] for row in scores]
        expect_equal(f"the likeliest tokens after {what}", answer["ids"], expected)
        expect_equal(f"the columns shown for each token after {what}", answer["shown"], shown)
