"""Plain pytest on the suites of the steps: `pytest tests/test_step_07.py --tree steps`."""

import pytest

from tutor.course import TREES
from tutor.grading.suite import Suites
from tutor.grading.workbench import Workbench


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tree", choices=TREES, default="steps", help="whose steps are checked")


def pytest_configure(config: pytest.Config) -> None:
    if not any(isinstance(plugin, Suites) for plugin in config.pluginmanager.get_plugins()):
        config.pluginmanager.register(Suites(Workbench(config.getoption("tree"))))
