"""The house: arrows between its rooms go down, and the examples in its docstrings are true."""

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.commands import SECONDS
from tutor import ROOT

EXAMPLE = re.compile(r"^ *>>> ", re.MULTILINE)
SHOWN = [file for file in (ROOT / "tutor").rglob("*.py") if EXAMPLE.search(file.read_text())]


def test_arrows_go_down() -> None:
    program = Path(sys.executable).with_name("lint-imports")  # what it holds is in pyproject.toml
    finished = subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        env=dict(os.environ),  # MAX changes the environment behind it
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("file", SHOWN, ids=lambda file: file.stem)
def test_the_examples_in_docstrings_are_true(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    found = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert found.attempted
    assert not found.failed


def test_there_are_examples() -> None:
    assert SHOWN
