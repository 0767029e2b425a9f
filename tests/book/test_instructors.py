"""What instructors are told about mistakes is what the tutor knows."""

import re

import pytest

from tests.book.chapters import BOOK
from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import STEPS

SECTION = (
    (BOOK / "src" / "instructors.md")
    .read_text()
    .partition("## Where learners go wrong")[2]
    .partition("\n## ")[0]
)
LINES = re.findall(r"^- (\w+ \d\d): (.*(?:\n  .*)*)", SECTION, re.MULTILINE)


@pytest.mark.parametrize(("label", "text"), LINES, ids=lambda part: part[:9])
def test_mistakes_have_the_names_of_the_registry(label: str, text: str) -> None:
    step = find_step(label.replace(" ", "_"))
    named = re.findall(r"\*\*(.+?)\*\*", " ".join(text.split()))
    assert named
    assert set(named) <= {mistake.name for mistake in step.mistakes}


def test_every_step_has_some() -> None:
    labels = {label.lower() for label, _ in LINES}
    assert {step.label for step in all_steps(STEPS)} <= labels
