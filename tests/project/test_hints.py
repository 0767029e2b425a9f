"""`tutor hint`: one rung further each time, for the check that failed first."""

from pathlib import Path

import pytest

from tests.project.commands import assert_refused, run_child
from tests.project.courses import edit, keep_check, make_course, solve, step_file
from tutor.course import stubs
from tutor.course.names import NAMES
from tutor.course.registry import Check, find_step

pytestmark = pytest.mark.full("commands in odd situations")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course in which step 07 is solved."""
    root = make_course(tmp_path)
    solve(root, "7")
    return root


def find(step: str, name: str) -> Check:
    return next(check for check in find_step(step).checks if check.name == name)


def hint(course: Path, *arguments: str) -> str:
    """What `tutor hint` says, in one line."""
    finished = run_child("hint", *arguments, course=course)
    assert (finished.code, finished.err) == (0, "")
    return " ".join(finished.out.split())


def test_hints_climb_the_ladder_of_the_check_that_failed_first(course: Path) -> None:
    keep_check(course, "7", ["equation", "large_scores"])
    check = find("7", "equation")
    for rung in (1, 2, 3, 3):
        said = hint(course, "7")
        words = f"Step 07: {check.title} Hint {rung} of 3: {check.hints[rung - 1]}"
        last = " That was the last one; to see the reference: tutor solution 7 --yes"
        assert said == words + last * (rung == 3)


@pytest.mark.full("commands in odd situations")
def test_each_check_has_its_own_ladder_and_keeps_it(course: Path) -> None:
    change = "        batch, length, width = x.shape\n"
    text = step_file(course, "7").read_text()
    step_file(course, "7").write_text(text.replace(change, f"{change}        x = x + 1\n"))
    assert run_child("check", "7", course=course).code == 1
    first = find("7", "one_token")
    said = hint(course, "7")
    assert f"{first.title} Mistake: " in said
    assert f"Hint 1 of 3: {first.hints[0]}" in said
    solve(course, "7")
    assert run_child("check", "7", course=course).code == 0
    assert hint(course, "7") == "Step 07 passed its last check, so there is nothing to hint at."
    step_file(course, "7").write_text(text.replace("math.sqrt(self.head_dim)", "24"))
    assert run_child("check", "7", course=course).code == 1
    assert "Hint 1 of 3" in hint(course, "7")
    step_file(course, "7").write_text(text.replace(change, f"{change}        x = x + 1\n"))
    assert run_child("check", "7", course=course).code == 1
    assert f"Hint 2 of 3: {first.hints[1]}" in hint(course, "7")


@pytest.mark.full("commands in odd situations")
def test_the_mistake_that_was_recognized_comes_first(course: Path) -> None:
    keep_check(course, "7", ["equation"], mistake="Scores are divided by the wrong number.")
    title = find("7", "equation").title
    assert f"{title} Mistake: Scores are divided by the wrong number. Hint 1" in hint(course, "7")


@pytest.mark.full("commands in odd situations")
def test_an_earlier_step_that_it_comes_from_is_named(course: Path) -> None:
    keep_check(course, "7", ["equation"], culprits=["step_01", "step_02"])
    assert (
        "It passes with the reference's steps 01 and 02 instead of yours, so look for the mistake "
        "there, with tutor hint 1 Hint 1 of 3"
    ) in hint(course, "7")


@pytest.mark.full("commands in odd situations")
def test_it_says_that_the_last_check_was_before_an_edit(course: Path) -> None:
    keep_check(course, "7", ["equation"])
    edit(course, "7")
    said = hint(course, "7")
    assert said.startswith(f"Step 07: {find('7', 'equation').title} Hint 1 of 3")
    assert said.endswith(
        "This is about the last check, before your last edits; next: tutor check 7"
    )
    keep_check(course, "7")
    edit(course, "7")
    assert hint(course, "7") == (
        "Step 07 passed before your last edits; tutor check 7 says whether it still does."
    )


@pytest.mark.full("commands in odd situations")
def test_before_any_check_it_is_the_first_of_the_first(course: Path) -> None:
    first = find_step("7").checks[0]
    words = f"Step 07: {first.title} Hint 1 of 3: {first.hints[0]}"
    begun = " You have not checked it yet; tutor check 7 says what is wrong."
    assert hint(course, "7") == words + begun
    step_file(course, "7").write_text(stubs.derive(find_step("7")))
    keep_check(course, "7", ["equation"], mistake="of a file that is gone")
    assert hint(course, "7") == words
    step_file(course, "7").unlink()
    assert hint(course, "7") == words.replace("Hint 1", "Hint 2").replace(*first.hints[:2])


def test_without_a_number_it_is_the_current_step(course: Path) -> None:
    assert hint(course).startswith("Step 01: ")
    solve(course, "1", "2")
    keep_check(course, "1")
    keep_check(course, "2", ["symbolic_lengths"])
    assert hint(course).startswith(f"Step 02: {find('2', 'symbolic_lengths').title} ")
    for step in NAMES:
        solve(course, step.short)
        keep_check(course, step.short)
    assert hint(course) == "All steps passed their last checks, so there is nothing to hint at."


def test_no_step_has_no_hints(course: Path) -> None:
    assert_refused(run_child("hint", "13", course=course), "'13' is not a step")
