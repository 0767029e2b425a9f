"""Which mistake a failure comes from: of the known ones, that which fails in the same way."""

import contextlib
from collections.abc import Callable, Mapping

from tutor.course import Mistake, solution_source
from tutor.grading.expectations import same
from tutor.grading.results import Outcome, Result, Verdict, symptom
from tutor.grading.workbench import EnvironmentBrokenError, Workbench

Test = Callable[[Workbench], None]

MOST_FAILURES = 3  # that are looked at, until a mistake is found


def diagnose(result: Result, bench: Workbench, tests: Mapping[str, Test]) -> None:
    """Say in the result which earlier step, or else which mistake, its failures come from."""
    failures = [
        outcome
        for outcome in result.failures
        if outcome.verdict in (Verdict.WRONG, Verdict.CRASHED)
    ][:MOST_FAILURES]
    if not failures or result.verdict is Verdict.TIMED_OUT:
        return
    with contextlib.suppress(EnvironmentBrokenError):
        result.culprit = find_culprit(result, bench, tests[failures[0].check.name])
        if result.culprit is None:
            result.mistake = find_mistake(result, failures, bench, tests)


def find_culprit(result: Result, bench: Workbench, test: Test) -> int | None:
    """The earlier step with whose reference the test passes."""
    number, replaced = result.step.number, set(result.replaced)
    own = set(range(1, number)) - replaced
    if result.tree == "solutions" or not own:
        return None
    bench.select(number, reference=replaced | own)
    if failure(test, bench):
        return None
    for candidate in sorted(own):
        bench.select(number, reference={*replaced, candidate})
        if not failure(test, bench):
            return candidate
    return min(own)


def find_mistake(
    result: Result, failures: list[Outcome], bench: Workbench, tests: Mapping[str, Test]
) -> Mistake | None:
    """The known mistake that fails as the first failures do."""

    def fails_alike(mistake: Mistake, outcome: Outcome) -> bool:
        source = mistake.apply(solution_source(result.step.number, result.tree))
        bench.select(result.step.number, reference=result.replaced, source=source)
        what, observed = symptom(outcome.error)
        other, seen = symptom(failure(tests[outcome.check.name], bench))
        return what == other and same(observed, seen)

    for outcome in failures:
        alike = [mistake for mistake in result.step.mistakes if fails_alike(mistake, outcome)]
        # Several fail alike in this check: the other checks, failed or not, tell them apart.
        for other in result.outcomes.values():
            if len(alike) > 1 and other is not outcome:
                alike = [mistake for mistake in alike if fails_alike(mistake, other)]
        if alike:
            return alike[0]
    return None


def failure(test: Test, bench: Workbench) -> Exception | None:
    """How a test fails, if it does."""
    try:
        test(bench)
    except EnvironmentBrokenError:
        raise
    except Exception as error:  # a suite may stumble over what a wrong step returns
        return error
    return None
