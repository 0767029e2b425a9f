"""What a check can ask of the code under check; each probe runs it once and returns plain values.

The first parameter of a probe is the module of the step. Classes are named, and made from the
arguments that follow; a Config among these becomes the course's GPT2Config.
"""

import dataclasses
import importlib
from types import ModuleType
from typing import Any

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import stage
from max.experimental.nn import Module
from max.experimental.tensor import Tensor, TensorType
from numpy.typing import NDArray

from tutor.grading.channel import Config

Array = NDArray[Any]


class ContractError(Exception):
    """The code under check does not offer what the course's contract says."""


def public(step: ModuleType, name: str) -> Any:
    """A public name of a step."""
    try:
        return getattr(step, name)
    except AttributeError:
        raise ContractError(f"the step defines no {name}") from None


def course_config(step: ModuleType, config: Config) -> Any:
    """The same sizes as a GPT2Config of step 01, in the tree that the step belongs to."""
    first = importlib.import_module(f"{step.__name__[:-2]}01")
    return public(first, "GPT2Config")(**dataclasses.asdict(config))


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


def array(value: object, what: str) -> Array:
    """A copy of what the code under check returned as a tensor."""
    if not isinstance(value, Tensor):
        raise ContractError(f"{what} returned {type(value).__name__}, not a Tensor")
    return np.array(value.to_numpy())


def shapes(module: object) -> dict[str, list[int]]:
    """The shape of every parameter, by name."""
    if not isinstance(module, Module):
        raise ContractError(f"{type(module).__name__} is not a Module of MAX")
    return {name: [int(size) for size in value.shape] for name, value in module.parameters}


def load(module: Any, weights: dict[str, Array]) -> None:
    """Give a module its weights."""
    found = shapes(module)
    wrong = [name for name in (*weights, *found) if name not in weights or name not in found]
    if wrong:
        verb = "lacks" if wrong[0] in weights else "has an unknown"
        raise ContractError(f"{type(module).__name__} {verb} parameter {wrong[0]}")
    for name, values in weights.items():
        if found[name] != list(values.shape):
            raise ContractError(f"{name} has the shape {found[name]}, not {list(values.shape)}")
    module.load_state_dict({name: values.astype(np.float32) for name, values in weights.items()})


# Step 01


def config(step: ModuleType, *arguments: Any, **options: Any) -> dict[str, Any]:
    """The fields of a GPT2Config and their values, in their order."""
    made = public(step, "GPT2Config")(*arguments, **options)
    if not dataclasses.is_dataclass(made):
        raise ContractError("GPT2Config is not a dataclass")
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}


# Step 02


def causal_mask(step: ModuleType, length: int, cached: int, dtype: str = "float32") -> Array:
    """The mask for static lengths."""
    make_mask = public(step, "causal_mask")
    return array(make_mask(length, cached, dtype=DType[dtype], device=CPU()), "causal_mask")


def trace_causal_mask(step: ModuleType, dtype: str) -> dict[str, Any]:
    """Shape and dtype of the mask in a graph, whose lengths are the symbols new and cached."""

    def mask(new: Tensor, cached: Tensor) -> Tensor:
        make_mask = public(step, "causal_mask")
        made: Tensor = make_mask(
            new.shape[0], cached.shape[0], dtype=DType[dtype], device=new.device
        )
        return made

    new, cached = (TensorType(DType.float32, [name], device=CPU()) for name in ("new", "cached"))
    (result,) = stage(mask)(new, cached).out_layouts
    return {"shape": [str(size) for size in result.shape], "dtype": result.dtype.name}


# Steps 03 to 10


def parameters(
    step: ModuleType, name: str, *arguments: Any, **options: Any
) -> dict[str, list[int]]:
    """The shapes of a module's parameters."""
    return shapes(make(step, name, arguments, options))


def initial_weights(
    step: ModuleType, name: str, *arguments: Any, **options: Any
) -> dict[str, Array]:
    """The parameters that a module begins with."""
    module = make(step, name, arguments, options)
    shapes(module)
    return {name: np.array(value.to_numpy()) for name, value in module.parameters}


def forward(
    step: ModuleType,
    name: str,
    *arguments: Any,
    weights: dict[str, Array],
    x: Array,
    **options: Any,
) -> Array:
    """What a module with these weights makes of x."""
    module = make(step, name, arguments, options)
    load(module, weights)
    with F.lazy():  # all operations at once take a third of the time that they take one by one
        result = module(tensor(x))
    return array(result, f"{name}.forward")


def trace(
    step: ModuleType, name: str, *arguments: Any, dtype: str, shape: list[int | str], **options: Any
) -> list[str]:
    """The shape that a module has in a graph, whose input has names for lengths."""
    module = make(step, name, arguments, options)
    (result,) = module.trace(TensorType(DType[dtype], shape, device=CPU())).out_layouts
    return [str(size) for size in result.shape]
