"""The examples of a chapter as a notebook: the learner's own copy, opened in JupyterLab."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tutor import ROOT
from tutor.course.registry import Step
from tutor.errors import EnvironmentBrokenError

BOOK = ROOT / "book"
NOTEBOOKS = BOOK / "notebooks"
COPIES = ROOT / "build" / "notebooks"


def find(step: Step) -> Path:
    """The learner's copy of a notebook; made now if there is none, and never overwritten."""
    copy = COPIES / f"{step.name}.ipynb"
    if not copy.exists():
        COPIES.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(NOTEBOOKS / copy.name, copy)
    return copy


def show(page: Path) -> None:
    """Open a notebook, and wait until the learner closes JupyterLab."""
    if find_spec("jupyterlab") is None:
        raise EnvironmentBrokenError(
            "a notebook opens in JupyterLab, which is not installed; run "
            f"`uv run --extra notebook tutor notebook {page.stem}`, or open {page} in an editor"
        )
    command = [sys.executable, "-m", "jupyterlab", str(page)]
    subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 (nothing in it is the user's)
