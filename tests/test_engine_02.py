"""Engine 02, sampling strategies: the settings, the probabilities, and what is drawn."""

from functools import partial
from typing import Any

import numpy as np

from tests import oracle
from tests.batches import LOGITS, RARE, expect_ids, shares
from tests.samples import as_float32, generator
from tutor.check.expectations import (
    expect_alike,
    expect_close,
    expect_entries,
    expect_equal,
    expect_refusals,
)
from tutor.check.sandbox.workbench import Workbench

TOLERANCE = 1e-5  # of the largest value: noise 7e-7; the nearest mistake is off by 1e-2

DRAWS = 4000  # of each row
SHARE_TOLERANCE = 0.05  # of the largest share, which is 0.8: five deviations; uniform noise: 0.12

DEFAULTS = {"temperature": 1.0, "top_k": None, "top_p": 1.0}
ALLOWED: tuple[dict[str, Any], ...] = (
    {"temperature": 0, "top_p": 1},
    {"top_k": 1, "top_p": 1e-9},
)
REFUSED: tuple[tuple[str, float], ...] = (
    ("temperature", -0.5),
    ("temperature", np.nan),
    ("temperature", np.inf),
    ("top_k", 0),
    ("top_k", -3),
    ("top_p", 0),
    ("top_p", -1),
    ("top_p", 1.5),
    ("top_p", np.nan),
)
# Both cuts at once, at a temperature of its own.
TOGETHER = [
    {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    for temperature in (0.6, 1.7)
    for top_k in (2, 4, 7, None)
    for top_p in (0.35, 0.83)
]

# Logits of rows in which any token can be drawn, and a seed for each row.
NEAR, SEEDS = as_float32(generator(3).uniform(size=(4, 61))), [5, 6, 7, 8]


def expect_probabilities(step: Workbench, logits: oracle.Array, **options: Any) -> None:
    """Expect what can be drawn, and how likely it is, with these options."""
    got = step.probabilities(logits, **options)
    expected = np.array([shares(row, **options) for row in logits])
    possible = f"which tokens can be drawn with {options}"
    expect_close(possible, got > 0, expected > 0, 0, dtype=np.bool_)
    expect_close(f"the probabilities with {options}", got, expected, TOLERANCE, dtype=np.float64)


def expect_shares(step: Workbench, **options: Any) -> None:
    """Expect each token to be drawn as often as its probability says, and none that is cut."""
    (ids,) = step.choose(np.tile(LOGITS, (DRAWS, 1)), [*range(3 * DRAWS)], **options)
    expect_equal("the draws", [str(ids.dtype), *ids.shape], ["int64", 3 * DRAWS], observed=ids)
    drawn = (ids.reshape(DRAWS, 3, 1) == np.arange(9)).mean(axis=0)  # [DRAWS * 3] -> [3, V]
    expected = np.array([shares(row, **options) for row in LOGITS])
    what = f"of 9 tokens with {options or 'no options'}"
    cut = np.argwhere((drawn > 0) & (expected == 0)).tolist()
    expect_equal(f"the rows and tokens {what} that are drawn though they are cut", cut, [])
    expect_close(f"the shares {what}", drawn, expected, SHARE_TOLERANCE, dtype=np.float64)


def test_settings(step: Workbench) -> None:
    expect_equal("Sampling()", step.sampling(), DEFAULTS)
    for options in ALLOWED:
        expect_entries("of a Sampling,", step.sampling(**options), options)
    cases: dict[str, Any] = {}
    for name, value in REFUSED:
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
    expect_probabilities(step, RARE, top_k=3, top_p=1.0)
    for options in TOGETHER:
        expect_probabilities(step, LOGITS, **options)


def test_choose(step: Workbench) -> None:
    (ids,) = step.choose(NEAR, SEEDS, temperature=0)
    expect_ids("the tokens at temperature 0", ids, NEAR.argmax(axis=-1))
    expect_shares(step)
    expect_shares(step, temperature=1.5, top_k=5, top_p=0.8)
    draws, again = (np.array(step.choose(NEAR, SEEDS, calls=6)) for _ in range(2))
    expect_alike("the draws of 4 rows from the same seeds", again, draws)
    expect_alike("the next draws of 4 rows", draws[1:], draws[:-1], alike=False)
    alone = np.hstack([step.choose(NEAR[[i]], [SEEDS[i]], calls=6) for i in range(4)])
    turned = np.array(step.choose(NEAR[::-1], SEEDS[::-1], calls=6))[:, ::-1]
    for order, found in (("", draws), (" in another order", turned)):
        expect_ids(f"6 draws of 4 rows{order}, which alone draw as expected,", found, alone)
