"""The code of either tree, and a model of it: with the learner's, an error is the learner's."""

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tutor import ROOT, runtime
from tutor.course import sources
from tutor.course.names import Name
from tutor.course.registry import step_that
from tutor.errors import EnvironmentBrokenError, InputError, reason

if TYPE_CHECKING:
    from max.driver import Device


def load_step(tree: str, step: Name) -> ModuleType:
    """The module of a step in either tree; a learner's own is refused until it is finished."""
    if found := find_unfinished(tree, step):
        needed, why = found
        cure = f"see tutor check {needed.short}, or leave out --tree"
        raise InputError(f"{needed.file(tree)} is {why}; {cure}")
    runtime.activate()
    with learners_code(tree):
        return importlib.import_module(step.module(tree))


def find_unfinished(tree: str, step: Name) -> tuple[Name, str] | None:
    """The first step of those that a step imports, or itself, that the learner has not finished.

    With what it is instead.
    """
    if tree == "steps":
        for used in sources.used(step, like_reference=False):
            if why := sources.unfinished(ROOT / used.file(tree)):
                return used, why
    return None


@contextmanager
def learners_code(tree: str) -> Iterator[None]:
    """Turn what a learner's own code raises into one line that says where."""
    try:
        yield
    except (InputError, EnvironmentBrokenError):
        raise
    except Exception as error:
        places = [
            f"{tree}/{Path(frame.filename).name}, line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).parent == ROOT / tree
        ]
        if tree == "solutions":
            raise
        said = f"{type(error).__name__}: {reason(error)}"
        if not places:
            said = f"what your steps return cannot be used ({said}); see tutor check for them"
        raise InputError(f"{places[-1]}: {said}" if places else said) from error


def load_model(folder: Path, tree: str = "solutions", device: "Device | None" = None) -> Any:
    """The model in a folder, not compiled yet."""
    step = load_step(tree, step_that("loads"))
    try:
        with learners_code(tree):
            model = step.load_pretrained(folder, device=device)
    except ValueError as error:
        raise InputError(f"{folder} cannot be loaded: {reason(error)}; fetch it anew") from None
    for name, parameter in model.parameters:
        if not np.isfinite(parameter.to_numpy()).all():
            raise InputError(f"{folder} has numbers in {name} that are not finite; fetch it anew")
    return model
