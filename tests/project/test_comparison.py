"""`tutor solution`: a learner's file beside the reference, once it has passed."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.project.commands import SECONDS, run_child
from tests.project.courses import (
    keep_check,
    make_course,
    record_file,
    solve,
    step_file,
)
from tests.project.terminals import in_terminal
from tests.project.tiers import partly
from tutor.course import sources, stubs
from tutor.course.registry import Step, all_steps, find_step
from tutor.terminal import interrupts

OWN = "        query = self.c_attn(x)[:, :, :width]\n"
THEIRS = (
    "        projected = self.c_attn(x)  # [B, T, C] -> [B, T, 3C]\n"
    "        query, key, value = F.split(projected, [width] * 3, axis=-1)"
    "  # [B, T, 3C] -> 3 [B, T, C]\n"
)
QUESTION = "Step 07 has not passed yet. Show the solution anyway? [y/N]:"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course in which step 07 differs from the reference and has passed."""
    root = make_course(tmp_path)
    solve(root, "7")
    text = step_file(root, "7").read_text()
    assert THEIRS in text
    text = text.replace(THEIRS, f"        # my own words\n{OWN}").replace(
        "self.head_dim = ", "self.width_of_head = "
    )
    step_file(root, "7").write_text(text)
    keep_check(root, "7")
    return root


def solution(course: Path, *arguments: str) -> str:
    finished = run_child("solution", *arguments, course=course)
    assert (finished.code, finished.err) == (0, "")
    return finished.out


def with_todos(step: Step) -> str:
    """The reference with the header and the TODOs of the stub still in it."""
    lines: list[str] = []
    comment: list[str] = []
    for line in stubs.with_header(sources.reference(step, "steps"), step).splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line)
            continue
        indent = re.match(" *", comment[0])[0] if comment else ""  # type: ignore[index]
        lines += [*stubs.instructions(comment, indent), line]
        comment = []
    return "\n".join(lines) + "\n"


def without_comments(step: Step) -> str:
    source = re.sub(r"^ *#.*\n", "", sources.reference(step, "steps"), flags=re.MULTILINE)
    return re.sub(r"  # .*$", "", source, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "step",
    partly("commands in odd situations", all_steps(), find_step("7").__eq__),
    ids=lambda step: step.name,
)
def test_header_imports_and_comments_make_no_difference(course: Path, step: Step) -> None:
    same = f"{step.file('steps')} and {step.file('solutions')} are the same, except for comments.\n"
    for text in (with_todos(step), without_comments(step), sources.reference(step, "steps")):
        step_file(course, step.short).write_text(text)
        keep_check(course, step.short)
        assert solution(course, step.short) == same


def test_what_differs_is_marked_and_the_rest_left_out(course: Path) -> None:
    lines = [line.rstrip() for line in solution(course, "7").splitlines()]
    assert lines[:2] == ["- steps/step_07.py", "+ solutions/solution_07.py"]
    assert [line for line in lines[2:] if line.startswith("-")] == [
        "-         self.width_of_head = config.n_embd // config.n_head",
        f"- {OWN.rstrip()}",
    ]
    expected = ["        self.head_dim = config.n_embd // config.n_head", *THEIRS.splitlines()]
    assert [line for line in lines[2:] if line.startswith("+")] == [f"+ {e}" for e in expected]
    assert "          # my own words" in lines
    assert lines.count("  ⋮") == 2  # above the first and below the last difference
    assert "  import math" not in lines
    assert "          # Split each of them into heads." in lines
    assert max(map(len, lines)) > 80  # in a pipe, no line is broken


@pytest.mark.full("commands in odd situations")
def test_side_by_side_in_a_wide_terminal_and_within_in_a_narrow_one(course: Path) -> None:
    for columns, side_by_side in ((80, False), (120, True)):
        with in_terminal("solution", "7", course=course, PAGER="cat", COLUMNS=str(columns)) as (
            terminal,
            child,
        ):
            terminal.resize(columns, 60)
            assert child.wait(SECONDS) == 0
            text = terminal.text
        assert max(map(len, text.splitlines())) <= columns
        row = next(line for line in text.splitlines() if "width_of_head" in line)
        assert ("self.head_dim" in row) is side_by_side
        assert b"\x1b[1;4;31mwidth_of_head" in terminal.written


@pytest.mark.full("commands in odd situations")
def test_a_long_comparison_is_shown_by_pages_and_in_colour(course: Path) -> None:
    step_file(course, "7").write_text("# nothing is left\n")
    keep_check(course, "7")
    with in_terminal("solution", "7", course=course) as (terminal, child):
        terminal.wait_for("Space goes on, q leaves")
        assert b"\x1b[32m" in terminal.written
        terminal.type("\x03")  # which less takes for itself
        time.sleep(interrupts.PATIENCE + 1)
        assert child.poll() is None
        terminal.type("q")
        assert child.wait(SECONDS) == 0


@pytest.mark.full("commands in odd situations")
def test_before_it_has_passed_it_asks(course: Path) -> None:
    keep_check(course, "7", ["equation"])
    for answer in ("\n", "n\n"):
        with in_terminal("solution", "7", course=course) as (terminal, child):
            terminal.wait_for(QUESTION)
            terminal.type(answer)
            assert child.wait(SECONDS) == 1
            assert "solutions/" not in terminal.text
    for key, code in (("\x03", 130), ("\x04", 130)):
        with in_terminal("solution", "7", course=course) as (terminal, child):
            terminal.wait_for(QUESTION)
            terminal.type(key)
            assert child.wait(SECONDS) == code
            assert "Traceback" not in terminal.text
    assert "opened" not in json.loads(record_file(course, "7").read_text())
    assert "solution opened" not in run_child("progress", course=course).out

    with in_terminal("solution", "7", course=course, PAGER="cat") as (terminal, child):
        terminal.wait_for(QUESTION)
        terminal.type("y\n")
        assert child.wait(SECONDS) == 0
        assert OWN.strip() in terminal.text
    progress = " ".join(run_child("progress", course=course).out.split())
    assert "wrong, solution opened" in progress
    assert "+ solutions/solution_07.py" in solution(course, "7")  # it does not ask twice


@pytest.mark.full("commands in odd situations")
@pytest.mark.parametrize("name", ["7", "8"])
def test_without_a_terminal_it_is_not_shown_before_it_has_passed(course: Path, name: str) -> None:
    keep_check(course, "7", ["equation"])
    finished = run_child("solution", name, course=course)
    assert (finished.code, finished.out) == (1, "")
    why = (
        f"Step 0{name} has not passed yet; to see the solution anyway: tutor solution {name} --yes"
    )
    assert finished.err == f"tutor: {why}\n"
    closed = [
        sys.executable,
        "-c",
        "import os; os.close(0); from tutor.__main__ import main; main()",
    ]
    ended = subprocess.run(
        [*closed, "solution", name], cwd=course, env=dict(os.environ), capture_output=True
    )
    assert ended.returncode == 1
    assert "+ solutions/" in solution(course, name, "--yes")
    progress = " ".join(run_child("progress", course=course).out.split())
    assert "solution opened" in progress


def test_what_has_passed_may_be_edited_before_it_is_compared(course: Path) -> None:
    text = step_file(course, "7").read_text()
    step_file(course, "7").write_text(text.replace("mixed", "values"))
    assert "+         mixed = F.softmax(scores)" in solution(course, "7")
    assert "opened" not in json.loads(record_file(course, "7").read_text())


@pytest.mark.full("commands in odd situations")
@pytest.mark.parametrize("text", [None, b"", b"x = '\xff'\r\n", b"\tdef f(:"])
def test_whatever_is_in_the_file_it_is_compared(course: Path, text: bytes | None) -> None:
    step_file(course, "7").unlink()
    if text is not None:
        step_file(course, "7").write_bytes(text)
    assert "+ class GPT2MultiHeadAttention(Module[[Tensor], Tensor]):" in (
        solution(course, "7", "--yes")
    )
