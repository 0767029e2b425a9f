"""What a submission earned: one file for each, and the source of every other format.

These classes are the schema of that file, which is also in `examples/grade.schema.json`.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from tutor import keeping
from tutor.course import BONUS, CORE, find_number
from tutor.errors import InputError, reason

FORMAT: Final = "gpt2-from-scratch/grade/1"

Name = Annotated[str, Meta(min_length=1)]
Points = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Dependencies = Literal["reference", "own"]
Verdict = Literal[
    "passed",
    "wrong",
    "crashed",
    "timed out",
    "not started",
    "not reached",
    "environment broken",
]


class CheckGrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one check ended."""

    check: Annotated[Name, Meta(description="Its name in the suite, without test_.")]
    title: Name
    verdict: Annotated[
        Verdict, Meta(description="not reached: a time-out or two crashes came before it.")
    ]
    points: Points
    max_points: Points
    seconds: Seconds
    explanation: Annotated[
        str, Meta(description="What was expected and what came; empty if it passed.")
    ]


class StepGrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the checks of one step ended, in the order of its suite."""

    step: Annotated[str, Meta(pattern=r"^(step|engine)_\d\d$")]
    title: Name
    verdict: Verdict
    mistake: Annotated[str, Meta(description="The known mistake that it is, or empty.")]
    references: Annotated[
        list[str], Meta(description="Earlier steps whose reference stood in for the learner's.")
    ]
    culprits: Annotated[
        list[str], Meta(description="Earlier steps of the learner's that the failure comes from.")
    ]
    advice: Annotated[list[str], Meta(description="On what is right, and could be better.")]
    checks: Annotated[list[CheckGrade], Meta(min_length=1)]

    @property
    def number(self) -> int:
        return find_number(self.step)

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> int:
        return sum(check.max_points for check in self.checks)

    @property
    def first_failure(self) -> CheckGrade | None:
        """The check that failed first, which the mistake and the explanation are about."""
        return next((check for check in self.checks if check.verdict != "passed"), None)


class Grade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one submission earned, and how that was found out."""

    format: Annotated[Literal["gpt2-from-scratch/grade/1"], Meta(description="Of this file.")]
    learner: Annotated[Name, Meta(description="The name of the folder, archive or repository.")]
    problem: Annotated[
        str, Meta(description="Why the submission could not be read, or what of it was left out.")
    ]
    submission: Annotated[str, Meta(description="SHA-256 of the steps that were graded.")]
    course: Annotated[str, Meta(description="SHA-256 of the suites, solutions and exercises.")]
    seed: Annotated[int, Meta(ge=0, description="Of the random inputs; --seed repeats it.")]
    dependencies: Annotated[Dependencies, Meta(description="Whose earlier steps each step ran on.")]
    isolation: Annotated[str, Meta(description="What kept the code under check apart.")]
    limits: Annotated[str, Meta(description="What each step and the submission could take.")]
    started: Annotated[str, Meta(description="Date and time, as in ISO 8601.")]
    seconds: Seconds
    steps: list[StepGrade]

    @property
    def was_read(self) -> bool:
        """Whether anything was run; what could not be read has no part in any mean."""
        return not self.problem or any(
            check.seconds for step in self.steps for check in step.checks
        )

    def points(self, bonus: bool = False) -> int:
        """The points of the twelve steps, or of the engine steps, which are counted apart."""
        return sum(step.points for step in self.steps if step.number in (BONUS if bonus else CORE))

    def max_points(self, bonus: bool = False) -> int:
        """The most points that the graded ones of the twelve, or of the engine steps, can bring."""
        group = BONUS if bonus else CORE
        return sum(step.max_points for step in self.steps if step.number in group)


def schema() -> dict[str, Any]:
    """The JSON Schema of a grade's file."""
    return msgspec.json.schema(Grade)


def save(grade: Grade, file: Path) -> None:
    """Write a grade, whole or not at all."""
    keeping.write(file, as_json(msgspec.to_builtins(grade)))


def load(file: Path) -> Grade:
    """Read a grade. Raises InputError, in one line, for a file that holds none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Grade)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file} is no grade of this course: {reason(error)}") from None


def as_json(value: Any) -> bytes:
    """A value as JSON for people and programs; lone surrogates, which none reads, spelled out."""
    text = f"{json.dumps(value, ensure_ascii=False, indent=2)}\n"
    return re.sub(r"[\ud800-\udfff]", lambda lone: rf"\\u{ord(lone[0]):x}", text).encode()
