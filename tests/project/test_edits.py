"""Wrong solutions made by rule: what they are, and that a check finds those on record."""

import ast

import numpy as np
import pytest

from tests.project import suites
from tests.project.tiers import partly
from tools.course.edits import edits, inlined
from tutor.check import lookalikes, report
from tutor.check.expectations import MismatchError
from tutor.check.lookalikes import Lookalike, imprint
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.registry import Step, all_steps, find_step
from tutor.course.tracks import STEPS

EXAMPLE = """
class Part(Module):
    def forward(self, x: Tensor) -> Tensor:
        y = self.wide(x)
        y = F.gelu(y, approximate="tanh")
        return x - self.narrow(y)
"""


@pytest.mark.parametrize(
    "words",
    [
        "has `y` instead of `F.gelu(y, approximate='tanh')`",  # a call left out
        "has `F.gelu(y)` instead of `F.gelu(y, approximate='tanh')`",
        "has `F.sigmoid(y)` instead of `F.gelu(y, approximate='tanh')`",
        "has `self.narrow(self.narrow(y))` instead of `self.narrow(y)`",  # twice
        "has `self.wide(y)` instead of `self.narrow(y)`",
        "has `x + self.narrow(y)` instead of `x - self.narrow(y)`",
        "has `self.narrow(y) - x` instead of `x - self.narrow(y)`",  # swapped
        "has `self.narrow(y)` instead of `x - self.narrow(y)`",
        "lacks the line `y = self.wide(x)`",
        "has `return y` instead of `return x - self.narrow(y)`",
        "has `self.wide(x[:, -1:])` instead of `self.wide(x)`",
    ],
)
def test_an_edit_says_what_has_instead_of_what(words: str) -> None:
    assert words in {edit.words for edit in edits(EXAMPLE)}


def test_edits_are_python_and_differ() -> None:
    sources_ = [edit.source for edit in edits(EXAMPLE)]
    assert len({ast.dump(ast.parse(source)) for source in sources_}) == len(sources_) > 50


def test_what_one_statement_needs_is_written_out_in_it() -> None:
    source = (
        "def f(x):\n    y = x + 1\n    y = y * 2\n    z = y * y\n    return z - 1\n"
        "def g(x):\n    y = x + 1\n    z = y * 2\n    return y + z\n"
        "def h(x):\n    for y in x:\n        z = y\n        x = z\n    return x\n"
    )
    first, *others = inlined(source).split("def ")[1:]
    assert first == "f(x):\n    y = (x + 1) * 2\n    return y * y - 1\n"
    assert others == ["g(x):\n    y = x + 1\n    return y + y * 2\n", source.split("def ")[3]]


def test_what_is_done_to_a_part_may_be_done_later() -> None:
    words = [edit.words for edit in edits("y = x + f(g(x))\n")]
    assert "has `g(x + f(x))` instead of `x + f(g(x))`" in words


def test_an_edit_that_fails_another_check_otherwise_is_not_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = (MismatchError("it", 1, np.array(each)) for each in ([1.0, 2.0], [3.0, 7.0]))
    edit = Lookalike("says", 0, 1, "", imprint(one), {"second": imprint(other)})
    monkeypatch.setattr(lookalikes, "recorded", lambda _: {"first": [edit]})
    step = find_step("7")
    for second, found in ((other, [edit]), (one, []), (None, [])):
        errors = {"first": one, "second": second}
        assert lookalikes.find_by_all(step, "first", errors) == found
    assert lookalikes.find_by_all(step, "first", {"first": one}) == [edit]


def test_beside_a_right_text_only_other_lines_are_edited() -> None:
    changed = EXAMPLE.replace("self.wide(x)", "x @ self.weight")
    lines = EXAMPLE.splitlines()
    for edit in edits(changed, EXAMPLE):
        kept = [line for line in lines if line in edit.source.splitlines()]
        assert len(kept) >= len(lines) - 2, edit.words


def test_a_print_tells_failures_apart_but_for_rounding() -> None:
    numbers = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    seen = imprint(MismatchError("it", 1, numbers))
    assert seen.is_near(imprint(MismatchError("it", 2, numbers * np.float32(1 + 1e-6))))
    for other in (2 * numbers, numbers.T, numbers[::-1], numbers.astype(np.float64), "text"):
        assert not seen.is_near(imprint(MismatchError("it", 1, other)))
    assert not seen.is_near(imprint(MismatchError("something else", 1, numbers)))


@pytest.mark.parametrize("step", all_steps(STEPS), ids=lambda step: step.name)
def test_what_is_recorded_is_of_the_reference_as_it_is(step: Step) -> None:
    found = lookalikes.recorded(step)
    assert found, "please run: uv run python -m tools.course.record_edits"
    assert found.keys() <= {check.name for check in step.checks}
    for edit in next(iter(found.values())):
        ast.parse(edit.apply(sources.reference(step)))


def test_a_record_holds_while_the_code_stands_where_it_did() -> None:
    code = "x = 1  # one\ny = 2\n"
    same, moved = code.replace("one", "the first"), "# one\n" + code
    assert lookalikes.code_digest(code) == lookalikes.code_digest(same)
    assert lookalikes.code_digest(code) != lookalikes.code_digest(moved)
    assert lookalikes.code_digest(code) != lookalikes.code_digest(code.replace("2", "3"))


# A step, what of its reference is replaced by what, and what is said, or a part of it.
SAID = [
    ("4", [("return self.c_proj(x)", "return -self.c_proj(x)")], "Every number has the wrong"),
    ("4", [("x = F.gelu(x, ", "x = x * F.gelu(x, ")], "`x * F.gelu(x, approximate='tanh')`"),
    (
        "3",
        [
            (
                "return F.layer_norm(x, gamma=self.weight, beta=self.bias, epsilon=self.eps)",
                "mean = F.mean(x)\n        spread = F.mean((x - mean) * (x - mean))\n"
                "        return self.weight * (x - mean * F.rsqrt(spread + self.eps)) + self.bias",
            )
        ],
        "has `x - mean / F.sqrt(variance + self.eps)` instead of",  # though written in another way
    ),
    (
        "8",
        [
            ("x = x + self.attn(self.ln_1(x))", "x = self.attn(self.ln_1(x))"),
            ("self.mlp(self.ln_2(x))", "self.mlp(x)"),
        ],
        "x is replaced by the output of attn",  # and the other one, in either order
    ),
]


@pytest.mark.parametrize(("name", "pairs", "said"), partly("slips", SAID, SAID[:1].__contains__))
def test_what_explains_all_that_was_seen_is_said(
    name: str, pairs: list[tuple[str, str]], said: str, bench: Workbench
) -> None:
    step = find_step(name)
    source = sources.reference(step)
    for old, new in pairs:
        assert source.count(old) == 1
        source = source.replace(old, new)
    result = suites.run_suite(step, bench, source)
    assert said in (result.explanation or report.looks_like(result.failures[0]))
