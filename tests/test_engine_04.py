"""Engine 04, a KV cache: its parts, the head that works with it, and what the model keeps."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from tests import oracle
from tests.samples import (
    OTHER,
    SMALL,
    first_that,
    is_clear,
    parameter_shapes,
    random_array,
    random_tokens,
    random_weights,
    sizes,
)
from tutor.check.expectations import expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

TOLERANCE = 1e-5  # of the largest value: noise 1e-6; the nearest mistake is off by 1e-2
HIDDEN = -1e9  # as in engine 03
# Two blocks are enough: one whose columns matter to another, and the last one.
SMALL, SHORT = replace(SMALL, n_layer=2), replace(OTHER, n_layer=2, n_positions=5)

Call = tuple[oracle.Tokens, oracle.Tokens]  # ids [B, T] and starts [B], of a CachedModel


def cache_shape(config: Config, batch: int) -> tuple[int, ...]:
    return batch, config.n_head, config.n_positions, config.n_embd // config.n_head


def last_logits(
    weights: oracle.Weights, ids: oracle.Tokens, start: oracle.Tokens, config: Config
) -> oracle.Array:
    """The logits after the last column, of each row by itself. Shape: [B, T] -> [B, V]."""
    rows = [row[None, first:] for row, first in zip(ids, start, strict=True)]
    logits = [oracle.lm_head_model(weights, row, **sizes(config))[:, -1] for row in rows]
    return np.concatenate(logits)


def greedy_logits(weights: oracle.Weights, prompt: list[int], count: int) -> Iterator[oracle.Array]:
    """The logits of which each likeliest token is one, [V].

    Once there are more tokens than n_positions, the last half of these is seen.
    """
    ids, first, limit = list(prompt), 0, SHORT.n_positions
    for _ in range(count):
        if len(ids) - first > limit:
            first = len(ids) - (limit + 1) // 2
        (logits,) = last_logits(weights, np.array([ids]), np.array([first]), SHORT)
        ids.append(int(logits.argmax()))
        yield logits


def cases_of(tokens: list[int]) -> dict[str, tuple[list[list[int]], list[int]]]:
    """Prompts by what they are, and how many columns are shown for each token after them."""
    return {
        "1 token": ([tokens[:1]], [1, 1, 1, 1, 1, 3, 1]),
        "4, 2 and 1 tokens": ([tokens[:4], tokens[4:6], tokens[6:]], [4, 1, 4, 1, 5]),
    }


def is_plain(weights: oracle.Weights, tokens: list[int]) -> bool:
    """Whether rounding has no say in what follows, and no window begins as the one before it."""
    scores = [
        [*greedy_logits(weights, prompt, len(shown))]
        for prompts, shown in cases_of(tokens).values()
        for prompt in prompts
    ]
    third = scores[0][2].argmax()  # with which the window of a single token goes on when it moves
    return is_clear(np.concatenate(scores)) and third != tokens[0]


def expect_head(step: Workbench, config: Config, batch: int, counts: list[int]) -> None:
    """Expect the right logits of the head for so many new columns at a time."""
    weights, ends = random_weights(parameter_shapes(config)), np.cumsum(counts)
    ids, columns, calls = random_tokens(config, batch, ends[-1]), np.arange(ends[-1]), []
    for count, end in zip(counts, ends, strict=True):
        new = np.tile(columns[end - count : end], (batch, 1))
        mask = np.where(columns[:end] > new[:, :, None], HIDDEN, 0.0)
        calls.append([ids[:, end - count : end], new, mask])
    cache = random_array(*cache_shape(config, batch))
    made = step.run_cached_head(config, calls, cache=cache, weights=weights)
    for logits, count, end in zip(made, counts, ends, strict=True):
        expected = last_logits(weights, ids[:, :end], np.zeros(batch, np.int64), config)
        what = f"the logits after {end} columns, {count} of them new,"
        expect_close(what, logits, expected, TOLERANCE)


def expect_calls(step: Workbench, calls: dict[str, Call]) -> None:
    """Expect the right logits of one CachedModel, and that it leaves ids and starts alone."""
    weights = random_weights(parameter_shapes(SHORT))
    answer = step.ask_cached_model(SHORT, list(calls.values()), weights=weights)
    answers = zip(answer["logits"], answer["after"], strict=True)
    for (what, (ids, start)), (logits, after) in zip(calls.items(), answers, strict=True):
        expected = last_logits(weights, ids, start, SHORT)
        expect_close(f"the logits for {what}", logits, expected, TOLERANCE)
        expect_close(f"the ids themselves after {what}", after[0], ids, 0, dtype=np.int64)
        expect_close(f"the starts themselves after {what}", after[1], start, 0, dtype=np.int64)


def test_linear(step: Workbench) -> None:
    weights = random_weights({"weight": [7, 4], "bias": [7]})
    for batch, new in ((1, 1), (3, 2), (2, 5)):
        x = random_array(batch, new, 4)
        got, expected = step.linear(x, weights), oracle.linear(weights, x)
        expect_close(f"what linear makes of {list(x.shape)}", got, expected, TOLERANCE)


def test_remember(step: Workbench) -> None:
    cache = random_array(*cache_shape(OTHER, 2))
    for count, length in ((4, 4), (3, 8), (1, 6), (1, OTHER.n_positions)):
        new = random_array(2, OTHER.n_head, count, cache.shape[-1], seed=length)
        expected = cache.copy()
        expected[:, :, length - count : length] = new
        got, what = step.remember(cache, new, length), f"with {count} new columns of {length}"
        expect_close(f"the cache {what}", got["cache"], expected, 0)
        columns = expected[:, :, :length]
        expect_close(f"what remember returns {what}", got["columns"], columns, 0)


def test_first_columns(step: Workbench) -> None:
    for batch, config in ((1, SMALL), (3, SHORT)):
        expect_head(step, config, batch, [5])


def test_next_columns(step: Workbench) -> None:
    expect_head(step, SHORT, 3, [2, 1, 2])


def test_graph(step: Workbench) -> None:
    logits, ids = ["float32", ["batch", SHORT.vocab_size]], ["int64", ["batch", "new"]]
    mask = ["float32", ["batch", "new", "length"]]
    cache = ["float32", ["batch", *cache_shape(SHORT, 1)[1:]]]
    answer = step.compile_cached_model(SHORT)
    graphs, asked = answer["graphs"], answer["asked"]
    expect_equal("how many graphs CachedModel compiles", len(graphs), 1)
    expect_equal("the methods that CachedModel asks", asked, ["cache_shape", "make_head"])
    names = "ids", "positions", "mask", *["cache"] * 2 * SHORT.n_layer
    takes = [ids, ids, mask, *[cache] * 2 * SHORT.n_layer]
    for name, got, expected in zip(names, graphs[0]["takes"], takes, strict=True):
        what = f"the {name} that the compiled head takes"
        expect_equal(what, got, expected, observed=graphs[0]["takes"])
    expect_equal("what the compiled head gives", graphs[0]["gives"], [logits])
    traced = step.trace_cached_head(SHORT, "bfloat16")
    expect_equal("what the head of a bfloat16 model gives", traced, [logits])


def test_columns(step: Workbench) -> None:
    config = replace(SHORT, n_layer=1)
    ids, start = random_tokens(config, 2, 5), np.array([1, 0])
    changed = ids.copy()
    changed[0, 2] = not ids[0, 2]
    calls: dict[str, tuple[int, Call]] = {
        "the first 2 columns": (2, (ids[:, :2], start)),
        "one more": (1, (ids[:, :3], start)),
        "two more": (2, (ids, start)),
        "as many, the middle one changed": (3, (changed, start)),
        "the first 3 again": (1, (ids[:, :3], start)),
        "these from other starts": (3, (ids[:, :3], start[::-1])),
        "one row of them": (3, (ids[:1, :3], start[1:])),
    }
    weights = random_weights(parameter_shapes(config))
    given = [call for _, call in calls.values()]
    shown = step.ask_cached_model(config, given, weights=weights)["shown"]
    expect_equal(f"how often the head is called for {len(calls)} calls", len(shown), len(calls))
    for (call, (expected, _)), got in zip(calls.items(), shown, strict=True):
        what = f"how many columns the head is shown for {call}"
        expect_equal(what, got, expected, observed=shown)


def test_rows(step: Workbench) -> None:
    ids, start = random_tokens(SHORT, 3, 5), np.array([1, 0, 2])
    widths = {f"3 rows of {length} columns": (ids[:, :length], start) for length in (3, 4, 5)}
    expect_calls(step, widths)


def test_other_text(step: Workbench) -> None:
    text = random_tokens(SHORT, 2, 5)
    other = first_that(
        lambda other: bool((other != text).all()),
        lambda seed: random_tokens(SHORT, 2, 5, seed=seed),
        seed=3,
    )
    mixed = np.append(text[:, :2], other[:, 2:], axis=1)
    apart, together = np.array([0, 2]), np.array([0, 0])
    expect_calls(
        step,
        {
            "a text of 5 tokens": (text[:1], together[:1]),
            "another one, in the same array": (other[:1], together[:1]),
            "the same again": (other[:1], together[:1]),
            "one of 4 tokens that begins otherwise": (text[:1, :4], together[:1]),
            "one that begins with 2 of these": (mixed[:1], together[:1]),
            "this one and another": (np.append(mixed[:1], other[1:], axis=0), together),
            "these with another beginning of the second": (mixed, together),
            "these from other starts": (mixed, apart),
        },
    )


def test_ids(step: Workbench) -> None:
    weights = random_weights(parameter_shapes(SHORT))
    tokens = first_that(
        partial(is_plain, weights), lambda seed: random_tokens(SHORT, 7, seed=seed).tolist(), seed=2
    )
    for what, (prompts, shown) in cases_of(tokens).items():
        answer = step.generate_by_cached_model(SHORT, prompts, len(shown), weights=weights)
        scores = [[*greedy_logits(weights, prompt, len(shown))] for prompt in prompts]
        expected = [[int(logits.argmax()) for logits in row] for row in scores]
        expect_equal(f"the likeliest tokens after {what}", answer["ids"], expected)
        expect_equal(f"the columns shown for each token after {what}", answer["shown"], shown)
