"""Plain pytest on the suites of the steps: `pytest tests/test_step_07.py --tree steps`.

The tests of the course itself, in `project/` and `book/`, come in two tiers.
"""

import pytest

from tutor.check.sandbox.workbench import Workbench
from tutor.check.suite import Suites
from tutor.course.names import TREES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tree", choices=TREES, default="steps", help="whose steps are checked")
    parser.addoption("--full", action="store_true", help="all tests of the course, the slow, too")


def pytest_configure(config: pytest.Config) -> None:
    manager = config.pluginmanager
    if any(isinstance(plugin, Suites) for plugin in manager.get_plugins()):
        return  # `tutor check` has its own
    from tests.project.tiers import Tiers

    manager.register(Suites(Workbench(config.getoption("tree"))))
    manager.register(Tiers())
