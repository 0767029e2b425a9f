"""The messages that troubleshooting explains are those that people see."""

import ast
import re

import pytest

from tests.book.chapters import BOOK
from tutor import ROOT

TEXT = (BOOK / "src" / "troubleshooting.md").read_text()
# Of pip and uv, which are not there to be asked.
OTHERS = {
    "externally-managed-environment",
    "doesn't have a source distribution or wheel for the current platform",
    "is incompatible with the project's Python requirement:",
}


def strings() -> list[str]:
    """What the course says itself, and what the example has MAX say."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tutor").rglob("*.py")]
    said = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [*said, (BOOK / "examples" / "troubleshooting.txt").read_text(), *OTHERS]


SAID = strings()
HEADINGS = re.findall(r"^### (.+)$", TEXT, re.MULTILINE)
MESSAGES = [message for heading in HEADINGS for message in re.findall(r"`([^`]+)`", heading)]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_said(message: str) -> None:
    parts = [part.strip() for part in message.split("…") if part.strip()]
    assert parts
    assert [part for part in parts if not any(part in text for text in SAID)] == []


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 20
