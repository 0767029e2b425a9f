"""The code of either tree, and a model of it: with the learner's, an error is the learner's."""

import dataclasses
import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tutor import ROOT, runtime
from tutor.course import sources
from tutor.course.names import Name, prose
from tutor.course.registry import step_that
from tutor.engine import checkpoint, settings, weights
from tutor.engine.tokenizer import OwnTokenizer, Tokenizer, load_tokenizer
from tutor.errors import EnvironmentBrokenError, InputError, reason

if TYPE_CHECKING:
    from max.driver import Device


def load_step(tree: str, step: Name) -> ModuleType:
    """The module of a step in either tree; a learner's own is refused until it is finished."""
    if found := find_unfinished(tree, step):
        raise InputError(f"{told(found, step, tree)}, or leave out --tree")
    runtime.activate()
    with learners_code(tree):
        claim(tree)
        return importlib.import_module(step.module(tree))


def claim(tree: str) -> None:
    """Have the name of a tree mean the course's, whatever else of that name is on the path."""
    folder, loaded = ROOT / tree, sys.modules.get(tree)
    if loaded is None:
        spec = spec_from_file_location(tree, folder / "__init__.py")
        if spec is None or not (folder / "__init__.py").is_file():
            spec = ModuleSpec(tree, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[tree] = module = module_from_spec(spec)
        if spec.loader:
            spec.loader.exec_module(module)
    elif folder.resolve() not in (places := [Path(each).resolve() for each in loaded.__path__]):
        raise InputError(
            f"another package called {tree} has been imported, from {places[0]}; "
            "start a Python without it"
        )


def find_unfinished(tree: str, step: Name) -> dict[Name, str]:
    """The steps that the learner has not finished, of those that a step uses and itself.

    With what each is instead.
    """
    if tree != "steps":
        return {}
    used = sources.used(step, like_reference=False)
    found = {each: sources.unfinished(ROOT / each.file(tree)) for each in used}
    return {each: why for each, why in found.items() if why}


def told(unfinished: Mapping[Name, str], step: Name, tree: str) -> str:
    """Which steps are not finished, why that matters to a step, and where to begin."""
    first, why = next(iter(unfinished.items()))
    said = f"{first.file(tree)} is {why}; see tutor check {first.short}"
    others = [each for each in unfinished if each != step]
    return f"{step.label} uses {prose(others)}, and {said}" if others else said


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


def find_tokenizer(folder: Path, tree: str) -> Tokenizer:
    """The tokenizer of a model folder; with a learner's tree, their own code once it's finished."""
    tokenizer, step = load_tokenizer(folder), step_that("tokenizes")
    if tree != "steps" or find_unfinished(tree, step) or not (parts := tokenizer.parts()):
        return tokenizer
    with learners_code(tree):
        own = load_step(tree, step).BPETokenizer(*parts)
    return OwnTokenizer(tokenizer, own, lambda: learners_code(tree))


def load_model(
    folder: Path,
    tree: str = "solutions",
    device: "Device | None" = None,
    context: int | None = None,
) -> Any:
    """The model in a folder, not compiled yet, with room for so many positions."""
    family = settings.find_family(folder)
    step = load_step(tree, step_that(family.loads))
    try:
        with learners_code(tree):
            config = make_config(folder, tree)
            reserved = checkpoint.choose_context(folder, config.n_positions, context)
            checkpoint.check_memory(folder, family.columns(config), reserved)
            if tree == "steps" and checkpoint.is_plain(folder):
                model = family.load(step, folder, device)
            else:
                model = convert_model(step, folder, tree, device)
            if reserved != model.config.n_positions:
                model.config = dataclasses.replace(model.config, **{family.positions: reserved})
    except ValueError as error:
        raise InputError(
            f"{folder} cannot be loaded: {reason(error)}; "
            f"its config.json and its weights have to be of the same {family.label}"
        ) from None
    for name, parameter in model.parameters:
        if not np.isfinite(parameter.to_numpy()).all():
            raise InputError(f"{folder} has numbers in {name} that are not finite; fetch it anew")
    return model


def convert_model(step: ModuleType, folder: Path, tree: str, device: "Device | None") -> Any:
    """The model in a folder as its step converts it, from tensors that are read one by one."""
    from max.driver import CPU

    family, config = settings.find_family(folder), make_config(folder, tree)
    state = weights.read(folder)
    # A learner's code may want more of it than a Mapping can.
    state = family.convert(step, dict(state) if tree == "steps" else state, config)
    model = make_model(folder, tree, config, device or CPU())
    model.load_state_dict(state)
    return model


def make_model(folder: Path, tree: str, config: Any, device: "Device") -> Any:
    """A model of a tree like the one in a folder, without its weights, which are not drawn."""
    from max.dtype import DType
    from max.experimental import functional as F
    from max.experimental.tensor import default_device, default_dtype

    family = settings.find_family(folder)
    entries = settings.read_config(folder / settings.CONFIG)
    code = load_step(tree, step_that(family.model))
    with F.lazy(), default_device(device), default_dtype(DType.float32):
        return family.make_model(code, config, entries)


def make_config(folder: Path, tree: str) -> Any:
    """The config of a tree with the sizes of a model folder. Raises ValueError as that does."""
    family = settings.find_family(folder)
    code = load_step(tree, step_that(family.sizes))
    return family.make_config(code, settings.read_config(folder / settings.CONFIG))
