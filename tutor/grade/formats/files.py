"""Every file that others read, for one grade or for those of a class, with equal scores in all."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tutor import files
from tutor.course.names import NAMES
from tutor.course.tracks import TRACKS
from tutor.errors import InputError
from tutor.grade.formats.gradebooks import GRADE_BOOKS
from tutor.grade.formats.junit import junit
from tutor.grade.formats.services import classroom, exercism, gradescope
from tutor.grade.formats.texts import file_name, table
from tutor.grade.grades import Grade, as_json

FORMAT = "gpt2-from-scratch/grades/1"
RESULTS = ("learner", "step", "check", "verdict", "points", "max_points", "mistake", "seconds")
SERVICES = {"gradescope": gradescope, "classroom": classroom, "exercism": exercism}


def write(grades: Sequence[Grade], folder: Path, grade_book: str | None = None) -> None:
    """Write all of them into a folder, each whole or not at all; also for one of the grade books.

    Raises InputError if two submissions have one name.
    """
    found = files_of(grades) | (GRADE_BOOKS[grade_book](grades) if grade_book else {})
    for name, content in found.items():
        files.write(folder / name, content)


def check_names(learners: Sequence[str]) -> list[str]:
    """The names of their files. Raises InputError if two submissions would have the same."""
    names = [file_name(learner) for learner in learners]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"two submissions are called {name}; rename one of them")
    return names


def files_of(grades: Sequence[Grade]) -> dict[str, bytes]:
    """All files by their names, those for the whole class first."""
    names = check_names([grade.learner for grade in grades])
    found = {
        "results.csv": results_csv(grades),
        "points.csv": points_csv(grades),
        "results.json": as_json(results_json(grades)),
        "junit.xml": junit(grades),
    }
    for service, make in SERVICES.items():
        found |= {
            f"{service}/{name}.json": as_json(make(grade))
            for name, grade in zip(names, grades, strict=True)
        }
    return found


def results_json(grades: Iterable[Grade]) -> dict[str, Any]:
    """All grades in one object, each of them as in a file of its own."""
    return {"format": FORMAT, "grades": [msgspec.to_builtins(grade) for grade in grades]}


def results_csv(grades: Iterable[Grade]) -> bytes:
    """A row for each learner and check; a step's mistake stands at its first failure alone."""
    return table([RESULTS, *(row for grade in grades for row in result_rows(grade))])


def result_rows(grade: Grade) -> Iterator[tuple[str | int | float, ...]]:
    """The rows of one learner."""
    for step in grade.steps:
        for check in step.checks:
            mistake = step.mistake if check is step.first_failure else ""
            yield (
                grade.learner,
                step.step,
                check.check,
                check.verdict,
                check.points,
                check.max_points,
                mistake,
                round(check.seconds, 3),
            )


def points_csv(grades: Sequence[Grade]) -> bytes:
    """A row for each learner and a column for each step; a step that was not graded is left empty.

    Each track is summed up apart. A step that this course does not have comes last, in no sum.
    """
    graded = {step.step for grade in grades for step in grade.steps}
    known = [name.name for name in NAMES if name.name in graded]
    steps = [*known, *sorted(graded.difference(known))]
    sums = [f"{most}{track.name}" for track in TRACKS for most in ("", "max_")]
    head = ("learner", *steps, *sums, "problem")
    return table([head, *(points_row(grade, steps) for grade in grades)])


def points_row(grade: Grade, steps: Sequence[str]) -> tuple[str | int, ...]:
    """The row of one learner."""
    points = {step.step: step.points for step in grade.steps}
    return (
        grade.learner,
        *(points.get(step, "") for step in steps),
        *(each(track) for track in TRACKS for each in (grade.points, grade.max_points)),
        grade.problem,
    )
