"""What instructors are told about mistakes is what the tutor knows."""

import re

import pytest

from tests.book.chapters import BOOK
from tutor.course import find_number, load_step

SECTION = (
    (BOOK / "src" / "instructors.md")
    .read_text()
    .partition("## Where learners go wrong")[2]
    .partition("\n## ")[0]
)
LINES = re.findall(r"^- (Step|Engine) (\d\d): (.*(?:\n  .*)*)", SECTION, re.MULTILINE)


@pytest.mark.parametrize(("kind", "number", "text"), LINES, ids=lambda part: part[:6])
def test_mistakes_have_the_names_of_the_registry(kind: str, number: str, text: str) -> None:
    step = load_step(find_number(f"{kind}_{number}"))
    named = re.findall(r"\*\*(.+?)\*\*", " ".join(text.split()))
    assert named
    assert set(named) <= {mistake.name for mistake in step.mistakes}


def test_every_step_has_some() -> None:
    assert {number for kind, number, _ in LINES if kind == "Step"} == {
        f"{number:02}" for number in range(1, 13)
    }
