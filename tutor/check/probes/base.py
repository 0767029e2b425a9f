"""What all probes need: the public names of a step, modules with weights, tensors and arrays."""

import dataclasses
import importlib
import os
import re
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.nn import Module
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from tutor.check.probes.names import public
from tutor.check.sandbox.errors import ContractError
from tutor.check.sizes import Config
from tutor.course.names import named

Array = NDArray[Any]


def other_step(step: ModuleType, name: str) -> ModuleType:
    """Another step, as step_01, of the tree that a step belongs to."""
    tree = step.__name__.partition(".")[0]
    return importlib.import_module(named(name).module(tree))


def course_config(step: ModuleType, config: Config) -> Any:
    """The same sizes as a GPT2Config of step 01, in the tree that the step belongs to."""
    return public(other_step(step, "step_01"), "GPT2Config")(**dataclasses.asdict(config))


def make_config(
    step: ModuleType, name: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """An instance of one of the step's dataclasses."""
    kind = public(step, name)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ContractError(f"{name} is not a dataclass")
    try:
        return kind(*arguments, **options)
    except TypeError:
        kind()  # a stub, which has no fields yet, says so
        raise


def plain_fields(config: Any) -> dict[str, Any]:
    """The fields of a dataclass and their values, in their order."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    for name, value in values.items():
        if value is not None and not isinstance(value, (int, float, str, dict)):
            raise ContractError(f"{name} is of type {type(value).__name__}, not a number")
    return values


def make(step: ModuleType, name: str, arguments: Any, options: dict[str, Any]) -> Any:
    """An instance of one of the step's classes; its weights are not computed yet."""
    settled = (
        course_config(step, value) if isinstance(value, Config) else value for value in arguments
    )
    with F.lazy():
        return public(step, name)(*settled, **options)


def tensor(values: Array) -> Tensor:
    """A tensor of a copy: int64 for whole numbers, float32 for the others."""
    whole = np.issubdtype(values.dtype, np.integer)
    return Tensor.from_dlpack(values.astype(np.int64 if whole else np.float32))


def as_tensor(value: object, what: str) -> Tensor:
    """What the code under check returned, if it is a tensor."""
    if value is None:
        raise ContractError(f"{what} returned None; does it end in a return?")
    if not isinstance(value, Tensor):
        raise ContractError(f"{what} returned {type(value).__name__}, not a Tensor")
    return value


def array(value: object, what: str) -> Array:
    """A copy of what the code under check returned as a tensor."""
    returned = as_tensor(value, what)
    if returned.dtype == DType.bfloat16:
        raise ContractError(f"{what} returned a Tensor of bfloat16, which NumPy does not have")
    return np.array(returned.to_numpy())


def shapes(module: object) -> dict[str, list[int]]:
    """The shape of every parameter, by name."""
    if not isinstance(module, Module):
        raise ContractError(f"{type(module).__name__} is not a Module of MAX")
    return {name: [int(size) for size in value.shape] for name, value in module.parameters}


def size_name(size: object) -> str:
    """A size in a graph, in words that a learner may have written; MAX's own tell nobody."""
    text = str(size)
    return text if re.fullmatch(r"[\w +*()//-]+", text) else "a size computed in another way"


def load(module: Any, weights: Mapping[str, Array]) -> None:
    """Give a module its weights."""
    found = shapes(module)
    wrong = [name for name in (*weights, *found) if name not in weights or name not in found]
    if wrong:
        lacks = wrong[0] in weights
        said = f"{'lacks the' if lacks else 'has an unknown'} parameter {wrong[0]}"
        if lacks and wrong[-1] not in weights:
            said += f", but has {wrong[-1]}"
        raise ContractError(f"{type(module).__name__} {said}")
    for name, values in weights.items():
        if found[name] != list(values.shape):
            raise ContractError(f"{name} has the shape {found[name]}, not {list(values.shape)}")
    module.load_state_dict({name: values.astype(np.float32) for name, values in weights.items()})


def call(module: Any, *inputs: Any) -> Any:
    """The output of a module; all operations at once take a third of the time.

    Code that looks at its tensors, say to print them, needs them one by one, and gets that.
    """
    printed = length_of_output()
    try:
        with F.lazy(), mock.patch.object(Tensor, "__repr__", refuse_to_show):
            return module(*inputs)
    except TypeError:  # what MAX raises where a tensor has no values yet
        if length_of_output() > printed:
            os.ftruncate(1, printed)
        return module(*inputs)


def length_of_output() -> int:
    """How many bytes the code under check has printed, unless it has closed its output."""
    try:
        sys.stdout.flush()
        return os.fstat(1).st_size
    except Exception:
        return 0


def refuse_to_show(value: Tensor) -> str:
    """In place of a tensor's repr, as long as there are no values to show."""
    raise TypeError(f"{type(value).__name__} has no values yet")


# Step 10
