"""`tutor progress --share`: what the learner has built, as a picture and in words."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.project.commands import run_here
from tutor.course.parts import SHORT
from tutor.course.registry import all_steps
from tutor.course.tracks import STEPS, TRACKS
from tutor.learn import progress, share
from tutor.learn.progress import Standing

TWELVE = all_steps(STEPS)


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """A learner who has passed steps 01 to 07, with a file of three lines for each."""
    (tmp_path / "steps").mkdir()
    for step in TWELVE:
        code = '"""Step.\n\nOf two lines.\n"""\n\n# A remark.\nx = 1  # one\n\ny = """\n"""\n'
        (tmp_path / step.file("steps")).write_text(code)
    known = [
        Standing(step, "passed", step.points, was_checked=True, was_opened=step.number == 3)
        for step in TWELVE[:7]
    ]
    known += [Standing(step, "not started") for step in all_steps()[7:]]
    monkeypatch.setattr(share, "ROOT", tmp_path)
    monkeypatch.setattr(progress, "standings", lambda: known)
    return known


def test_lines_are_those_with_code(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        '"""One.\n\nTwo."""\n\n# Three.\ndef f():\n    """Four."""\n    return """\n  5"""\n'
    )
    assert share.code_lines(file) == 3


def test_the_text_says_what_has_passed_and_what_was_looked_at(
    learner: list[Standing], tmp_path: Path
) -> None:
    del learner
    file = tmp_path / "mine.svg"
    finished = run_here("progress", "--share", str(file))
    assert (finished.code, finished.err) == (0, "")
    assert "7 of 12 steps, 21 lines of Python so far" in finished.out
    assert len(re.findall(r"^  ✓ 0\d  .+ 3 lines$", finished.out, re.M)) == 7
    assert len(re.findall(r"^  · \d\d  [^\d]+$", finished.out, re.M)) == 5
    assert "I looked at the solution first: 03." in finished.out
    points = sum(step.points for step in TWELVE[:7])
    assert f"GPT-2 from scratch: {points} of 100 points." in finished.out
    assert max(map(len, finished.out.splitlines())) <= 80


def test_the_picture_has_a_box_for_each_step_and_colours_those_that_passed(
    learner: list[Standing], tmp_path: Path
) -> None:
    del learner
    file = tmp_path / "mine.svg"
    run_here("progress", "--share", str(file))
    svg = ET.parse(file).getroot()  # noqa: S314 (it is ours)
    kinds = [
        each.get("class") for each in svg.iter() if (each.get("class") or "").startswith("box")
    ]
    assert (len(kinds), kinds.count("box mine")) == (12, 7)
    text = "".join(svg.itertext())
    assert all(f"{place:02} {name}" in text for place, name in enumerate(SHORT, 1))
    assert "http" not in file.read_text().replace("http://www.w3.org/2000/svg", "")


def test_all_twelve_are_said_as_such(learner: list[Standing]) -> None:
    known = [Standing(each.step, "passed", each.step.points, True) for each in learner]
    built = share.gather(known)
    assert built.sentence == "I wrote GPT-2 from scratch: 12 steps, 36 lines of Python."
    assert len(built.points.split(", ")) == len(TRACKS)


def test_nothing_to_share_and_odd_names_are_one_line(
    learner: list[Standing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run_here("progress", "--share", str(tmp_path / "mine.png"))
    assert (refused.code, refused.out) == (2, "")
    assert "must end in .svg" in refused.err
    nothing = [Standing(each.step, "not started") for each in learner]
    monkeypatch.setattr(progress, "standings", lambda: nothing)
    refused = run_here("progress", "--share", str(tmp_path / "mine.svg"))
    assert (refused.code, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert not (tmp_path / "mine.svg").exists()
