"""The class that a report is on: its learners by their names, its steps by their numbers."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tutor.classroom.grades import Grade, StepGrade
from tutor.course import BONUS, CORE, find_number, load_step

FAILED = ("wrong", "crashed", "timed out")
TRIED = ("passed", *FAILED)


@dataclass(frozen=True, eq=False)
class Learner:
    """One submission, and where in the report it is."""

    grade: Grade
    anchor: str

    @cached_property
    def steps(self) -> dict[str, StepGrade]:
        """What was graded, by the names of the steps; nothing, if it could not be read."""
        return {step.step: step for step in self.grade.steps} if self.grade.was_read else {}

    @cached_property
    def totals(self) -> dict[bool, tuple[int, int]]:
        """The points and the most points; under True, of the engine steps."""
        it = self.grade
        return {more: (it.points(more), it.max_points(more)) for more in (False, True)}

    @property
    def share(self) -> float:
        """How much of the points it has that it could have, the engine steps apart."""
        points, most = self.totals[False]
        return points / (most or 1)


@dataclass(frozen=True, eq=False)
class Column:
    """One step of the whole class."""

    name: str  # as in its files
    entries: list[tuple[Learner, StepGrade]]

    @property
    def number(self) -> int:
        return find_number(self.name)

    @property
    def title(self) -> str:
        return load_step(self.number).title

    @property
    def mean(self) -> float:
        return statistics.fmean(step.points for _, step in self.entries)

    @property
    def max_points(self) -> int:
        return max(step.max_points for _, step in self.entries)

    @property
    def failed(self) -> int:
        """How many learners wrote something for it that does not pass."""
        return sum(step.verdict in FAILED for _, step in self.entries)

    @property
    def tried(self) -> int:
        return sum(step.verdict in TRIED for _, step in self.entries)


@dataclass(frozen=True, eq=False)
class Overview:
    """A class."""

    learners: list[Learner]
    columns: list[Column]

    @property
    def core(self) -> list[Column]:
        return [column for column in self.columns if column.number in CORE]

    @property
    def bonus(self) -> list[Column]:
        return [column for column in self.columns if column.number in BONUS]

    @property
    def graded(self) -> list[Learner]:
        return [learner for learner in self.learners if learner.steps]

    @property
    def left(self) -> list[Learner]:
        """Those whose submission could not be read."""
        return [learner for learner in self.learners if not learner.steps]

    @property
    def broken(self) -> list[Learner]:
        """Those for whom the machine, not their code, is to blame in a step."""
        return [learner for learner in self.learners if any(map(is_broken, learner.grade.steps))]

    def points(self, bonus: bool = False) -> list[int]:
        """What each has, of those who could have any."""
        totals = [learner.totals[bonus] for learner in self.graded]
        return [points for points, most in totals if most]

    def max_points(self, bonus: bool = False) -> int:
        return max((learner.totals[bonus][1] for learner in self.graded), default=0)

    @property
    def struggling(self) -> list[Learner]:
        """Who has less than half of the points, the fewest first."""
        some = [it for it in self.graded if it.totals[False][1] and it.share < 1 / 2]
        return sorted(some, key=lambda learner: learner.share)

    @property
    def topic(self) -> Column | None:
        """The step that most learners tried and failed, to talk about in class."""
        failed = [column for column in self.columns if column.failed]
        return max(failed, key=lambda column: column.failed, default=None)


def survey(grades: Sequence[Grade]) -> Overview:
    """The learners of these grades, and the steps that were graded for any of them."""
    by_name = sorted(grades, key=lambda grade: (grade.learner.casefold(), grade.learner))
    learners = [Learner(grade, f"learner-{place}") for place, grade in enumerate(by_name, 1)]
    entries: dict[str, list[tuple[Learner, StepGrade]]] = defaultdict(list)
    for learner in learners:
        for name, step in learner.steps.items():
            entries[name].append((learner, step))
    known = sorted(filter(find_number, entries), key=find_number)
    return Overview(learners, [Column(name, entries[name]) for name in known])


def is_broken(step: StepGrade) -> bool:
    """Whether a step could not be graded."""
    return step.verdict == "environment broken"
