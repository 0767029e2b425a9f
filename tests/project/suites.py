"""The suites of the steps on any text in place of a step, without pytest between."""

import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from tutor import ROOT
from tutor.check.diagnosis import Test, diagnose, failure
from tutor.check.results import Outcome, Result
from tutor.check.sandbox.errors import CodeError
from tutor.check.sandbox.workbench import Workbench
from tutor.course.registry import Step

VARIANTS = ROOT / "tests" / "variants"


class Memory:
    """The tests of a suite, where each is run once on a text: what it raised, it raises again."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.tests = {name: self.remembered(name, test) for name, test in tests_of(step).items()}
        self._found: dict[tuple[str, str], Exception | None] = {}  # by check and text

    def remembered(self, name: str, test: Test) -> Test:
        def recall(bench: Workbench) -> None:
            key = name, bench._step["source"]
            if key not in self._found:
                self._found[key] = failure(test, bench)
            if error := self._found[key]:
                raise error

        return recall


def tests_of(step: Step) -> dict[str, Test]:
    """The tests of a step's suite, by check."""
    module: ModuleType = importlib.import_module(f"tests.test_{step.name}")
    return {check.name: getattr(module, f"test_{check.name}") for check in step.checks}


def run_tests(
    result: Result,
    bench: Workbench,
    source: str,
    tests: Mapping[str, Test] | None = None,
    *,
    stop: bool = False,
) -> None:
    """Check a text in place of a solution; stop at the first failure, if only that matters."""
    tests = tests or tests_of(result.step)
    bench.select(result.step, source=source)
    for check in result.step.checks:
        error = failure(tests[check.name], bench)
        result.outcomes[check.name] = Outcome(check, error, 0.0)
        if error and stop:
            break


def run_suite(
    step: Step, bench: Workbench, source: str, tests: Mapping[str, Test] | None = None
) -> Result:
    """Check a text in place of a solution, and say which mistake it is."""
    tests, result = tests or tests_of(step), Result(step, "solutions", {})
    run_tests(result, bench, source, tests)
    diagnose(result, bench, tests, bench)
    return result


def as_written(error: CodeError, step: Step, source: str) -> CodeError:
    """An error with the lines of this text in place of the step's, as in a learner's file."""
    lines, file = source.splitlines(), Path(step.file("solutions")).name
    error.places = [
        replace(each, text=lines[each.line - 1].strip()) if each.file == file else each
        for each in error.places
    ]
    return error


def variants_of(step: Step) -> dict[str, list[list[str]]]:
    """Right solutions other than the reference: name, and pairs of what is replaced by what."""
    file = VARIANTS / f"{step.name}.toml"
    entries: dict[str, Any] = tomllib.loads(file.read_text()) if file.exists() else {}
    return {name: entry["edits"] for name, entry in entries.items()}
