"""Step 02, the causal mask: alone, after cached tokens, and in a graph."""

from tests import oracle
from tests.samples import varied
from tutor.check.expectations import expect_close, expect_equal
from tutor.check.sandbox.workbench import Workbench

EXACT = 0.0  # nothing is computed: a number is 0 or minus infinity
MORE = varied(0, range(1, 12), seed=11)  # tokens, on top of the usual lengths


def expect_mask(step: Workbench, length: int, cached: int) -> None:
    got = step.causal_mask(length, cached)
    what = f"the mask for {length} new and {cached} cached tokens"
    expect_close(what, got, oracle.causal_mask(length, cached), EXACT)


def test_first_tokens(step: Workbench) -> None:
    expect_mask(step, 5 + MORE, 0)
    expect_mask(step, 1, 0)


def test_cached_tokens(step: Workbench) -> None:
    expect_mask(step, 5 + MORE, 3)
    expect_mask(step, 3, 8 + MORE)


def test_one_more_token(step: Workbench) -> None:
    expect_mask(step, 1, 7 + MORE)


def test_dtypes(step: Workbench) -> None:
    for dtype in ("float64", "float32", "bfloat16"):
        traced = step.trace_causal_mask(dtype)
        expect_equal(f"the dtype for dtype=DType.{dtype}", traced["dtype"], dtype)


def test_symbolic_lengths(step: Workbench) -> None:
    traced = step.trace_causal_mask("float32")
    what = "the shape in a graph for lengths called new and cached"
    expect_equal(what, traced["shape"], ["new", "cached + new"])
