"""`tutor check`: the suites of steps under pytest, in this process, without pytest's own output."""

import os
from collections.abc import Collection
from pathlib import Path
from unittest import mock

from rich.console import Console
from rich.text import Text

from tutor import ROOT, progress, records
from tutor.console import OpenConsole
from tutor.course import BONUS, CORE, load_step
from tutor.errors import EnvironmentBrokenError
from tutor.grading.report import Display
from tutor.grading.results import Result, Verdict
from tutor.grading.workbench import Workbench

# The course's own pytest settings are for plain pytest, which has a terminal to write to.
# It captures nothing, so that what MAX is doing is seen while it does it.
QUIET = (
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler"),
    *("-s", "-o", "addopts="),
)


def check_steps(
    numbers: Collection[int], tree: str, seconds: float, root: Path = ROOT
) -> list[Verdict]:
    """Check steps of a tree one after the other, and print what comes of it; their verdicts."""
    console = OpenConsole(highlight=False)

    def announce(message: str) -> None:
        Console(stderr=True, highlight=False).print(Text(message, style="dim"))

    bench = Workbench(tree, root=root, seconds=seconds, announce=announce)
    bench.start()  # it gets ready while pytest is imported
    try:
        results = run_suites(numbers, bench, console)
    finally:
        bench.close()
    is_own = tree == "steps" and root == ROOT
    if is_own:
        for result in results:
            if result.verdict is not Verdict.BROKEN:  # which says nothing of the step
                records.save(result)
    if len(results) > 1:
        console.print(f"\nIn all: {total(numbers, results)}.")
    elif is_own and results[0].verdict is Verdict.PASSED:
        console.print(f"So far: {progress.total(progress.standings())}.")
    return [result.verdict for result in results]


def total(numbers: Collection[int], results: Collection[Result]) -> str:
    """The points of these steps, as far as they came; those of engine steps are counted apart."""
    counts = []
    for kind, group in {"points": CORE, "engine points": BONUS}.items():
        points = sum(result.points for result in results if result.step.number in group)
        most = sum(load_step(number).points for number in numbers if number in group)
        if most:
            counts.append(f"{points} of {most} {kind}")
    return " and ".join(counts)


def run_suites(numbers: Collection[int], bench: Workbench, console: Console) -> list[Result]:
    """Run the suites of these steps on a workbench. Raises OSError if that cannot be printed."""
    import pytest

    from tutor.grading.suite import Suites

    display = Display(console)
    suites = Suites(bench, display)
    files = [str(ROOT / load_step(number).suite) for number in numbers]
    # Other plugins, and options that somebody has set for pytest, could change what is checked.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    alone = {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with mock.patch.dict(os.environ, alone, clear=True):
        code = pytest.main([f"--rootdir={ROOT}", *QUIET, *files], plugins=[suites])
    if display.error:
        raise display.error
    broken = any(result.verdict is Verdict.BROKEN for result in suites.results)
    if code == pytest.ExitCode.INTERRUPTED and not broken:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not broken:
        raise EnvironmentBrokenError(f"pytest cannot run the suites; it ended with {code!r}")
    return suites.results
