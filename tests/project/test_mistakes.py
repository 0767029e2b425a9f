"""Every known mistake is refused, and named; every other way of being right is accepted."""

import pytest

from tests.project.suites import Memory, run_suite, variants_of
from tutor.check.diagnosis import failing_checks
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.registry import Mistake, Step, all_steps
from tutor.course.tracks import STEPS as TWELVE
from tutor.course.verdicts import Verdict

STEPS = all_steps()
FEW = 1  # mistake of each of the twelve steps, and variant, that a quick run tries


def is_quick(step: Step, count: int) -> bool:
    return step.track is TWELVE and count < FEW


MISTAKES = [
    pytest.param(
        *(step, mistake),
        id=f"{step.name}-{mistake.name}",
        marks=[pytest.mark.full("known mistakes")] * (not is_quick(step, count)),
    )
    for step in STEPS
    for count, mistake in enumerate(step.mistakes)
]
VARIANTS = [
    pytest.param(
        *(step, name, edits),
        id=f"{step.name}-{name}",
        marks=[pytest.mark.full("right variants")] * (not is_quick(step, count)),
    )
    for step in STEPS
    for count, (name, edits) in enumerate(variants_of(step).items())
]


@pytest.fixture(scope="module")
def memories(request: pytest.FixtureRequest) -> dict[str, Memory]:
    """What the checks of a step came to; in a quick run, where all is computed anew, none."""
    return {step.name: Memory(step) for step in STEPS} if request.config.getoption("full") else {}


@pytest.mark.parametrize(("step", "mistake"), MISTAKES)
def test_a_mistake_is_refused_and_named(
    step: Step, mistake: Mistake, bench: Workbench, memories: dict[str, Memory]
) -> None:
    # A mistake is looked for among those that fail alike, each of which has its own turn here.
    tests = memories[step.name].tests if memories else None
    result = run_suite(step, bench, mistake.apply(sources.reference(step)), tests)
    assert result.verdict in (Verdict.WRONG, Verdict.CRASHED)
    assert result.mistake is mistake, result.mistake and result.mistake.name
    recorded = failing_checks()[step.name][mistake.name]
    hint = "changed, please run: uv run python -m tools.course.record_failures"
    assert [outcome.check.name for outcome in result.failures] == recorded, hint


def test_only_registered_mistakes_are_recorded() -> None:
    registered = {step.name: {m.name for m in step.mistakes} for step in STEPS}
    assert {name: set(names) for name, names in failing_checks().items()} == registered


@pytest.mark.filterwarnings("ignore::tutor.check.expectations.AdviceWarning")
@pytest.mark.parametrize(("step", "name", "edits"), VARIANTS)
def test_another_right_solution_is_accepted(
    step: Step, name: str, edits: list[list[str]], bench: Workbench
) -> None:
    source = sources.reference(step)
    for old, new in edits:
        assert source.count(old) == 1, f"{name}: {old!r} is there {source.count(old)} times"
        source = source.replace(old, new)
    result = run_suite(step, bench, source)
    errors = [f"{outcome.check.name}: {outcome.error!r}" for outcome in result.failures]
    assert not errors
