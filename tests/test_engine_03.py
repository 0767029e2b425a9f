"""Engine 03, batches: padding and its mask, the head and its model, then windows and streams."""

import itertools
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from tests import batches
from tests.batches import CHAIN, TOKENS, expect_ids
from tests.samples import (
    CONFIGS,
    as_float32,
    generator,
    parameter_shapes,
    random_array,
    random_tokens,
    random_weights,
    varied,
)
from tutor.check.expectations import expect_alike, expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench

HEAD, STREAM, ROWS = "GPT2BatchHead", "stream_tokens", "generate_batch"
SMALL, OTHER = (replace(config, n_layer=2) for config in CONFIGS)
TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-2
HIDES = -1e4  # or less, added to a score: exp of it is 0 even in float64

MORE, LATER = varied(0, range(1, 50), seed=10), varied(0, range(1, 6), seed=11)
PADDED = [  # prompts
    [[token + MORE for token in prompt] for prompt in prompts]
    for prompts in ([[7, 5, 6], [3, 9, 4, 8, 2], [1]], [[4, 2]], [[3, 1], [5, 2]])
]


MASKED = (  # where the rows start, how many columns there are, and how many of them are new
    ([2 + LATER, 0, 4 + LATER], 6 + LATER, 6 + LATER),
    ([0, 3 + LATER, 1], 5 + LATER, 1),
    ([1, 4 + LATER], 7 + LATER, 4),
    ([0], 3 + LATER, 3 + LATER),
)

# Positions of a model, and the lengths of rows: too long for it, or soon to be, within 15 tokens.
WINDOWS = ((8, [9, 3, 7, 20]), (7, [7, 8]), (1, [1, 2]), (2, [3, 2]), (9, [4, 2]))
GROWING, TURNS = ((8, [2, 9, 5]), (7, [7, 1]), (1, [1, 3])), 15

PROMPTS = [TOKENS[row].tolist() for row in ([7, 3], [2, 5, 7], [1, 9, 4, 6], [8])]
SEEDS = [1, 2, 3, 4]
FOUR, NINE = TOKENS[[4, 9]].tolist()
STREAMS: tuple[tuple[int, int | None], ...] = (  # max_new_tokens and stop
    (9, NINE),  # some rows end, one after the other
    (4, NINE),
    (12, None),
    (20, 0),  # a stop that is false
    (0, NINE),
    (1, FOUR),
)


def expect_padded(step: Workbench, prompts: list[list[int]]) -> None:
    """Expect the prompts at the right ends of their rows, behind tokens that any model knows."""
    ids, start = step.left_pad(prompts)
    width = max(map(len, prompts))
    expect_ids(f"the starts of {prompts}", start, [width - len(prompt) for prompt in prompts])
    expect_equal("the ids", [str(ids.dtype), *ids.shape], ["int64", len(prompts), width])
    rows = [row[first:].tolist() for row, first in zip(ids, start, strict=True)]
    expect_equal(f"{prompts}, after their starts", rows, prompts)
    strange = set(ids.ravel().tolist()) - {0, *itertools.chain(*prompts)}
    expect_equal("ids in the padding that a model need not know", sorted(strange), [])


def expect_positions_and_mask(step: Workbench, start: list[int], length: int, new: int) -> None:
    """Expect both; but padding may have any position that there is, and see anything."""
    positions, mask = step.positions_and_mask(np.array(start), length, new)
    what = f"of the last {new} of {length} columns, rows from {start}"
    expected = np.arange(length - new, length) - np.array(start)[:, None]  # [B, new]
    expect_equal(f"the shape of positions {what}", list(positions.shape), list(expected.shape))
    is_padding = expected < 0
    free = is_padding & (positions >= 0) & (positions < length)
    expect_ids(f"positions {what}", positions, np.where(free, positions, expected.clip(0)))
    seen = batches.visible(start, length, new)
    expect_equal(f"the shape of the mask {what}", list(mask.shape), list(seen.shape))
    hides = np.isfinite(mask) & (mask <= HIDES) & ~seen
    free = hides | (is_padding[..., None] & (mask == 0))
    expected = np.where(free, mask, np.where(seen, 0, -1e9))
    expect_close(f"the mask {what}", mask, expected, 0)


def expect_helpers(step: Workbench) -> None:
    """Expect the parts of the head to work for 2 new columns of 5, too, as engine 04 has them."""
    new, heads, head_dim = 2, 3, 4
    projected = random_array(2, new, 3 * heads * head_dim)
    expected = projected.reshape(2, new, 3, heads, head_dim).transpose(2, 0, 3, 1, 4)
    parts = step.split_heads(projected, heads)
    expect_equal("how many parts split_heads makes", len(parts), 3)
    for name, part, wanted in zip(("queries", "keys", "values"), parts, expected, strict=True):
        expect_close(f"the {name} of split_heads", part, wanted, 0)
    key, value = (random_array(2, heads, 5, head_dim, seed=seed) for seed in (5, 6))
    mask = np.where(batches.visible([0, 1], 5, new), 0, -1e9)[:, None]  # [B, 1, N, T]
    given = expected[0], key, value, mask
    mixed = batches.attend(*given)
    expect_close("what attend mixes for 2 new columns of 5", step.attend(*given), mixed, TOLERANCE)
    expect_equal("the dtype that attend gives", step.trace_attend("bfloat16"), ["bfloat16"])


def expect_windows(step: Workbench, limit: int, lengths: list[int]) -> None:
    """Expect that slide shows each row, or its last half."""
    ids = random_tokens(SMALL, len(lengths), max(lengths) + 2)
    start = ids.shape[1] - np.array(lengths)
    seen, first = step.slide(ids, start, limit)
    rows = [row[at:].tolist() for row, at in zip(ids, start, strict=True)]
    got = [row[at:].tolist() for row, at in zip(seen, first, strict=True)]
    what = f"of {lengths} tokens with {limit} positions"
    expected = [batches.last_half(row, limit) for row in rows]
    expect_equal(f"what is seen {what}", got, expected, observed=[seen, first])
    expect_equal(f"the first start {what}", int(first.min()), 0)


def expect_seen(step: Workbench, limit: int, lengths: list[int]) -> None:
    """Expect what the model is shown, turn by turn."""
    prompts, seeds = [[*range(length)] for length in lengths], [*range(len(lengths))]
    options: dict[str, Any] = {"logits": CHAIN, "n_positions": limit, "seeds": seeds}
    seen = step.generate_rows(STREAM, prompts, TURNS, **options)["seen"]
    expect_equal(f"how often the model is asked for {TURNS} tokens", len(seen), TURNS)
    for turn, rows in enumerate(batches.windows(prompts, TURNS, limit)):
        what = f"what is seen at turn {turn} with {limit} positions"
        expect_equal(what, seen[turn], rows, observed=seen)


def expect_texts(step: Workbench, count: int, stop: int | None) -> None:
    """Expect the columns of stream_tokens as soon as they are there, and the rows of them all."""
    rows = batches.following(PROMPTS, count)
    columns = batches.columns_until(stop, rows)
    what = f"of up to {count} tokens after {PROMPTS}, with stop={stop},"
    options: dict[str, Any] = {"logits": CHAIN, "seeds": SEEDS, "stop": stop}
    answer = step.generate_rows(STREAM, PROMPTS, count, **options)
    expect_equal(f"the stream {what}", [ids.tolist() for ids in answer["made"]], columns)
    turns = [*range(1, len(columns) + 1), len(columns)]
    asked = [*answer["asked"], len(answer["seen"])]
    expect_equal(f"the calls until each column and in all {what}", asked, turns)
    answer = step.generate_rows(ROWS, PROMPTS, count, **options)
    texts = [row[: row.index(stop)] if stop in row else row for row in rows]
    expect_equal(f"the rows {what}", answer["made"], texts)
    left = [answer["prompts"], len(answer["seen"])]
    expect_equal("the prompts, afterwards, and the calls", left, [PROMPTS, len(columns)])


def expect_seeded(step: Workbench) -> None:
    """Expect rows that depend on their own seeds, and on no other row."""
    table = as_float32(generator(3).uniform(size=CHAIN.shape))
    draw = partial(step.generate_rows, ROWS, logits=table)
    for options in ({"temperature": 0}, {"top_k": 1}, {"top_p": 1e-9}):
        made = draw([[5]], 6, seeds=[0], sampling=options)["made"]
        expect_equal(f"the tokens with {options}", made, batches.following([[5]], 6, table))
    rows, again = (draw(PROMPTS, 20, seeds=SEEDS, stop=4)["made"] for _ in range(2))
    expect_alike("the rows from the same seeds", again, rows)
    alone = [draw([PROMPTS[i]], 20, seeds=[SEEDS[i]], stop=4)["made"][0] for i in range(4)]
    expect_equal("the rows of a batch, which alone are as expected,", rows, alone)
    turned = draw(PROMPTS[::-1], 20, seeds=SEEDS[::-1], stop=4)["made"]
    expect_equal("the rows in another order", turned[::-1], alone)
    first, other = draw([[3, 3]] * 2, 20, seeds=[1, 2])["made"]
    expect_alike("a sample of the same prompt from another seed", other, first, alike=False)
    expect_alike("the second half of a sample", first[10:], first[:10], alike=False)


def test_padding(step: Workbench) -> None:
    for prompts in PADDED:
        expect_padded(step, prompts)
    for start, length, new in MASKED:
        expect_positions_and_mask(step, start, length, new)


def test_batch_head(step: Workbench) -> None:
    for config, lengths in ((SMALL, [5, 2, 4]), (OTHER, [1, OTHER.n_positions])):
        weights, batch = random_weights(parameter_shapes(config)), batches.Batch(config, lengths)
        (got,) = step.run_head(HEAD, config, batch.inputs, weights=weights)
        what = f"the logits of rows of {lengths} tokens"
        expect_close(what, got, batch.logits(weights), TOLERANCE)
    traced, logits = step.trace_head(HEAD, SMALL, "float32"), ["batch", SMALL.vocab_size]
    expect_equal("what a graph gives", traced["gives"], [["float32", logits]])
    expect_equal("the scores of other columns than the last", traced["wide"], [])
    traced = step.trace_head(HEAD, SMALL, "bfloat16")
    expect_equal("what the head of a bfloat16 model gives", traced["gives"], [["float32", logits]])
    expect_helpers(step)


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
    for limit, lengths in WINDOWS:
        expect_windows(step, limit, lengths)
    for limit, lengths in GROWING:
        expect_seen(step, limit, lengths)


def test_generation(step: Workbench) -> None:
    for count, stop in STREAMS:
        expect_texts(step, count, stop)
    ask = partial(step.generate_rows, ROWS, logits=CHAIN, seeds=[0])
    made = ask([[NINE]], stop=NINE)["made"]
    expect_equal(
        "the tokens up to a stop that the prompt has", made, batches.following([[NINE]], 11)
    )
    made = ask([[FOUR, 1]])["made"]
    expect_equal("the 50 tokens without a stop", made, batches.following([[FOUR, 1]], 50))
    expect_seeded(step)
