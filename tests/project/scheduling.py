"""Which tests a worker of pytest-xdist gets together, and in which order."""

import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Files whose fixtures serve the tests of one class or one step, as the first parameter has it.
IN_PARTS = ("test_class.py", "test_course.py", "test_mistakes.py", "test_seeds.py")


class Scheduling(LoadScopeScheduling):
    """The tests of a file, or of one of its parts, stay together, for they share fixtures."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # the order of the collection is kept
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        part = re.search(r"\[(\w+)", name) if file.endswith(IN_PARTS) else None
        return f"{file} {part[1]}" if part else file
