"""The suites of steps under pytest, in this process, without pytest's own output."""

import os
from collections.abc import Collection
from typing import TYPE_CHECKING
from unittest import mock

from rich.console import Console

from tutor import ROOT
from tutor.check.report import Display
from tutor.check.results import Result
from tutor.check.sandbox.workbench import Workbench
from tutor.course.registry import Step
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError

if TYPE_CHECKING:
    import pytest

# The course's own pytest settings are for plain pytest, which has a terminal to write to.
# It captures nothing, so that what MAX is doing is seen while it does it.
QUIET = (
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
    *("-s", "-o", "addopts="),
)


class Brief:
    """A pytest plugin that has tracebacks written in the quickest way: a report shows none."""

    def pytest_configure(self, config: "pytest.Config") -> None:
        config.option.tbstyle = "native"


def run_suites(steps: Collection[Step], bench: Workbench, console: Console) -> list[Result]:
    """Run the suites of these steps on a workbench. Raises OSError if that cannot be printed."""
    import pytest

    from tutor.check.suite import Suites

    display = Display(console)
    suites = Suites(bench, display)
    files = [str(ROOT / step.suite) for step in steps]
    # Other plugins, and pytest's options in this environment, could change what is checked.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    alone = {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with mock.patch.dict(os.environ, alone, clear=True):
        code = pytest.main([f"--rootdir={ROOT}", *QUIET, *files], plugins=[suites, Brief()])
    if display.error:
        raise display.error
    broken = any(result.verdict is Verdict.BROKEN for result in suites.results)
    if code == pytest.ExitCode.INTERRUPTED and not broken:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not broken:
        raise EnvironmentBrokenError(f"pytest cannot run the suites; it ended with {code!r}")
    return suites.results
