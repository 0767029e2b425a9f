"""What a submission earned: one file for each, and the source of every other format.

These classes are the schema of that file, which is also in `examples/grade.schema.json`.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from tutor import files
from tutor.course.names import Name, find_name
from tutor.course.registry import load_step
from tutor.course.tracks import STEPS, TRACKS, Track
from tutor.course.verdicts import Verdict
from tutor.errors import InputError, reason

FORMAT: Final = "gpt2-from-scratch/grade/1"

PATTERN: Final = rf"^({'|'.join(track.word for track in TRACKS)})_\d\d$"

Text = Annotated[str, Meta(min_length=1)]
Points = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Dependencies = Literal["reference", "own"]


class CheckGrade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one check ended."""

    check: Annotated[Text, Meta(description="Its name in the suite, without test_.")]
    title: Text
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

    step: Annotated[str, Meta(pattern=PATTERN)]
    title: Text
    verdict: Verdict
    mistake: Annotated[str, Meta(description="The known mistake that it is, or empty.")]
    references: Annotated[
        list[str], Meta(description="Other steps whose reference stood in for the learner's.")
    ]
    culprits: Annotated[
        list[str], Meta(description="Other steps of the learner's that the failure comes from.")
    ]
    advice: Annotated[list[str], Meta(description="On what is right, and could be better.")]
    checks: Annotated[list[CheckGrade], Meta(min_length=1)]

    @property
    def name(self) -> Name | None:
        """The step, if this course still has it."""
        return find_name(self.step)

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> int:
        return sum(check.max_points for check in self.checks)

    @property
    def first_failure(self) -> CheckGrade | None:
        """The check that failed first, which the mistake and the explanation are about."""
        return next((check for check in self.checks if check.verdict != Verdict.PASSED), None)


class Grade(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one submission earned, and how that was found out."""

    format: Annotated[Literal["gpt2-from-scratch/grade/1"], Meta(description="Of this file.")]
    learner: Annotated[Text, Meta(description="The name of the folder, archive or repository.")]
    problem: Annotated[
        str, Meta(description="Why the submission could not be read, or what of it was left out.")
    ]
    submission: Annotated[str, Meta(description="SHA-256 of the steps that were graded.")]
    course: Annotated[str, Meta(description="SHA-256 of all of the course that decides a grade.")]
    seed: Annotated[int, Meta(ge=0, description="Of the random inputs; --seed repeats it.")]
    dependencies: Annotated[Dependencies, Meta(description="Whose other steps each step ran on.")]
    isolation: Annotated[str, Meta(description="What kept the code under check apart.")]
    limits: Annotated[str, Meta(description="What each step and the submission could take.")]
    started: Annotated[str, Meta(description="Date and time, as in ISO 8601.")]
    seconds: Seconds
    steps: list[StepGrade]
    number: Annotated[
        str, Meta(pattern="^[0-9]*$", description="The learner's, in Moodle or Canvas, if known.")
    ] = ""

    @property
    def was_read(self) -> bool:
        """Whether anything was run; what could not be read has no part in any mean."""
        return not self.problem or any(
            check.seconds for step in self.steps for check in step.checks
        )

    def of_track(self, track: Track) -> list[StepGrade]:
        """The steps of a track that were graded."""
        return [step for step in self.steps if step.name and step.name.track == track]

    def points(self, track: Track = STEPS) -> int:
        """The points of a track; each is counted apart."""
        return sum(step.points for step in self.of_track(track))

    def max_points(self, track: Track = STEPS) -> int:
        """The most points that the graded steps of a track can bring."""
        return sum(step.max_points for step in self.of_track(track))


def schema() -> dict[str, Any]:
    """The JSON Schema of a grade's file."""
    return msgspec.json.schema(Grade)


def save(grade: Grade, file: Path) -> None:
    """Write a grade, whole or not at all."""
    files.write(file, as_json(msgspec.to_builtins(grade)))


def load(file: Path) -> Grade:
    """Read a grade. Raises InputError, in one line, for a file that holds none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Grade)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file} is no grade of this course: {reason(error)}") from None


def fault(grade: Grade) -> str:
    """What in a grade from elsewhere this course would not have written, or nothing."""
    if not grade.learner.isprintable():
        return "the learner's name holds control characters"
    names = [step.step for step in grade.steps]
    for each in grade.steps:
        if each.name is None:
            return f"{each.step} is no step"
        if names.count(each.step) > 1:
            return f"{each.step} is there {names.count(each.step)} times"
        known = {check.name: check.points for check in load_step(each.name).checks}
        if {check.check: check.max_points for check in each.checks} != known:
            return f"the checks of {each.step}, or their points, are others"
        if any(check.points not in (0, check.max_points) for check in each.checks):
            return f"a check of {each.step} has neither all of its points nor none"
    return ""


def as_json(value: Any) -> bytes:
    """A value as JSON for people and programs; lone surrogates, which none reads, spelled out."""
    text = f"{json.dumps(value, ensure_ascii=False, indent=2)}\n"
    return re.sub(r"[\ud800-\udfff]", lambda lone: rf"\\u{ord(lone[0]):x}", text).encode()
