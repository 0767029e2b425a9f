"""The suites of the steps on any text in place of a step, without pytest between."""

import importlib
import tomllib
from types import ModuleType
from typing import Any

from tutor import ROOT
from tutor.course import Step
from tutor.grading.diagnosis import Test, diagnose, failure
from tutor.grading.results import Outcome, Result
from tutor.grading.workbench import Workbench

VARIANTS = ROOT / "tests" / "variants"


def tests_of(step: Step) -> dict[str, Test]:
    """The tests of a step's suite, by check."""
    module: ModuleType = importlib.import_module(f"tests.test_{step.name}")
    return {check.name: getattr(module, f"test_{check.name}") for check in step.checks}


def run_tests(result: Result, bench: Workbench, source: str, *, stop: bool = False) -> None:
    """Check a text in place of a solution; stop at the first failure, if only that matters."""
    tests = tests_of(result.step)
    bench.select(result.step.number, source=source)
    for check in result.step.checks:
        error = failure(tests[check.name], bench)
        result.outcomes[check.name] = Outcome(check, error, 0.0)
        if error and stop:
            break


def run_suite(step: Step, bench: Workbench, source: str) -> Result:
    """Check a text in place of a solution, and say which mistake it is."""
    result = Result(step, "solutions", {})
    run_tests(result, bench, source)
    diagnose(result, bench, tests_of(step))
    return result


def variants_of(step: Step) -> dict[str, list[list[str]]]:
    """Right solutions other than the reference: name, and pairs of what is replaced by what."""
    file = VARIANTS / f"{step.name}.toml"
    entries: dict[str, Any] = tomllib.loads(file.read_text()) if file.exists() else {}
    return {name: entry["edits"] for name, entry in entries.items()}
