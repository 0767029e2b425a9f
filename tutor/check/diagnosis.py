"""Which mistake a failure comes from: that which fails in the same way, in every check.

Mistakes are looked for among the known ones, then among edits of the reference made by rule, then
among pairs of these. They are tried in a process that never ran the learner's code.
"""

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tutor.check import lookalikes
from tutor.check.expectations import MismatchError, same
from tutor.check.lookalikes import Lookalike
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
Wrong = Mistake | Lookalike

SECONDS = 10.0  # that looking for a known mistake may take at most
MORE_SECONDS = 2.0  # for edits and pairs, where no known mistake fits
PATIENCE = 4.0  # times these seconds, where the machine is busy with other things
ROUNDING = 1e-5  # of the largest number: how far apart two answers may be that are the same
MOST_SAID = 2  # explanations that fit equally well: of more, none is given


def diagnose(result: Result, bench: Workbench, tests: Mapping[str, Test], fresh: Workbench) -> None:
    """Say in the result which other step, or else which mistake, its failures come from.

    The fresh bench has not run the code under check.
    """
    telling = [outcome for outcome in result.failures if is_telling(outcome)]
    if not telling:
        return
    clock = Clock(min(SECONDS, bench.seconds))
    with contextlib.suppress(Exception):  # whatever it is, it must not cost the verdicts
        result.culprits = find_culprits(result, bench, tests[telling[0].check.name], clock)
        if not result.culprits:
            Search(result, telling[0], fresh, tests).explain()


def is_telling(outcome: Outcome) -> bool:
    """Whether a failure tells of a mistake."""
    return (
        outcome.verdict in (Verdict.WRONG, Verdict.CRASHED)
        and isinstance(outcome.error, MismatchError | CodeError)
        and not isinstance(outcome.error, DiedError)
    )


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


@dataclass
class Search:
    """Looks for wrong solutions that fail as the learner's code does, and pass what it passes."""

    result: Result
    first: Outcome  # of those that failed
    bench: Workbench
    tests: Mapping[str, Test]

    def __post_init__(self) -> None:
        self.reference = sources.reference(self.result.step, self.result.tree)
        others = [each for each in self.result.outcomes.values() if each is not self.first]
        # What is not written yet, or never ended, tells nothing; what failed tells most.
        self.seen = [each for each in others if each.error is None or is_telling(each)]
        self.seen.sort(key=lambda each: each.error is None)
        self.clock = Clock(SECONDS, PATIENCE)
        self.selected: object = None

    def explain(self) -> None:
        """Put into the result what explains all that was seen, if nothing else does."""
        # Where the reference fails, too, the learner's code has changed what it runs on.
        if self.failure_of(self.reference, self.first):
            return
        self.result.mistake = next(filter(self.fits, self.likely_mistakes()), None)
        if self.result.mistake:
            return
        self.clock = Clock(MORE_SECONDS, PATIENCE)
        edits = filter(self.fits, sorted(self.edits_alike_in_all(), key=lambda each: each.size))
        # Where a failure is distinct, all that fit are the same in other words.
        fitting = list(itertools.islice(edits, 1 if is_distinct(self.first.error) else None))
        says = list(dict.fromkeys(edit.says for edit in fitting))
        if says:
            self.result.said = " Or: ".join(says) if len(says) <= MOST_SAID else ""
        else:
            self.result.said = next(self.pairs_that_fit(), "")

    def likely_mistakes(self) -> list[Mistake]:
        """The known mistakes that fail the same checks."""
        recorded = failing_checks().get(self.result.step.name, {})
        seen = [outcome.check.name for outcome in (self.first, *self.seen)]
        failing = {outcome.check.name for outcome in self.result.failures} & {*seen}
        return [
            mistake
            for mistake in self.result.step.mistakes
            if failing == {*recorded.get(mistake.name, [])} & {*seen}
        ]

    def edits_alike_in_all(self) -> list[Lookalike]:
        """The edits that fail as the learner's code does, the first failure and the others."""
        if not has_numbers(self.first):
            return []
        errors = {each.check.name: each.error for each in (self.first, *self.seen)}
        return lookalikes.find_by_all(self.result.step, self.first.check.name, errors)

    def edits_alike(self, outcome: Outcome) -> list[Lookalike]:
        """The edits that fail a check first, and as the learner's code does; of numbers only."""
        if not has_numbers(outcome):
            return []
        return lookalikes.find(self.result.step, outcome.check.name, outcome.error)

    def pairs_that_fit(self) -> Iterator[str]:
        """Two mistakes, the first of which explains the first failure."""
        failing = {outcome.check.name for outcome in self.result.failures}
        recorded = failing_checks().get(self.result.step.name, {})
        known = [m for m in self.result.step.mistakes if failing.issuperset(recorded[m.name])]
        others = [o for o in self.seen if o.error]
        firsts = [m for m in known if recorded[m.name][0] == self.first.check.name]
        ones: list[Wrong] = [*firsts, *self.edits_alike(self.first)]
        seconds: list[Wrong] = [*known, *itertools.chain(*map(self.edits_alike, others))]
        for one in ones:
            if not self.is_alike(one, outcome=self.first):
                continue
            for other in seconds:
                if other is not one and self.fits(one, other):
                    yield lookalikes.two(one.says, other.says)

    def fits(self, *wrong: Wrong) -> bool:
        """Whether the reference with these mistakes does in all checks what the code does."""
        return all(self.is_alike(*wrong, outcome=each) for each in (self.first, *self.seen))

    def is_alike(self, *wrong: Wrong, outcome: Outcome) -> bool:
        """Whether with these mistakes a check ends as it did."""
        try:
            source = apply(self.reference, wrong)
        except ValueError:  # both change the same lines
            return False
        return is_alike(outcome.error, self.failure_of(source, outcome))

    def failure_of(self, source: str, outcome: Outcome) -> Exception | None:
        """How a text in place of the step fails a check, if it does."""
        step, wanted = self.result.step, (source, self.clock)
        if self.selected != wanted:  # else it is loaded already, as the code is for all its checks
            self.bench.select(step, reference=step.needs, source=source, clock=self.clock)
            self.selected = wanted
        return attempt(self.tests[outcome.check.name], self.bench)


def has_numbers(outcome: Outcome) -> bool:
    """Whether a failure tells by many numbers, as hardly another can."""
    return isinstance(outcome.error, MismatchError) and not is_plain(outcome.error)


def is_plain(error: MismatchError) -> bool:
    """Whether other mistakes may well fail in this way: with few values, or a plain sentence."""
    if isinstance(error.observed, dict):
        return bool(error.says)
    return not isinstance(error.observed, np.ndarray)


def is_distinct(error: BaseException | None) -> bool:
    """Whether hardly anything else can fail in this way, as much can that ends in NaN."""
    observed = error.observed if isinstance(error, MismatchError) else None
    if isinstance(observed, np.ndarray) and observed.dtype.kind == "f":
        return not np.isnan(observed).any()
    return True


def apply(source: str, wrong: Iterable[Wrong]) -> str:
    """A source with several mistakes. Raises ValueError if they change the same lines."""
    # Lines are counted in the reference, so the last ones come first; known mistakes find theirs.
    end = source.count("\n") + 1
    for each in sorted(wrong, key=lambda each: -each.first if isinstance(each, Lookalike) else 1):
        if isinstance(each, Lookalike):
            if each.first + each.count > end:
                raise ValueError("two edits of the same lines")
            end = each.first
        source = each.apply(source)
    return source


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
    # A check whose right answers may be further apart says so.
    numbers = error.numbers if isinstance(error, MismatchError) else None
    tolerance = max(numbers[2], ROUNDING) if numbers else ROUNDING
    return what == other_what and same(observed, other_observed, tolerance)


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
