"""The notebooks: derived, whole, and run from a folder of their own, they print what they show."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from nbformat import NotebookNode

from tests.book.chapters import BOOK
from tools.book.make_notebooks import PIECE, session
from tutor import ROOT, notebook
from tutor.course.registry import Step, all_steps, find_step
from tutor.errors import EnvironmentBrokenError

SECONDS = 300  # for a cell, however busy the machine is

by_step = pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)


def read(step: Step) -> NotebookNode:
    return nbformat.read(notebook.NOTEBOOKS / f"{step.name}.ipynb", as_version=4)


def said(cell: NotebookNode) -> list[Any]:
    """What a cell prints, gives or raises; not its pictures, nor what goes to standard error."""
    found: list[Any] = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            found.append((output["ename"], output["evalue"]))
        elif output["output_type"] == "execute_result":
            found.append(output["data"]["text/plain"])
        elif output.get("name") == "stdout":
            found.append(output["text"])
    return ["".join(found)] if all(isinstance(part, str) for part in found) else found


@by_step
def test_a_notebook_has_every_session_of_its_chapter_and_no_directive(step: Step) -> None:
    cells = read(step)["cells"]
    text = (BOOK / "src" / f"{step.name}.md").read_text()
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"][1:]
    sessions = [found for found in PIECE.finditer(text) if found["part"]]
    parts = [
        cell["source"]
        for found in sessions
        for cell in session(
            BOOK / found["folder"] / f"{found['file']}.txt", found["part"], folded=False
        )
    ]
    assert code == parts
    assert len(parts) >= len(sessions) > 0
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for left in ("{{#", "<!--", ".md)", "<script", "fieldset", "<figure"):
                assert left not in cell["source"], cell["source"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (">>> print(1)\n1\n", "stream"),
        (">>> for i in 'ab':\n...     print(i)\na\nb\n", "stream"),
        (">>> 1 + 1\n2\n", "execute_result"),
        (
            ">>> 1 / 0\nTraceback (most recent call last):\n    ...\nZeroDivisionError: no\n",
            "error",
        ),
    ],
)
def test_what_a_line_says_is_kept_as_notebooks_do(text: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f">>> # ANCHOR: a\n{text}>>> # ANCHOR_END: a\n")
    [cell] = session(file, "a", folded=False)
    assert [output["output_type"] for output in cell["outputs"]] == [kind]


@pytest.mark.full("notebooks")
@by_step
def test_a_notebook_prints_what_it_shows(step: Step) -> None:
    shown, ran = read(step), read(step)
    folder = ROOT / "build" / "notebooks" / f"tested-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        client = nbclient.NotebookClient(
            ran, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    finally:
        shutil.rmtree(folder)
    for before, after in zip(shown["cells"], ran["cells"], strict=True):
        assert said(after) == said(before), before["source"]


def test_a_copy_of_the_learner_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "COPIES", tmp_path / "build" / "notebooks")
    copy = notebook.find(find_step("7"))
    assert copy.read_text() == (notebook.NOTEBOOKS / "step_07.ipynb").read_text()
    copy.write_text("mine")
    assert notebook.find(find_step("7")).read_text() == "mine"


def test_a_notebook_is_opened_by_jupyterlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    notebook.show(tmp_path / "a.ipynb")
    assert ran == [[sys.executable, "-m", "jupyterlab", str(tmp_path / "a.ipynb")]]


def test_without_jupyterlab_a_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda _: None)
    with pytest.raises(EnvironmentBrokenError, match="--extra notebook tutor notebook engine_01"):
        notebook.show(tmp_path / "engine_01.ipynb")
