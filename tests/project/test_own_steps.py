"""A learner's own twelve steps write with the bundled model, and their errors say where."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from max.driver import CPU
from max.experimental.tensor import Tensor

from solutions.solution_01 import GPT2Config
from tests.project.commands import assert_refused, run_child
from tests.project.helpers import tensor
from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import all_steps, find_step, step_that
from tutor.course.stubs import derive
from tutor.course.tracks import ENGINE
from tutor.engine import loops
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
    for step in all_steps():
        (tmp_path / step.file("steps")).write_text(sources.reference(step, "steps"))
    return tmp_path


def change(course: Path, name: str, old: str, new: str) -> None:
    file = course / find_step(name).file("steps")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_own_steps_write_the_golden_text(course: Path) -> None:
    finished = run_child(*GENERATE, course=course)
    assert finished.code == 0, finished.err
    assert STORY["text"].startswith(finished.out.rstrip("\n"))
    assert len(finished.out) > len(STORY["prompt"]) + 12
    assert "Using your own tokenizer, from text 01." in finished.err


@pytest.mark.full("commands in odd situations")
def test_an_own_tokenizer_is_used_once_it_is_finished(course: Path) -> None:
    change(course, "t1", "        ids: list[int] = []", "        ids: list[int] = [1 / 0]")
    finished = run_child(*GENERATE, course=course)
    assert_refused(finished, "steps/text_01.py, line ", "ZeroDivisionError: division by zero")
    (course / find_step("t1").file("steps")).write_text(derive(find_step("t1")))
    finished = run_child(*GENERATE, course=course)
    assert STORY["text"].startswith(finished.out.rstrip("\n"))
    assert "tokenizer" not in finished.err


def test_a_crash_says_in_which_line_of_which_step(course: Path) -> None:
    change(
        course, "11", "    entries = json.loads", "    entries = 1 / 0\n    entries = json.loads"
    )
    finished = run_child(*GENERATE, course=course)
    assert_refused(finished, "steps/step_11.py, line ", "ZeroDivisionError: division by zero")


@pytest.mark.full("commands in odd situations")
def test_a_crash_in_the_middle_ends_the_line(course: Path) -> None:
    change(course, "e3", "    ended = np", "    ended = 1 / 0 or np")
    finished = run_child(*GENERATE, course=course)
    assert (finished.code, finished.out) == (2, STORY["prompt"] + "\n")
    assert "steps/engine_03.py, line " in finished.err


@pytest.mark.parametrize(("shift", "refused"), [(0.0, False), (0.2, True)])
def test_a_model_that_compiles_into_something_else_is_refused(shift: float, refused: bool) -> None:
    class Model:
        config = GPT2Config(vocab_size=7)

        def __call__(self, tokens: Tensor, /) -> Tensor:
            return tensor(np.ones((*map(int, tokens.shape), 7)))

    loop = SimpleNamespace(step=step_that("generates"), logits=lambda _: np.ones(7) + shift)
    with pytest.raises(InputError, match="something else") if refused else nullcontext():
        loops.compare(loop, Model(), CPU())


@pytest.mark.full("commands in odd situations")
def test_top_p_needs_the_batches(course: Path) -> None:
    for step in all_steps(ENGINE):
        (course / step.file("steps")).write_text(derive(step))
    finished = run_child(*GENERATE, "--top-p", "0.5", course=course)
    assert (finished.code, finished.out) == (2, "")
    assert "--top-p needs engine 03, but steps/engine_02.py is not finished" in finished.err
    finished = run_child(*GENERATE, course=course)
    assert finished.code == 0
    assert "The KV cache is not finished; using generate_next_token of step 12" in finished.err
    assert STORY["text"].startswith(finished.out.rstrip("\n"))


@pytest.mark.full("commands in odd situations")
def test_the_loop_is_the_best_one_that_is_finished(course: Path) -> None:
    last = step_that("caches")
    (course / last.file("steps")).write_text(derive(last))
    finished = run_child(*GENERATE, "--top-p", "0.5", course=course)
    assert finished.code == 0
    assert "The KV cache is not finished; using the loop of engine 03" in finished.err
    assert STORY["text"].startswith(finished.out.rstrip("\n"))
