"""Every file that others read, for one grade or for those of a class, with equal scores in all."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tutor import files
from tutor.course.names import NAMES
from tutor.course.tracks import TRACKS
from tutor.errors import InputError
from tutor.grade.formats.junit import junit
from tutor.grade.formats.services import classroom, exercism, gradescope
from tutor.grade.formats.texts import cell, file_name
from tutor.grade.grades import Grade, as_json

FORMAT = "gpt2-from-scratch/grades/1"
RESULTS = ("learner", "step", "check", "verdict", "points", "max_points", "mistake", "seconds")
SERVICES = {"gradescope": gradescope, "classroom": classroom, "exercism": exercism}


def write(grades: Sequence[Grade], folder: Path) -> None:
    """Write all of them into a folder, each whole or not at all.

    Raises InputError if two submissions have one name.
    """
    for name, content in files_of(grades).items():
        files.write(folder / name, content)


def files_of(grades: Sequence[Grade]) -> dict[str, bytes]:
    """All files by their names, those for the whole class first."""
    names = [file_name(grade.learner) for grade in grades]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two submissions are called {name}; rename one of them")
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


def table(rows: Iterable[Sequence[str | int | float]]) -> bytes:
    """Rows as CSV, in UTF-8; texts cannot become formulas."""
    file = io.StringIO()
    csv.writer(file).writerows(
        [cell(value) if isinstance(value, str) else value for value in row] for row in rows
    )
    return file.getvalue().encode()
