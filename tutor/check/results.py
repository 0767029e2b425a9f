"""What came of checking a step."""

import re
from dataclasses import dataclass, field

from tutor.check.expectations import MismatchError
from tutor.check.sandbox.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    TimedOutError,
)
from tutor.course.registry import Check, Mistake, Step
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError


def judge(error: BaseException | None) -> Verdict:
    """The verdict on a check that ended with this exception, or with none."""
    match error:
        case None:
            return Verdict.PASSED
        case NotStartedError():
            return Verdict.NOT_STARTED
        case TimedOutError():
            return Verdict.TIMED_OUT
        case EnvironmentBrokenError():
            return Verdict.BROKEN
        case CodeError() if not isinstance(error, ContractError):
            return Verdict.CRASHED
        case _:
            return Verdict.WRONG


@dataclass(frozen=True)
class Outcome:
    """How one check ended."""

    check: Check
    error: BaseException | None
    seconds: float
    output: str = ""  # what the code printed meanwhile

    @property
    def verdict(self) -> Verdict:
        return judge(self.error)

    @property
    def points(self) -> int:
        return self.check.points if self.error is None else 0


@dataclass
class Result:
    """How the checks of a step ended; those that were not reached have no outcome."""

    step: Step
    tree: str
    replaced: dict[Step, str]  # other steps for which the reference stood in, and why
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    mistake: Mistake | None = None
    said: str = ""  # what explains the failures, where no known mistake does
    culprits: list[Step] = field(default_factory=list)  # other steps that it comes from
    advice: list[str] = field(default_factory=list)  # on what is right, and could be better
    files: dict[str, str] = field(default_factory=dict)  # digests of them, when the check began

    @property
    def explanation(self) -> str:
        """What explains the failures, if anything does."""
        return self.mistake.says if self.mistake else self.said

    @property
    def points(self) -> int:
        return sum(outcome.points for outcome in self.outcomes.values())

    @property
    def failures(self) -> list[Outcome]:
        """The outcomes of the checks that did not pass, the first one first."""
        return [outcome for outcome in self.outcomes.values() if outcome.error]

    @property
    def is_cut_short(self) -> bool:
        """Whether what is left would only take time: after a time-out, or two dead processes."""
        errors = [outcome.error for outcome in self.outcomes.values()]
        deaths = sum(isinstance(error, DiedError) for error in errors)
        return deaths > 1 or any(isinstance(error, TimedOutError) for error in errors)

    @property
    def verdict(self) -> Verdict:
        """The gravest of its checks; a step that was not checked to its end has not passed."""
        verdicts = [outcome.verdict for outcome in self.outcomes.values()]
        if len(verdicts) < len(self.step.checks):
            verdicts.append(Verdict.NOT_STARTED)
        return max(verdicts, key=list(Verdict).index)


def symptom(error: BaseException | None) -> tuple[str, object]:
    """By what a failure is recognized when another implementation fails likewise."""
    if isinstance(error, MismatchError):
        return error.what, error.observed
    # Which tree it is, where in memory something lies, and which temporary folder is no part of it.
    return type(error).__name__, re.sub(
        r"\b(solutions\.solution|steps\.step)_|0x\w+|\btmp\w{8}\b", "", str(error)
    )
