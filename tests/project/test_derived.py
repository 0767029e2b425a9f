"""What tools derive is committed, and is what they give today."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.tiers import partly
from tutor import ROOT

EXAMPLE = """
import sys
from pathlib import Path
from tools import derived
derived.ROOT = folder = Path(sys.argv.pop(1))
files = [(folder / name, name * 2) for name in ("a", "b", "new/c")]
derived.update("An example.", files, found=folder.glob("*"))
"""


def run_tool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )


TOOLS = (
    "course.make_stubs",
    "course.make_schema",
    "book.make_notebooks",
    "book.make_fragments",
    "book.draw_figures",
    "book.draw_check",
    "book.draw_preview",
    "book.export_widget_data",
)

QUICK = ("course.make_stubs", "course.make_schema", "book.draw_check", "book.make_notebooks")


@pytest.mark.parametrize("tool", partly("derived files", TOOLS, QUICK.__contains__))
def test_files_are_what_the_tool_gives(tool: str) -> None:
    finished = run_tool("-m", f"tools.{tool}", "--check")
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_what_has_changed_is_told_and_written(tmp_path: Path) -> None:
    def contents() -> dict[str, str]:
        files = (path for path in tmp_path.rglob("*") if path.is_file())
        return {path.relative_to(tmp_path).as_posix(): path.read_text() for path in files}

    before = {"a": "aa", "b": "old", "d": "dd"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    told = run_tool("-c", EXAMPLE, str(tmp_path), "--check")
    assert (told.returncode, contents()) == (1, before)
    assert told.stdout.splitlines() == [
        "d is derived no more",
        "b is not what is derived",
        "new/c is not what is derived",
    ]
    assert told.stderr.startswith("changed, please run: ")
    written = run_tool("-c", EXAMPLE, str(tmp_path))
    assert written.stdout.splitlines() == ["d removed", "b written", "new/c written"]
    assert (written.returncode, contents()) == (0, {"a": "aa", "b": "bb", "new/c": "new/cnew/c"})
