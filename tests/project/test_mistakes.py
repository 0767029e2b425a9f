"""Every known mistake is refused, and named; every other way of being right is accepted."""

import pytest

from tests.project.suites import run_suite, variants_of
from tutor.course import Mistake, Step, all_steps, solution_source
from tutor.grading.diagnosis import failing_checks
from tutor.grading.results import Verdict
from tutor.grading.workbench import Workbench

STEPS = all_steps()
MISTAKES = [(step, mistake) for step in STEPS for mistake in step.mistakes]
VARIANTS = [(step, *variant) for step in STEPS for variant in variants_of(step).items()]


@pytest.mark.parametrize(
    ("step", "mistake"), MISTAKES, ids=[f"{step.name}-{m.name}" for step, m in MISTAKES]
)
def test_a_mistake_is_refused_and_named(step: Step, mistake: Mistake, bench: Workbench) -> None:
    result = run_suite(step, bench, mistake.apply(solution_source(step.number)))
    assert result.verdict in (Verdict.WRONG, Verdict.CRASHED)
    assert result.mistake is mistake, result.mistake and result.mistake.name
    recorded = failing_checks()[step.name][mistake.name]
    hint = "changed, please run: uv run python -m tools.record_failures"
    assert [outcome.check.name for outcome in result.failures] == recorded, hint


def test_only_registered_mistakes_are_recorded() -> None:
    registered = {step.name: {m.name for m in step.mistakes} for step in STEPS}
    assert {name: set(names) for name, names in failing_checks().items()} == registered


@pytest.mark.filterwarnings("ignore::tutor.grading.expectations.AdviceWarning")
@pytest.mark.parametrize(
    ("step", "name", "edits"),
    VARIANTS,
    ids=[f"{step.name}-{name}" for step, name, _ in VARIANTS],
)
def test_another_right_solution_is_accepted(
    step: Step, name: str, edits: list[list[str]], bench: Workbench
) -> None:
    source = solution_source(step.number)
    for old, new in edits:
        assert source.count(old) == 1, f"{name}: {old!r} is there {source.count(old)} times"
        source = source.replace(old, new)
    result = run_suite(step, bench, source)
    errors = [f"{outcome.check.name}: {outcome.error!r}" for outcome in result.failures]
    assert not errors
