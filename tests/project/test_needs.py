"""Which other steps a step needs: the reference stands in for them, and a verdict rests on them."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.project.courses import make_course, solve, step_file
from tutor import ROOT
from tutor.course import sources, stubs
from tutor.course.names import Name, find_names, named
from tutor.course.registry import Step, all_steps, find_step, step_that


def shorts(found: Iterable[Name]) -> list[str]:
    return [each.short for each in found]


@pytest.mark.parametrize("step", all_steps(), ids=str)
def test_a_step_needs_what_its_solution_and_suite_use_all_the_way_down(step: Step) -> None:
    text = (ROOT / step.file("solutions")).read_text()
    used = {
        other
        for other in all_steps()
        if re.search(rf"^from {other.module('solutions')} import", text, re.MULTILINE)
    }
    if "_by_own_model" in (ROOT / step.suite).read_text():
        used.add(step_that("model"))
    below = {each for other in used for each in other.needs}
    assert set(step.needs) == used | below


def test_needs_go_across_tracks() -> None:
    assert find_step("1").needs == find_step("2").needs == find_step("3").needs == ()
    assert shorts(find_step("7").needs) == ["1", "2"]
    assert shorts(find_step("8").needs) == ["1", "2", "3", "4", "7"]
    assert "10" in shorts(find_step("12").needs)  # whose model its suite runs
    assert {"1", "10", "e2", "e3"} <= set(shorts(find_step("e4").needs))


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of stubs, but for engine 04, which is solved."""
    root = make_course(tmp_path)
    solve(root, "e4")
    return root


def test_the_references_of_all_that_is_needed_stand_in_and_of_nothing_else(course: Path) -> None:
    step = find_step("e4")
    assert sources.stand_ins(step, "steps", course) == dict.fromkeys(step.needs, "not finished")
    assert sources.stand_ins(step, "solutions", course) == {}
    solve(course, "1")
    step_file(course, "10").unlink()
    step_file(course, "9").write_text("def (:\n")
    found = sources.stand_ins(step, "steps", course)
    assert found.keys() == {*step.needs} - {find_step("1")}
    assert found[named("step_10")] == "not there"
    assert found[named("step_09")] == "not to be parsed, line 1: invalid syntax"


def test_what_a_learners_own_file_imports_is_needed_with_all_below_it(course: Path) -> None:
    solve(course, "2", "3")
    step, file = find_step("2"), step_file(course, "2")
    assert sources.used(step, course).keys() == {step}
    file.write_text("from steps.step_08 import GPT2Block\n" + file.read_text())
    found = sources.used(step, course)
    assert shorts(found) == ["1", "2", "3", "4", "7", "8"]
    assert found[named("step_03")] == step_file(course, "3").read_bytes()
    stand_ins = sources.stand_ins(step, "steps", course)
    assert stand_ins == dict.fromkeys(find_names("1,4,7,8"), "not finished")


@pytest.mark.parametrize(
    "line",
    [
        "from steps.step_03 import LayerNorm",
        "from steps.step_03 import *",
        "import steps.step_03 as layer_norm",
        "import math, steps.step_03",
        "from steps import step_03",
        "from . import step_03",
        "from .step_03 import LayerNorm",
        "def forward():\n    from steps.step_03 import LayerNorm",
        "from steps.step_03 import (\n    LayerNorm,\n)",
    ],
)
def test_an_import_is_seen_in_whatever_way_it_is_written(line: str) -> None:
    assert sources.imported(f"{line}\n") == {find_step("3")}


@pytest.mark.parametrize(
    "text",
    ["", "(", "\0", "# from steps.step_03 import x", "import step_03", "import steps.step_99"],
)
def test_what_imports_no_step_needs_none(text: str) -> None:
    assert sources.imported(text) == set()


def test_steps_that_import_each_other_are_each_needed_once(course: Path) -> None:
    for name, other in (("5", "6"), ("6", "5")):
        step_file(course, name).write_text(f"from {find_step(other).module('steps')} import x\n")
    assert shorts(sources.used(find_step("5"), course)) == ["1", "5", "6"]


def test_a_verdict_rests_on_what_was_run(course: Path) -> None:
    step = find_step("7")
    solve(course, "7")
    before = sources.digests(step, course)
    assert before.keys() == {"suite", "step_01", "step_02", "step_07"}
    step_file(course, "2").write_text(stubs.derive(find_step("2")) + "# still a stub\n")
    step_file(course, "3").write_text("# not needed\n")
    assert sources.digests(step, course) == before
    solve(course, "2")
    after = sources.digests(step, course)
    assert {name for name in before if after[name] != before[name]} == {"step_02"}
