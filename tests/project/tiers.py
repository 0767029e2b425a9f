"""The two tiers of the course's own tests: a quick run leaves some out, and says so at its end.

What it leaves out is marked with its kind, as in `@pytest.mark.full("known mistakes")`.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

COMMAND = "uv run --extra dev pytest -n auto --full"
MINUTES = 60  # that it takes on two cores

# The files that take longest. They come first, so that no worker is left alone with one of them.
LONG = ("test_class.py", "test_attacks.py", "test_watch.py", "test_check.py", "test_max_serve.py")


def partly(kind: str, values: Iterable[Any], is_quick: Callable[[Any], bool]) -> list[Any]:
    """Parameters of a test, of which a quick run has only the quick ones; a tuple is several."""
    full = pytest.mark.full(kind)
    given = {True: [], False: [full]}
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else [value]), marks=given[is_quick(value)]
        )
        for value in values
    ]


class Tiers:
    """A pytest plugin that leaves out what is marked, unless all tests are asked for."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()  # how many tests of each kind are left out
        self.count = 0  # of all tests

    @pytest.hookimpl(trylast=True)  # after -k and -m
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        marks = {item: item.get_closest_marker("full") for item in items}
        if not config.getoption("full"):
            self.kinds, self.count = Counter(m.args[0] for m in marks.values() if m), len(items)
            config.hook.pytest_deselected(items=[item for item in items if marks[item]])
            items[:] = [item for item in items if not marks[item]]
        items.sort(key=lambda item: not item.path.name.endswith(LONG))
        if hasattr(config, "workeroutput"):  # pytest-xdist hands this to the one that reports
            config.workeroutput["left_out"] = dict(self.kinds), self.count

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear what a worker of pytest-xdist has left out: the same as every other."""
        kinds, count = getattr(node, "workeroutput", {}).get("left_out", ({}, 0))
        self.kinds, self.count = self.kinds | Counter[str](kinds), max(self.count, count)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """How tests are shared out, unless `--dist` says otherwise."""
        from tests.project.scheduling import Scheduling

        return Scheduling(config, log) if config.getoption("dist") == "load" else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # so that these are the last lines
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        yield
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if self.kinds and reporter and not hasattr(session.config, "workeroutput"):
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
            reporter.write_line(
                f"This quick run left out {self.kinds.total()} of {self.count} tests: {kinds}."
            )
            reporter.write_line(
                f"To run them all, in about {MINUTES} minutes: {COMMAND}, or pixi run test-all."
            )
