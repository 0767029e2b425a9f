"""Step 01, the configuration: its fields, the inner width, and the sizes that it refuses."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.samples import varied
from tutor.check.expectations import expect_entries, expect_refusals
from tutor.check.sandbox.workbench import Workbench

FACTOR = varied(1, range(5, 32), seed=10)
# Every size differs from the others and from its default, and only n_head divides n_embd.
SIZES = {
    "vocab_size": 61 * FACTOR,
    "n_positions": 16 * FACTOR,
    "n_embd": 24 * FACTOR,
    "n_layer": 5 * FACTOR,
    "n_head": 3 * FACTOR,
    "n_inner": 52 * FACTOR,
}
EPSILON = FACTOR / 1000
DEFAULTS = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": 3072,
    "layer_norm_epsilon": 1e-5,
}


def expect_fields(what: str, got: dict[str, Any], expected: dict[str, Any]) -> None:
    expect_entries(f"in {what},", got, expected)


def expect_refused(step: Workbench, sizes: list[dict[str, int]]) -> None:
    """Expect refusals that name the first of these sizes, the others being possible."""
    cases: dict[str, tuple[Callable[[], object], list[object]]] = {}
    for given in sizes:
        named = ", ".join(f"{name}={size}" for name, size in given.items())
        words = list(next(iter(given.items())))
        cases[f"GPT2Config({named})"] = partial(step.config, **SIZES | given), words
    expect_refusals(cases)


def test_defaults(step: Workbench) -> None:
    expect_fields("GPT2Config()", step.config(), DEFAULTS)


def test_order(step: Workbench) -> None:
    values = [*SIZES.values(), EPSILON]
    named = ", ".join(map(str, values))
    expected = {**SIZES, "layer_norm_epsilon": EPSILON}
    expect_fields(f"GPT2Config({named})", step.config(*values), expected)


def test_inner_width(step: Workbench) -> None:
    width, heads, inner = SIZES["n_embd"], SIZES["n_head"], SIZES["n_inner"]
    narrow = step.config(n_embd=width, n_head=heads)
    expected = {**DEFAULTS, "n_embd": width, "n_head": heads, "n_inner": 4 * width}
    expect_fields(f"GPT2Config(n_embd={width}, n_head={heads})", narrow, expected)
    absent = step.config(n_embd=width, n_head=heads, n_inner=None)
    expect_fields(f"GPT2Config(n_embd={width}, n_head={heads}, n_inner=None)", absent, expected)
    given = step.config(n_inner=inner)
    expect_fields(f"GPT2Config(n_inner={inner})", given, {**DEFAULTS, "n_inner": inner})


def test_sizes(step: Workbench) -> None:
    ones = dict.fromkeys(SIZES, 1)
    expected = {**ones, "layer_norm_epsilon": 1e-5}
    expect_fields("GPT2Config(1, 1, 1, 1, 1, 1)", step.config(*ones.values()), expected)
    expect_refused(step, [{name: value} for value in (0, -1, -7 * FACTOR) for name in SIZES])


def test_heads(step: Workbench) -> None:
    odd, even = 24 * FACTOR + 1, 24 * FACTOR + 2
    expect_refused(step, [{"n_embd": odd, "n_head": 3}, {"n_embd": even, "n_head": 4}])
    # Widths that the other sizes divide.
    others = [size for name, size in SIZES.items() if name not in ("n_embd", "n_head")]
    expect_refused(step, [{"n_embd": size} for size in others])
