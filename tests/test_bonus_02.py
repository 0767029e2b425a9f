"""Bonus 02, sampling strategies: what is drawn, then batches of any lengths, then whole texts."""

import itertools
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from tests import batches, oracle
from tests.batches import CHAIN, LOGITS, TOKENS
from tests.samples import (
    CONFIGS,
    as_float32,
    generator,
    parameter_shapes,
    random_tokens,
    random_weights,
    varied,
)
from tutor.check.expectations import (
    expect_alike,
    expect_close,
    expect_entries,
    expect_equal,
    expect_refusals,
)
from tutor.check.sandbox.workbench import Workbench

HEAD, STREAM, ROWS = "GPT2BatchHead", "stream_tokens", "generate_batch"
SMALL, OTHER = (replace(config, n_layer=2) for config in CONFIGS)
TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-2
HIDES = -1e4  # or less, added to a score: exp of it is 0 even in float64

DRAWS = 4000  # of each row
SHARE_TOLERANCE = 0.05  # of the largest share, which is 0.8: five deviations; mistakes: 0.2


def expect_ids(what: str, got: Any, expected: Any) -> None:
    expect_close(what, got, np.array(expected), 0, dtype=np.int64)


def expect_probabilities(step: Workbench, logits: oracle.Array, **options: Any) -> None:
    got = step.probabilities(logits, **options)
    expected = np.array([batches.shares(row, **options) for row in logits])
    expect_close(
        f"which tokens can be drawn with {options}", got > 0, expected > 0, 0, dtype=np.bool_
    )
    expect_close(f"the probabilities with {options}", got, expected, TOLERANCE, dtype=np.float64)


def test_settings(step: Workbench) -> None:
    expect_equal("Sampling()", step.sampling(), {"temperature": 1.0, "top_k": None, "top_p": 1.0})
    for options in ({"temperature": 0, "top_p": 1}, {"top_k": 1, "top_p": 1e-9}):
        expect_entries("of a Sampling,", step.sampling(**options), options)
    wrong = {"temperature": (-0.5, np.nan, np.inf), "top_k": (0, -3), "top_p": (0, -1, 1.5, np.nan)}
    cases: dict[str, Any] = {}
    for name, values in wrong.items():
        for value in values:
            ask = partial(step.sampling, **{name: value})
            cases[f"Sampling({name}={value})"] = ask, [name, value]
    expect_refusals(cases)


def test_top_k(step: Workbench) -> None:
    for temperature in (1.0, 0.5, 2.0):
        expect_probabilities(step, LOGITS, temperature=temperature)
    expect_probabilities(step, 5000 * LOGITS[:2], temperature=0.5)
    for top_k in (3, 1, 8, 9, 14):
        expect_probabilities(step, LOGITS, top_k=top_k)


def test_top_p(step: Workbench) -> None:
    for top_p in (0.55, 0.97, 0.05, 1e-12):
        expect_probabilities(step, LOGITS, top_p=top_p)
    expect_probabilities(step, batches.RARE, top_k=3, top_p=1.0)
    for heat, top_k, top_p in itertools.product((0.6, 1.7), (2, 4, 7, None), (0.35, 0.83)):
        expect_probabilities(step, LOGITS, temperature=heat, top_k=top_k, top_p=top_p)


def test_choose(step: Workbench) -> None:
    near, seeds = as_float32(generator(3).uniform(size=(4, 61))), [5, 6, 7, 8]
    (ids,) = step.choose(near, seeds, temperature=0)
    expect_ids("the tokens at temperature 0", ids, near.argmax(axis=-1))
    options: dict[str, Any] = {"temperature": 1.5, "top_k": 5, "top_p": 0.8}
    (ids,) = step.choose(np.tile(LOGITS, (DRAWS, 1)), [*range(3 * DRAWS)], **options)
    expect_equal("the draws", [str(ids.dtype), *ids.shape], ["int64", 3 * DRAWS], observed=ids)
    drawn = (ids.reshape(DRAWS, 3, 1) == np.arange(9)).mean(axis=0)  # [DRAWS * 3] -> [3, V]
    expected = np.array([batches.shares(row, **options) for row in LOGITS])
    what = f"of 9 tokens with {options}"
    expect_close(f"which are drawn {what}", drawn > 0, expected > 0, 0, dtype=np.bool_)
    expect_close(f"the shares {what}", drawn, expected, SHARE_TOLERANCE, dtype=np.float64)
    draws, again = (np.array(step.choose(near, seeds, calls=6)) for _ in range(2))
    expect_alike("the draws of 4 rows from the same seeds", again, draws)
    expect_alike("the next draws of 4 rows", draws[1:], draws[:-1], alike=False)
    alone = np.hstack([step.choose(near[[i]], [seeds[i]], calls=6) for i in range(4)])
    turned = np.array(step.choose(near[::-1], seeds[::-1], calls=6))[:, ::-1]
    for order, found in (("", draws), (" in another order", turned)):
        expect_ids(f"6 draws of 4 rows{order}, which alone draw as expected,", found, alone)


def test_padding(step: Workbench) -> None:
    more, later = varied(0, range(1, 50), seed=10), varied(0, range(1, 6), seed=11)
    for usual in ([[7, 5, 6], [3, 9, 4, 8, 2], [1]], [[4, 2]], [[3, 1], [5, 2]]):
        prompts = [[token + more for token in prompt] for prompt in usual]
        ids, start = step.left_pad(prompts)
        width = max(map(len, prompts))
        expect_ids(f"the starts of {prompts}", start, [width - len(prompt) for prompt in prompts])
        expect_equal("the ids", [str(ids.dtype), *ids.shape], ["int64", len(prompts), width])
        rows = [row[first:].tolist() for row, first in zip(ids, start, strict=True)]
        expect_equal(f"{prompts}, after their starts", rows, prompts)
        strange = set(ids.ravel().tolist()) - {0, *itertools.chain(*prompts)}
        expect_equal("ids in the padding that a model need not know", sorted(strange), [])
    for start, length, new in (
        ([2 + later, 0, 4 + later], 6 + later, 6 + later),
        ([0, 3 + later, 1], 5 + later, 1),
        ([1, 4 + later], 7 + later, 4),
        ([0], 3 + later, 3 + later),
    ):
        positions, mask = step.positions_and_mask(np.array(start), length, new)
        what = f"of the last {new} of {length} columns, rows from {start}"
        expected = np.arange(length - new, length) - np.array(start)[:, None]  # [B, new]
        expect_equal(f"the shape of positions {what}", list(positions.shape), list(expected.shape))
        unused = (expected < 0) & (positions >= 0) & (positions < length)
        expect_ids(f"positions {what}", positions, np.where(unused, positions, expected.clip(0)))
        seen = batches.visible(start, length, new)
        expect_equal(f"the shape of the mask {what}", list(mask.shape), list(seen.shape))
        unused = (expected < 0)[..., None] & (mask == 0)
        hides = np.isfinite(mask) & (mask <= HIDES) & ~seen
        expected = np.where(unused | hides, mask, np.where(seen, 0, -1e9))
        expect_close(f"the mask {what}", mask, expected, TOLERANCE)


def test_batch_head(step: Workbench) -> None:
    for config, lengths in ((SMALL, [5, 2, 4]), (OTHER, [1, OTHER.n_positions])):
        weights, batch = random_weights(parameter_shapes(config)), batches.Batch(config, lengths)
        (got,) = step.run_head(HEAD, config, batch.inputs, weights=weights)
        what = f"the logits of rows of {lengths} tokens"
        expect_close(what, got, batch.logits(weights), TOLERANCE)
    traced = step.trace_head(HEAD, SMALL, "float32")
    expect_equal("what a graph gives", traced["gives"], [["float32", ["batch", SMALL.vocab_size]]])
    expect_equal("the scores of other columns than the last", traced["wide"], [])


def test_batch_model(step: Workbench) -> None:
    weights = random_weights(parameter_shapes(OTHER))
    given = [batches.Batch(OTHER, lengths) for lengths in ([5, 2, 4], [3])]
    inputs = [[batch.ids, batch.start] for batch in given]
    answer = step.batch_model(OTHER, *inputs, weights=weights)
    ids, mask = ["int64", ["batch", "length"]], ["float32", ["batch", "length", "length"]]
    graph = {"takes": [ids, ids, mask], "gives": [["float32", ["batch", OTHER.vocab_size]]]}
    expect_equal("the graphs that a BatchModel compiles", answer["graphs"], [graph])
    config = {**asdict(OTHER), "n_inner": OTHER.inner}
    expect_equal("the config that it carries", answer["config"], config)
    for batch, logits in zip(given, answer["logits"], strict=True):
        what = f"the logits for ids {list(batch.ids.shape)}"
        expect_close(what, logits, batch.logits(weights), TOLERANCE)


def test_window(step: Workbench) -> None:
    for limit, lengths in ((8, [9, 3, 7, 20]), (7, [7, 8]), (1, [1, 2]), (2, [3, 2]), (9, [4, 2])):
        ids = random_tokens(SMALL, len(lengths), max(lengths) + 2)
        start = ids.shape[1] - np.array(lengths)
        seen, first = step.slide(ids, start, limit)
        rows = [
            batches.last_half(row[at:].tolist(), limit) for row, at in zip(ids, start, strict=True)
        ]
        got = [row[at:].tolist() for row, at in zip(seen, first, strict=True)]
        what = f"of {lengths} tokens with {limit} positions"
        expect_equal(f"what is seen {what}", got, rows, observed=[seen, first])
        expect_equal(f"the first start {what}", int(first.min()), 0)
    for limit, lengths in ((8, [2, 9, 5]), (7, [7, 1]), (1, [1, 3])):
        prompts, seeds = [[*range(length)] for length in lengths], [*range(len(lengths))]
        options = {"logits": CHAIN, "n_positions": limit, "seeds": seeds}
        seen = step.generate_rows(STREAM, prompts, 15, **options)["seen"]
        expect_equal("how often the model is asked for 15 tokens", len(seen), 15)
        for turn, rows in enumerate(batches.windows(prompts, 15, limit)):
            what = f"what is seen at turn {turn} with {limit} positions"
            expect_equal(what, seen[turn], rows, observed=seen)


def test_generation(step: Workbench) -> None:
    usual, seeds = [[7, 3], [2, 5, 7], [1, 9, 4, 6], [8]], [1, 2, 3, 4]
    prompts = [TOKENS[row].tolist() for row in usual]
    four, nine = TOKENS[[4, 9]].tolist()
    for count, stop in ((9, nine), (4, nine), (12, None), (20, 0), (0, nine), (1, four)):
        rows = batches.following(prompts, count)
        columns = batches.columns_until(stop, rows)
        options: dict[str, Any] = {"logits": CHAIN, "seeds": seeds, "stop": stop}
        what = f"of up to {count} tokens after {prompts}, with stop={stop},"
        answer = step.generate_rows(STREAM, prompts, count, **options)
        expect_equal(f"the stream {what}", [ids.tolist() for ids in answer["made"]], columns)
        turns = [*range(1, len(columns) + 1), len(columns)]
        asked = [*answer["asked"], len(answer["seen"])]
        expect_equal(f"the calls until each column and in all {what}", asked, turns)
        answer = step.generate_rows(ROWS, prompts, count, **options)
        texts = [row[: row.index(stop)] if stop in row else row for row in rows]
        expect_equal(f"the rows {what}", answer["made"], texts)
        left = [answer["prompts"], len(answer["seen"])]
        expect_equal("the prompts, afterwards, and the calls", left, [prompts, len(columns)])
    for prompt, options, count in (([nine], {"stop": nine}, 11), ([four, 1], {}, 50)):
        made = step.generate_rows(ROWS, [prompt], logits=CHAIN, seeds=[0], **options)["made"]
        expect_equal(f"the tokens with {options}", made, batches.following([prompt], count))
    table = as_float32(generator(3).uniform(size=CHAIN.shape))
    draw = partial(step.generate_rows, ROWS, logits=table)
    for options in ({"temperature": 0}, {"top_k": 1}, {"top_p": 1e-9}):
        made = draw([[5]], 6, seeds=[0], sampling=options)["made"]
        expect_equal(f"the tokens with {options}", made, batches.following([[5]], 6, table))
    rows, again = (draw(prompts, 20, seeds=seeds, stop=4)["made"] for _ in range(2))
    expect_alike("the rows from the same seeds", again, rows)
    alone = [draw([prompts[i]], 20, seeds=[seeds[i]], stop=4)["made"][0] for i in range(4)]
    expect_equal("the rows of a batch, which alone are as expected,", rows, alone)
    turned = draw(prompts[::-1], 20, seeds=seeds[::-1], stop=4)["made"]
    expect_equal("the rows in another order", turned[::-1], alone)
    first, other = draw([[3, 3]] * 2, 20, seeds=[1, 2])["made"]
    expect_alike("a sample of the same prompt from another seed", other, first, alike=False)
    expect_alike("the second half of a sample", first[10:], first[:10], alike=False)
