"""A learner's own twelve steps write with the bundled model, and their errors say where."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from max.experimental.tensor import Tensor

from tests.project.commands import assert_refused, run_child
from tests.project.helpers import tensor
from tutor import ROOT, generation
from tutor.course import NUMBERS, load_step, solution_source
from tutor.errors import InputError

STORY = json.loads((ROOT / "tests" / "golden" / "fairy-tales.json").read_text())["stories"][0]
GENERATE = ("generate", STORY["prompt"], "--tree", "steps", "--greedy", "--max-new-tokens", "12")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the course without its references, all steps solved."""
    shutil.copytree(ROOT / "tutor", tmp_path / "tutor")
    shutil.copytree(ROOT / "steps", tmp_path / "steps")
    (tmp_path / "solutions").mkdir()
    (tmp_path / "models").symlink_to(ROOT / "models")
    for number in NUMBERS:
        (tmp_path / load_step(number).file("steps")).write_text(solution_source(number, "steps"))
    return tmp_path


def change(course: Path, number: int, old: str, new: str) -> None:
    file = course / load_step(number).file("steps")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_own_steps_write_the_golden_text(course: Path) -> None:
    finished = run_child(*GENERATE, course=course)
    assert finished.code == 0, finished.err
    assert STORY["text"].startswith(finished.out.rstrip("\n"))
    assert len(finished.out) > len(STORY["prompt"]) + 12


def test_a_crash_says_in_which_line_of_which_step(course: Path) -> None:
    change(course, 11, "    entries = json.loads", "    entries = 1 / 0\n    entries = json.loads")
    finished = run_child(*GENERATE, course=course)
    assert_refused(finished, "steps/step_11.py, line ", "ZeroDivisionError: division by zero")


def test_a_crash_in_the_middle_ends_the_line(course: Path) -> None:
    change(course, 12, "    rng = rng or", "    rng = 1 / 0 or")
    change(course, 12, "    if not temperature >= 0:", "    if 1 / 0 >= 0:")
    finished = run_child(*GENERATE, course=course)
    assert (finished.code, finished.out) == (2, STORY["prompt"] + "\n")
    assert "steps/step_12.py, line " in finished.err


@pytest.mark.parametrize(("shift", "refused"), [(0.0, False), (0.2, True)])
def test_a_model_that_compiles_into_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, shift: float, refused: bool
) -> None:
    def model(tokens: Tensor) -> Tensor:
        return tensor(np.ones((*map(int, tokens.shape), 7)))

    monkeypatch.setattr(generation, "CompiledModel", lambda model: lambda ids: model(ids) + shift)
    with pytest.raises(InputError, match="something else") if refused else nullcontext():
        generation.compile_model(model, [1, 2, 3], "steps")
