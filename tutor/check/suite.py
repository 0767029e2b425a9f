"""The suites of the steps under pytest: which code they check, and what came of it."""

import contextlib
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tutor.check import report
from tutor.check.diagnosis import Test, diagnose, is_telling
from tutor.check.expectations import AdviceWarning
from tutor.check.results import Outcome, Result
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.names import find_name
from tutor.course.registry import Step, load_step
from tutor.course.verdicts import Verdict


class Listener(Protocol):
    """Is told how the checks go on."""

    def begin(self, result: Result) -> None: ...
    def checked(self, outcome: Outcome) -> None: ...
    def searching(self) -> contextlib.AbstractContextManager[object]: ...
    def end(self, result: Result) -> None: ...


class Suites:
    """A pytest plugin that runs the suites of steps on a workbench and keeps their results."""

    def __init__(self, bench: Workbench, *listeners: Listener) -> None:
        self.bench, self.listeners = bench, listeners
        # Mistakes are looked for in a process that never ran the code under check.
        self.fresh = bench.another()
        self.results: list[Result] = []
        self._tests: dict[str, Test] = {}  # of the step that is being checked, by check

    @pytest.fixture
    def step(self) -> Workbench:
        """The code under check; each of its methods is a probe."""
        return self.bench

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse a suite whose tests are not the registered checks, in their order."""
        for module in {item.getparent(pytest.Module) for item in items if step_of(item)}:
            assert module
            found = [name for name in vars(module.obj) if name.startswith("test_")]
            step = step_of(module)
            if step and found != [f"test_{check.name}" for check in step.checks]:
                raise pytest.UsageError(f"{step.suite} and {step.registry} have other checks")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, Any, Any]:
        step = step_of(item)
        if step and not (self.results and self.results[-1].step == step):
            self._begin(step)
        finished = yield
        is_last = nextitem is None or step_of(nextitem) != step
        if step and (is_last or item.session.shouldstop or item.session.shouldfail):
            self._end()
        return finished

    def _begin(self, step: Step) -> None:
        result = Result(step, self.bench.tree, self.bench.stand_ins(step))
        result.files = sources.digests(step, self.bench.root)
        self.results.append(result)
        self.bench.select(step, reference=result.replaced)
        for listener in self.listeners:
            listener.begin(result)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if step_of(item) and self.results[-1].is_cut_short:
            pytest.skip("not reached")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        made = yield
        if step_of(item) and call.when == "call" and isinstance(item, pytest.Function):
            result = self.results[-1]
            name = item.name.removeprefix("test_")
            check = next(check for check in result.step.checks if check.name == name)
            error = call.excinfo.value if call.excinfo else None
            outcome = Outcome(check, error, call.duration, self.bench.output())
            self._tests[name] = item.function
            result.outcomes[name] = outcome
            if is_telling(outcome):
                self.fresh.start([result.step])  # it gets ready during the checks that follow
            for listener in self.listeners:
                listener.checked(outcome)
            if error:
                made.longrepr = report.plain(report.explain(result, outcome))
            if outcome.verdict is Verdict.BROKEN:
                item.session.shouldstop = str(error)
        return made

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        if issubclass(warning_message.category, AdviceWarning) and self.results:
            self.results[-1].advice.append(str(warning_message.message))

    def _end(self) -> None:
        result = self.results[-1]
        with contextlib.ExitStack() as shown:
            for listener in self.listeners if result.failures else ():
                shown.enter_context(listener.searching())
            diagnose(result, self.bench, self._tests, self.fresh)
        self._tests = {}
        for listener in self.listeners:
            listener.end(result)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What `tutor check` says, when pytest itself is the command."""
        for result in self.results:
            if len(result.outcomes) < len(result.step.checks) and not result.failures:
                continue  # only some checks were asked for, and nothing is wrong with these
            terminalreporter.write(report.plain(report.heading(result), report.summary(result)))

    def pytest_sessionfinish(self) -> None:
        self.bench.close()
        self.fresh.close()


def step_of(node: pytest.Item | pytest.Module) -> Step | None:
    """The step whose suite this belongs to, if it is one."""
    name = find_name(node.path.stem.removeprefix("test_"))
    return load_step(name) if name and node.path.name == Path(name.suite).name else None
