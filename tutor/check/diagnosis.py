"""Which mistake a failure comes from: of the known ones, that which fails in the same way."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping

from tutor.check.expectations import MismatchError, same
from tutor.check.results import Outcome, Result, symptom
from tutor.check.sandbox.errors import CodeError, DiedError, TimedOutError
from tutor.check.sandbox.process import Clock
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.names import in_order
from tutor.course.registry import EXERCISES, Mistake, Step
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError

Test = Callable[[Workbench], None]

SECONDS = 10.0  # that looking for the mistake may take at most
MOST_GUESSES = 8  # mistakes that are tried although they fail other checks than the learner's code


def diagnose(result: Result, bench: Workbench, tests: Mapping[str, Test]) -> None:
    """Say in the result which other step, or else which mistake, its failures come from."""
    telling = [
        outcome
        for outcome in result.failures
        if outcome.verdict in (Verdict.WRONG, Verdict.CRASHED)
        and isinstance(outcome.error, MismatchError | CodeError)
        and not isinstance(outcome.error, DiedError)
    ]
    if not telling:
        return
    clock = Clock(min(SECONDS, bench.seconds))
    with contextlib.suppress(Exception):  # whatever it is, it must not cost the verdicts
        result.culprits = find_culprits(result, bench, tests[telling[0].check.name], clock)
        if not result.culprits:
            result.mistake = find_mistake(result, telling[0], bench, tests, clock)


def find_culprits(result: Result, bench: Workbench, test: Test, clock: Clock) -> list[Step]:
    """The other steps with whose references the test passes, and all of which it needs."""
    replaced = set(result.replaced)
    own = set(result.step.needs) - replaced

    def passes_with(references: set[Step]) -> bool:
        bench.select(result.step, reference=references, clock=clock)
        return attempt(test, bench) is None

    if result.tree == "solutions" or not own or not passes_with(replaced | own):
        return []
    needed = set(own)
    for each in in_order(own):
        if passes_with(replaced | needed - {each}):
            needed.remove(each)
    return in_order(needed)


def find_mistake(
    result: Result,
    first: Outcome,
    bench: Workbench,
    tests: Mapping[str, Test],
    clock: Clock,
) -> Mistake | None:
    """The known mistake that fails as the learner's code does, in the first check that fails."""
    reference = sources.reference(result.step, result.tree)

    def failure_of(source: str, outcome: Outcome) -> Exception | None:
        bench.select(result.step, reference=result.replaced, source=source, clock=clock)
        return attempt(tests[outcome.check.name], bench)

    def fails_alike(mistake: Mistake, outcome: Outcome) -> bool:
        return is_alike(outcome.error, failure_of(mistake.apply(reference), outcome))

    # Where the reference fails, too, the learner's code has changed what it runs on.
    if failure_of(reference, first):
        return None
    for group in likely_mistakes(result):
        alike = [mistake for mistake in group if fails_alike(mistake, first)]
        # Several fail alike in this check: the others, failed or not, tell them apart.
        for other in result.outcomes.values():
            if len(alike) > 1 and other is not first:
                alike = [mistake for mistake in alike if fails_alike(mistake, other)]
        if alike:
            return alike[0]
    return None


def likely_mistakes(result: Result) -> Iterator[list[Mistake]]:
    """The mistakes that fail the same checks; then some of those that fail the same one first."""
    failing = [outcome.check.name for outcome in result.failures]
    recorded = failing_checks().get(result.step.name, {})
    mistakes = [mistake for mistake in result.step.mistakes if mistake.name in recorded]
    likely = [mistake for mistake in mistakes if recorded[mistake.name] == failing]
    yield likely
    yield [
        mistake
        for mistake in mistakes
        if recorded[mistake.name][0] == failing[0] and mistake not in likely
    ][:MOST_GUESSES]


@functools.cache
def failing_checks() -> dict[str, dict[str, list[str]]]:
    """By step and mistake, the checks that fail: what tools/course/record_failures.py found."""
    table: dict[str, dict[str, list[str]]] = json.loads(
        (EXERCISES / "recorded" / "failing_checks.json").read_text(encoding="utf-8")
    )
    return table


def is_alike(error: BaseException | None, other: BaseException | None) -> bool:
    """Whether two checks ended in the same way, but for rounding."""
    (what, observed), (other_what, other_observed) = symptom(error), symptom(other)
    return what == other_what and same(observed, other_observed)


def attempt(test: Test, bench: Workbench) -> Exception | None:
    """How a test fails, if it does. Raises TimedOutError when there is no time left."""
    error = failure(test, bench)
    if isinstance(error, TimedOutError):
        raise error
    return error


def failure(test: Test, bench: Workbench) -> Exception | None:
    """How a test fails, if it does."""
    try:
        test(bench)
    except EnvironmentBrokenError:
        raise
    except Exception as error:  # a suite may stumble over what a wrong step returns
        return error
    return None
