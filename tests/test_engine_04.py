"""Engine 04, a KV cache: its parts, the head that works with it, and what the model keeps."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tests import oracle
from tests.batches import cache_shape, greedy_logits, last_logits
from tests.samples import (
    OTHER,
    SMALL,
    first_that,
    is_clear,
    parameter_shapes,
    random_array,
    random_tokens,
    random_weights,
)
from tutor.check.expectations import expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

TOLERANCE = 1e-5  # of the largest value: noise 1e-6; the nearest mistake is off by 1e-2
HIDDEN = -1e9  # as in engine 03
# Two blocks are enough: one whose columns matter to another, and the last one.
SMALL, SHORT = replace(SMALL, n_layer=2), replace(OTHER, n_layer=2, n_positions=5)

Call = tuple[Any, ...]  # ids [B, T] and starts [B] of a CachedModel; how many columns, for a score
Record = dict[str, Any]  # what came of the calls


def cases_of(tokens: list[int]) -> dict[str, tuple[list[list[int]], list[int]]]:
    """Prompts by what they are, and how many columns are shown for each token after them."""
    return {
        "1 token": ([tokens[:1]], [1, 1, 1, 1, 1, 3, 1]),
        "4, 2 and 1 tokens": ([tokens[:4], tokens[4:6], tokens[6:]], [4, 1, 4, 1, 5]),
    }


def is_plain(weights: oracle.Weights, tokens: list[int]) -> bool:
    """Whether rounding has no say in what follows, and no window begins as the one before it."""
    scores = [
        [*greedy_logits(weights, prompt, len(shown), SHORT)]
        for prompts, shown in cases_of(tokens).values()
        for prompt in prompts
    ]
    third = scores[0][2].argmax()  # with which the window of a single token goes on when it moves
    return is_clear(np.concatenate(scores)) and third != tokens[0]


def expect_head(step: Workbench, config: Config, batch: int, *calls: tuple[int, list[int]]) -> None:
    """Expect the right logits of the head for so many new columns, of which these are scored."""
    weights, ends = random_weights(parameter_shapes(config)), np.cumsum([new for new, _ in calls])
    ids, columns, given = random_tokens(config, batch, ends[-1]), np.arange(ends[-1]), []
    for (count, scored), end in zip(calls, ends, strict=True):
        new = np.tile(columns[end - count : end], (batch, 1))
        mask = np.where(columns[:end] > new[:, :, None], HIDDEN, 0.0)
        given.append([ids[:, end - count : end], new, mask, np.array(scored)])
    cache = random_array(*cache_shape(config, batch))
    made = step.run_cached_head(config, given, cache=cache, weights=weights)
    for logits, (count, scored), end in zip(made, calls, ends, strict=True):
        after = last_logits(weights, ids[:, :end], np.zeros(batch, np.int64), config, count)
        what = f"the logits after {end} columns, {count} of them new, {scored} scored,"
        expect_close(what, logits, after[:, scored], TOLERANCE)


def expect_calls(step: Workbench, calls: dict[str, Call]) -> Record:
    """Expect the right logits of one CachedModel, and that it leaves ids and starts alone."""
    weights = random_weights(parameter_shapes(SHORT))
    answer: Record = step.ask_cached_model(SHORT, list(calls.values()), weights=weights)
    answers = zip(answer["logits"], answer["after"], strict=True)
    for (what, (ids, start, *count)), (logits, after) in zip(calls.items(), answers, strict=True):
        scores = last_logits(weights, ids, start, SHORT, *count)
        expected = scores if count else scores[:, 0]
        expect_close(f"the logits for {what}", logits, expected, TOLERANCE)
        expect_close(f"the ids themselves after {what}", after[0], ids, 0, dtype=np.int64)
        expect_close(f"the starts themselves after {what}", after[1], start, 0, dtype=np.int64)
    return answer


def expect_shown(answer: Record, calls: dict[str, Call], counts: list[int]) -> None:
    """Expect a head to be shown so many columns for each call, a single one by a graph for it."""
    observed = [shown, alone] = answer["shown"], answer["alone"]
    expect_equal(f"how often a head is called for {len(calls)} calls", len(shown), len(calls))
    found = zip(calls.items(), counts, shown, alone, strict=True)
    for (call, (ids, *_)), expected, got, by_column in found:
        what = f"how many columns a head is shown for {call}"
        expect_equal(what, got, expected, observed=observed)
        what = f"whether the graph of one column computes {call}"
        expect_equal(what, by_column, (len(ids), expected) == (1, 1), observed=observed)


def test_linear(step: Workbench) -> None:
    weights = random_weights({"weight": [7, 4], "bias": [7]})
    for batch, new in ((1, 1), (3, 1), (1, 5), (3, 2), (2, 2)):
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
        expect_close(f"what remember returns {what}", got["columns"], expected[:, :, :length], 0)


def test_first_columns(step: Workbench) -> None:
    expect_head(step, SMALL, 1, (5, [4]))
    expect_head(step, SHORT, 3, (5, [1, 3]))


def test_next_columns(step: Workbench) -> None:
    expect_head(step, SHORT, 3, (2, [1]), (1, [0]), (2, [0, 1]))


def test_graph(step: Workbench) -> None:
    answer = step.compile_cached_model(SHORT)
    graphs = sorted(answer["graphs"], key=lambda graph: graph["takes"][0][1] == [1, 1])
    expect_equal("how many graphs CachedModel compiles", len(graphs), 2)
    methods, caches = ["cache_shape", "make_head"], 2 * SHORT.n_layer
    expect_equal("the methods that CachedModel asks", answer["asked"], methods)
    names = "ids", "positions", "mask", "columns to score", *["cache"] * caches
    sizes = ("batch", "new", "scored"), (1, 1, 1)
    for graph, (batch, new, scored) in zip(graphs, sizes, strict=True):
        ids, mask = ["int64", [batch, new]], ["float32", [batch, new, "length"]]
        cache: list[Any] = ["float32", [batch, *cache_shape(SHORT, 1)[1:]]]
        takes = [ids, ids, mask, ["int64", [scored]], *[cache] * caches]
        which = f"the graph for [{batch}, {new}] ids"
        expect_equal(f"how many inputs {which} takes", len(graph["takes"]), len(takes))
        for name, got, expected in zip(names, graph["takes"], takes, strict=True):
            expect_equal(f"the {name} that {which} takes", got, expected, observed=graphs)
        gives = ["float32", [batch, scored, SHORT.vocab_size]]
        expect_equal(f"what {which} gives", graph["gives"], [gives], observed=graphs)
    weights = len(parameter_shapes(SHORT))
    expect_equal("how many weights the graphs have", answer["weights"], weights)
    logits = ["float32", ["batch", "scored", SHORT.vocab_size]]
    traced = step.trace_cached_head(SHORT, "bfloat16")
    expect_equal("what the head of a bfloat16 model gives", traced, [logits])


def test_columns(step: Workbench) -> None:
    config = replace(SHORT, n_layer=1)
    ids, start = random_tokens(config, 2, 5), np.array([1, 0])
    changed = ids.copy()
    changed[0, 2:4] = ids[0, 2:4] == 0
    calls: dict[str, Call] = {
        "the first 2 columns": (ids[:, :2], start),
        "one more": (ids[:, :3], start),
        "two more": (ids, start),
        "as many, two in the middle changed": (changed, start),
        "the first 3 again": (ids[:, :3], start),
        "these from other starts": (ids[:, :3], start[::-1]),
        "one row of them": (ids[:1, :3], start[1:]),
        "one more column of this row": (ids[:1, :4], start[1:]),
        "the first column of this row": (ids[:1, :1], start[1:]),
    }
    weights = random_weights(parameter_shapes(config))
    answer = step.ask_cached_model(config, list(calls.values()), weights=weights)
    expect_shown(answer, calls, [2, 1, 2, 3, 1, 3, 3, 1, 1])


def test_score(step: Workbench) -> None:
    ids, start = random_tokens(SHORT, 2, 5), np.array([1, 0])
    row, changed, first = ids[:1], ids[:1].copy(), start[1:]
    changed[0, 3] = not row[0, 3]
    calls: dict[str, Call] = {
        "2 of 4 columns": (row[:, :4], first, 2),
        "3 of 5, of which 1 is new": (row, first, 3),
        "the last one of these alone": (row, first),
        "all 5 of them": (row, first, 5),
        "2 of 5, the one before the last changed": (changed, first, 2),
        "1 of the first 4": (changed[:, :4], first, 1),
        "2 of 3 columns in 2 rows": (ids[:, :3], start, 2),
        "3 of 4 in these, of which 1 is new": (ids[:, :4], start, 3),
        "1 of 5 in these": (ids, start, 1),
    }
    expect_shown(expect_calls(step, calls), calls, [4, 3, 1, 5, 2, 1, 3, 3, 1])


def test_rows(step: Workbench) -> None:
    ids, start = random_tokens(SHORT, 3, 5), np.array([1, 0, 2])
    expect_calls(step, {f"3 rows of {end} columns": (ids[:, :end], start) for end in (3, 4, 5)})


def test_other_text(step: Workbench) -> None:
    text = random_tokens(SHORT, 2, 5)
    other = (text + 3) % SHORT.vocab_size  # no token is the same
    mixed = np.append(text[:, :2], other[:, 2:], axis=1)
    apart, together = np.array([0, 2]), np.array([0, 0])
    calls: dict[str, Call] = {
        "a text of 5 tokens": (text[:1], together[:1]),
        "another one, in the same array": (other[:1], together[:1]),
        "the same again": (other[:1], together[:1]),
        "one of 4 tokens that begins otherwise": (text[:1, :4], together[:1]),
        "one that begins with 2 of these": (mixed[:1], together[:1]),
        "this one and another": (np.append(mixed[:1], other[1:], axis=0), together),
        "these with another beginning of the second": (mixed, together),
        "these from other starts": (mixed, apart),
    }
    expect_calls(step, calls)


def test_ids(step: Workbench) -> None:
    weights = random_weights(parameter_shapes(SHORT))
    tokens = first_that(
        partial(is_plain, weights), lambda seed: random_tokens(SHORT, 7, seed=seed).tolist(), seed=2
    )
    for what, (prompts, shown) in cases_of(tokens).items():
        answer = step.generate_by_cached_model(SHORT, prompts, len(shown), weights=weights)
        scores = [[*greedy_logits(weights, prompt, len(shown), SHORT)] for prompt in prompts]
        expected = [[int(logits.argmax()) for logits in row] for row in scores]
        expect_equal(f"the likeliest tokens after {what}", answer["ids"], expected)
        expect_equal(f"the columns shown for each token after {what}", answer["shown"], shown)
