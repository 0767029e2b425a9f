"""How a check ends, and which end of several counts: the gravest."""

import pytest

from tutor.check.results import Outcome, Result
from tutor.check.sandbox.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    TimedOutError,
)
from tutor.course.registry import find_step
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError

ERRORS: dict[Verdict, BaseException | None] = {
    Verdict.PASSED: None,
    Verdict.NOT_STARTED: NotStartedError("NotImplementedError"),
    Verdict.WRONG: ContractError("the step defines no x"),
    Verdict.CRASHED: DiedError("Its process was killed by SIGSEGV."),
    Verdict.TIMED_OUT: TimedOutError("It took longer than 60 seconds."),
    Verdict.BROKEN: EnvironmentBrokenError("MAX does not start"),
}


def test_a_later_verdict_is_graver_than_an_earlier_one() -> None:
    assert [each for each in Verdict if each is not Verdict.NOT_REACHED] == [*ERRORS]
    assert [verdict.sign for verdict in Verdict] == [*"✓–…✗!∞?"]


@pytest.mark.parametrize("graver", ERRORS, ids=str)
@pytest.mark.parametrize("verdict", ERRORS, ids=str)
def test_the_gravest_verdict_of_the_checks_is_that_of_the_step(
    verdict: Verdict, graver: Verdict
) -> None:
    step = find_step("2")
    ends = [ERRORS[verdict], ERRORS[graver]] + [None] * (len(step.checks) - 2)
    result = Result(step, "steps", {})
    for check, error in zip(step.checks, ends, strict=True):
        result.outcomes[check.name] = Outcome(check, error, 0.0)
    assert result.verdict is max(verdict, graver, key=list(Verdict).index)


def test_a_step_that_was_not_checked_to_its_end_has_not_passed() -> None:
    step = find_step("2")
    first = step.checks[0]
    for error, verdict in ((None, Verdict.NOT_STARTED), (CodeError("x"), Verdict.CRASHED)):
        result = Result(step, "steps", {}, {first.name: Outcome(first, error, 0.0)})
        assert result.verdict is verdict


def test_a_verdict_is_known_by_its_words() -> None:
    assert Verdict("timed out") is Verdict.TIMED_OUT
    assert {each for each in Verdict if each.is_failure} == {"wrong", "crashed", "timed out"}
    assert {each.status for each in Verdict if each.is_failure} == {"fail", "error"}
    with pytest.raises(ValueError, match="splendid"):
        Verdict("splendid")
