"""Made grades: of any number of steps, with any verdicts, and with texts that try to break out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import STEPS
from tutor.course.verdicts import Verdict
from tutor.grade import grades
from tutor.grade.grades import CheckGrade, Grade, StepGrade

WRONG = "The output at [0, 1, 2]:\n  expected  0.5\n  got       0.25\n"
HOSTILE = (
    "=1+1<script>alert(1)</script>]]>&\"'\x00\x07\x1b[31m\x7f\x9b\udcff\ufffe"
    "\r\n::error::x\t ü中😀/../"
)
LONG = HOSTILE + "x" * 100_000


def check(name: str = "equation", verdict: Verdict = Verdict.PASSED, **changes: Any) -> CheckGrade:
    """A check of 2 points, all or nothing."""
    most = changes.pop("max_points", 2)
    made = CheckGrade(
        check=name,
        title=f"About the {name}",
        verdict=verdict,
        points=most if verdict is Verdict.PASSED else 0,
        max_points=most,
        seconds=0.25,
        explanation=WRONG if verdict in (Verdict.WRONG, Verdict.CRASHED) else "",
    )
    return msgspec.structs.replace(made, **changes)


def step(name: str, verdicts: Sequence[Verdict] = (), **changes: Any) -> StepGrade:
    """A step, named as in a command, with its real checks: these verdicts first, then passed."""
    real = find_step(name)
    every = [*verdicts, *[Verdict.PASSED] * (len(real.checks) - len(verdicts))]
    made = StepGrade(
        step=real.name,
        title=real.title,
        verdict=gravest(every),
        mistake="",
        references=[],
        culprits=[],
        advice=[],
        checks=[
            check(each.name, verdict, title=each.title, max_points=each.points)
            for each, verdict in zip(real.checks, every, strict=True)
        ],
    )
    return msgspec.structs.replace(made, **changes)


def gravest(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a step whose checks ended so."""
    return max(verdicts, key=list(Verdict).index)


def grade(learner: str = "ada", steps: Sequence[StepGrade] | None = None, **changes: Any) -> Grade:
    """What a learner earned; in all twelve steps unless others are given, all of it."""
    made = Grade(
        format="gpt2-from-scratch/grade/1",
        learner=learner,
        problem="",
        submission="5" * 64,
        course="c" * 64,
        seed=20260101,
        dependencies="reference",
        isolation="a process of its own",
        limits="120 seconds a step",
        started="2026-01-01T12:00:00+01:00",
        seconds=12.5,
        steps=[step(each.short) for each in all_steps(STEPS)] if steps is None else list(steps),
    )
    return msgspec.structs.replace(made, **changes)


def untimed(file: Path) -> Grade:
    """A grade in a file, without what is another at each run."""
    grade = grades.load(file)
    steps = [
        msgspec.structs.replace(
            step, checks=[msgspec.structs.replace(check, seconds=0.0) for check in step.checks]
        )
        for step in grade.steps
    ]
    return msgspec.structs.replace(grade, started="", seconds=0.0, steps=steps)


def unreadable(learner: str = "eve") -> Grade:
    """Of a submission that could not be read, so that nothing was checked."""
    return grade(learner, [], problem="eve.zip is no archive that can be read", seconds=0)


def hostile() -> Grade:
    """All that a submission can choose tries to break out of the file that it comes into."""
    first = check(
        verdict=Verdict.WRONG,
        title=HOSTILE,
        explanation=LONG,
        points=0,
        max_points=3,
        seconds=1e-9,
    )
    last = check("last", Verdict.NOT_REACHED, explanation=HOSTILE)
    made = step("7", mistake=HOSTILE, advice=[LONG], culprits=["step_02"], verdict=Verdict.WRONG)
    steps = [step("1"), msgspec.structs.replace(made, title=HOSTILE, checks=[first, last])]
    return grade(LONG, steps, problem=LONG, isolation=HOSTILE, limits=HOSTILE)
