"""How one submission is graded: on whose steps, and what counts."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.project import grades as made
from tests.project.commands import assert_refused, run_child, run_here
from tutor.course import sources
from tutor.course.registry import all_steps, find_step
from tutor.course.verdicts import Verdict
from tutor.grade import grades
from tutor.grade.formats.files import files_of
from tutor.grade.grades import Grade, StepGrade
from tutor.grade.marking import LEAST_TEXT, MOST_IN_ALL, MOST_TEXT, ON_OWN, bounded
from tutor.grade.report import page


def hand_in(folder: Path, **edits: tuple[str, str]) -> Path:
    """A submission with references for its steps, in which one text is replaced by another."""
    (folder / "steps").mkdir(parents=True)
    for name, (old, new) in edits.items():
        step = find_step(name)
        source = sources.reference(step, "steps")
        assert old in source
        (folder / step.file("steps")).write_text(source.replace(old, new, 1))
    return folder


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize(
    "edits",
    [
        {
            "step_02": (
                "def causal_mask",
                "def nothing() -> float:\n    return 0.0\n\n\ndef causal_mask",
            ),
            "step_07": ("import causal_mask", "import causal_mask, nothing"),
        },
        {
            "step_01": ("    def __post_init__", "    is_small = True\n\n    def __post_init__"),
            "step_07": (
                "        self.n_head = ",
                "        assert config.is_small\n        self.n_head = ",
            ),
        },
    ],
    ids=["an own helper", "an own attribute"],
)
def test_a_step_counts_that_needs_the_learners_own_steps(
    edits: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    folder = hand_in(tmp_path / "ada", **edits)
    done = run_child("grade", str(folder), "--steps", "7", "--output", str(tmp_path / "out"))
    assert done.code == 0, done.err
    grade = msgspec.json.decode((tmp_path / "out/results/ada.json").read_bytes(), type=Grade)
    assert grade.points() == find_step("7").points
    assert grade.steps[0].advice == [ON_OWN]


def altered(step: StepGrade, **changes: Any) -> StepGrade:
    """The same, with its first check changed."""
    first, *others = step.checks
    return msgspec.structs.replace(
        step, checks=[msgspec.structs.replace(first, **changes), *others]
    )


STEP = made.step("3")


@pytest.mark.parametrize(
    ("grade", "why"),
    [
        (made.grade("ada", [altered(STEP, points=100)]), "neither all of its points nor none"),
        (made.grade("ada", [altered(STEP, points=100, max_points=100)]), "are others"),
        (made.grade("ada", [altered(STEP, check="other")]), "are others"),
        (made.grade("ada", [STEP, STEP, STEP]), "step_03 is there 3 times"),
        (made.grade("ada", [msgspec.structs.replace(STEP, step="step_99")]), "step_99 is no step"),
        (made.grade("ada\x1b[31m", [STEP]), "control characters"),
        (made.grade("ada\nbob", [STEP]), "control characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_what_this_course_would_write_is_joined(
    grade: Grade, why: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "given.json", tmp_path / "out"
    grades.save(grade, file)
    refused = run_here("grade", "--merge", str(file), "--output", str(out))
    assert_refused(refused, str(file), why)
    assert not out.exists()


@pytest.mark.parametrize("letter", ["x", "\n", "中", "😀", "&", '"'])
def test_what_a_submission_can_have_written_is_bounded(letter: str) -> None:
    steps = [made.step(step.short, [Verdict.WRONG] * len(step.checks)) for step in all_steps()]
    long = [
        msgspec.structs.replace(
            step,
            checks=[
                msgspec.structs.replace(check, explanation=letter * MOST_TEXT)
                for check in step.checks
            ],
        )
        for step in steps
    ]
    kept = bounded(long)
    sizes = [len(check.explanation.encode()) for step in kept for check in step.checks]
    assert sum(sizes) <= MOST_IN_ALL + LEAST_TEXT * len(sizes)
    assert sizes[0] == len(letter.encode()) * MOST_TEXT
    grade = made.grade("eve", kept, problem=letter * 6_000)
    written = [*files_of([grade]).values(), page.render([grade]).encode()]
    assert sum(map(len, written)) < 3_000_000


def test_what_is_short_enough_is_kept() -> None:
    steps = [made.step("3", [Verdict.WRONG])]
    assert bounded(steps) == steps
