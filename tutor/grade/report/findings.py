"""What stands out in a class: mistakes, hard checks, code that was cut short, and warnings."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tutor.course.names import Name
from tutor.course.registry import load_step
from tutor.course.verdicts import Verdict
from tutor.grade.grades import CheckGrade, Grade, StepGrade
from tutor.grade.report.overview import FAILED, TRIED, Column, Learner, Overview

CUT_SHORT = (Verdict.CRASHED, Verdict.TIMED_OUT)
MOST_CHECKS = 10  # that are listed as those which most learners fail

SHARED = {  # by all grades of a class; else they are hard to compare
    "seed": "{} different seeds: the inputs of the checks were not the same.",
    "course": "{} versions of the course: the checks may not have been the same.",
    "dependencies": "{} modes: some steps ran on the reference's, some on the learner's own.",
    "isolation": "{} kinds of isolation kept the code under check apart.",
    "limits": "{} sets of limits: some code had more time or memory than other.",
}


@dataclass(frozen=True)
class Mistake:
    """A mistake in a step, and who made it."""

    name: str  # empty where the course does not know it
    says: str
    learners: list[Learner]


@dataclass(frozen=True)
class Ending:
    """A step of a learner's in which checks crashed, or ran out of time; `check` was the first."""

    learner: Learner
    step: StepGrade
    check: CheckGrade
    others: int


@dataclass
class Tally:
    """How often one check failed, among those who wrote something for it."""

    column: Column
    title: str
    failed: int = 0
    tried: int = 0

    @property
    def share(self) -> float:
        return self.failed / (self.tried or 1)


def find_mistakes(column: Column) -> list[Mistake]:
    """What was recognized in a step, the commonest first."""
    learners = defaultdict(list)
    for learner, step in column.entries:
        if step.mistake:
            learners[identify(step.mistake, column.step)].append(learner)
    found = [Mistake(name, says, who) for (name, says), who in learners.items()]
    return sorted(found, key=lambda mistake: (-len(mistake.learners), mistake.name))


def identify(mistake: str, name: Name | None) -> tuple[str, str]:
    """The name of a step's mistake, and what it says; no name for one that is not registered."""
    known = load_step(name).mistakes if name else ()
    fitting = (each for each in known if mistake in (each.name, each.says))
    return next(((each.name, each.says) for each in fitting), ("", mistake))


def find_endings(learners: Iterable[Learner]) -> Iterator[Ending]:
    """The steps in which checks were cut short, by learners."""
    for learner in learners:
        for step in learner.steps.values():
            checks = [check for check in step.checks if check.verdict in CUT_SHORT]
            if checks:
                yield Ending(learner, step, checks[0], len(checks) - 1)


def find_hardest(columns: Iterable[Column]) -> list[Tally]:
    """The checks that most learners fail, up to ten."""
    tallies = [tally for column in columns for tally in count_checks(column) if tally.failed]
    return sorted(tallies, key=lambda tally: (-tally.failed, -tally.share))[:MOST_CHECKS]


def count_checks(column: Column) -> Iterable[Tally]:
    """How the checks of a step ended for all who tried it."""
    tallies: dict[str, Tally] = {}
    for _, step in column.entries:
        for check in step.checks:
            tally = tallies.setdefault(check.check, Tally(column, check.title))
            tally.failed += check.verdict in FAILED
            tally.tried += check.verdict in TRIED
    return tallies.values()


def find_warnings(overview: Overview) -> list[str]:
    """Why the points of these learners may not be comparable."""
    grades = [learner.grade for learner in overview.graded]
    counts = {words: len(distinct(grades, name)) for name, words in SHARED.items()}
    choices = {frozenset(learner.steps) for learner in overview.graded}
    counts["{} choices of steps: not everybody could have the same points."] = len(choices)
    warnings = [words.format(count) for words, count in counts.items() if count > 1]
    names = {learner.grade.learner for learner in overview.learners}
    if len(names) < len(overview.learners):
        warnings.append("Several submissions have the same name.")
    return warnings


def distinct(grades: Sequence[Grade], name: str) -> list[Any]:
    """The values that the grades have there, each once, in their order."""
    return list(dict.fromkeys(getattr(grade, name) for grade in grades))
