"""The probes of the twelve steps."""

import contextlib
import dataclasses
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import stage
from max.experimental.tensor import Tensor, TensorType, default_dtype

from tutor.check.probes.base import (
    Array,
    array,
    as_tensor,
    call,
    course_config,
    load,
    make,
    make_config,
    other_step,
    plain_fields,
    shapes,
    size_name,
    tensor,
)
from tutor.check.probes.names import public
from tutor.check.sandbox.errors import ContractError
from tutor.check.sizes import Config


def settings(model: object) -> dict[str, Any]:
    """The fields of the config that a model carries."""
    carried = getattr(model, "config", None)
    if not dataclasses.is_dataclass(carried) or isinstance(carried, type):
        found = "missing" if carried is None else type(carried).__name__
        raise ContractError(f"{type(model).__name__}.config is {found}, not a GPT2Config")
    values = {field.name: getattr(carried, field.name) for field in dataclasses.fields(carried)}
    plain = (int, float, type(None))
    return {
        name: value if isinstance(value, plain) else repr(value) for name, value in values.items()
    }


def named_arrays(state: object, what: str) -> list[tuple[str, Array]]:
    """What a dict of arrays holds; as pairs, since its names can be any."""
    if not isinstance(state, dict):
        raise ContractError(f"{what} is {type(state).__name__}, not a dict of arrays")
    for name, values in state.items():
        if not isinstance(name, str):
            raise ContractError(f"{what} has {name!r} for a name, which is not a str")
        if not isinstance(values, np.ndarray):
            found = type(values).__name__
            raise ContractError(f"{what} has {name} as {found}, not as a NumPy array")
        if values.dtype.kind not in "biufc":
            raise ContractError(f"{what} has {name} as an array of {values.dtype}, not of numbers")
    return [(name, np.array(values)) for name, values in state.items()]


def contiguous_arrays(state: Any, what: str) -> list[tuple[str, Array]]:
    """The same, where MAX has to be able to load each of them."""
    arrays = named_arrays(state, what)
    for name, values in state.items():
        if not values.flags.c_contiguous:
            raise ContractError(
                f"the array of {name} is not contiguous, so MAX cannot load it; "
                "np.ascontiguousarray makes it so"
            )
    return arrays


def loaded(
    step: ModuleType, path: str | Path, kind: tuple[str, str], default: str
) -> tuple[Any, dict[str, Array]]:
    """The model in a folder and its parameters, if it is of a kind: of a class in another step.

    `default` is what MAX takes for the dtype where nothing is said. Nothing is computed in
    another one than float32, for which each operation would be compiled first.
    """
    computes = contextlib.nullcontext() if default == "float32" else F.lazy()
    with computes, default_dtype(DType[default]):
        model = public(step, "load_pretrained")(path)
    place, name = kind
    if not isinstance(model, public(other_step(step, place), name)):
        raise ContractError(f"load_pretrained returned {type(model).__name__}, not a {name}")
    for each, value in model.parameters:
        if value.dtype != DType.float32:
            raise ContractError(f"the loaded {each} is of {value.dtype.name}, not of float32")
    return model, {each: np.array(value.to_numpy()) for each, value in model.parameters}


N_POSITIONS = 16  # that the stand-in for a model can see


class ScriptedModel:
    """A stand-in for a model: a row of logits for each token, and a record of what it saw."""

    def __init__(self, step: ModuleType, logits: Array) -> None:
        sizes = Config(len(logits), N_POSITIONS, n_embd=1, n_layer=1, n_head=1)
        self.config = course_config(step, sizes)
        self.logits = logits
        self.seen: list[Array] = []

    def __call__(self, input_ids: object, /) -> Tensor:
        if not isinstance(input_ids, Tensor):
            kind = type(input_ids).__name__
            raise ContractError(f"the model was given an object of type {kind}, not a Tensor")
        seen = array(input_ids, "the code")
        if seen.ndim != 2 or seen.dtype != np.int64:
            shape = list(seen.shape)
            raise ContractError(f"the model was given {seen.dtype} {shape}, not int64 [B, T]")
        strange = seen[(seen < 0) | (seen >= len(self.logits))]
        if strange.size:
            last = len(self.logits) - 1
            raise ContractError(f"the model was given token {strange[0]}; it knows 0 to {last}")
        self.seen.append(seen)
        return tensor(self.logits[seen])  # [B, T] -> [B, T, V]


class Letters:
    """A tokenizer whose tokens are the letters of an alphabet."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet

    def encode(self, text: str, /) -> list[int]:
        return [self.alphabet.index(letter) for letter in text]

    def decode(self, token_ids: Any, /) -> str:
        if isinstance(token_ids, Tensor):
            raise ContractError("decode was given a Tensor, not a list of token ids")
        try:
            return "".join(self.alphabet[operator.index(token)] for token in token_ids)
        except TypeError:
            given = repr(token_ids)[:60]
            raise ContractError(f"decode was given {given}, not a list of token ids") from None


class LazyModel:
    """A model whose operations are computed all at once."""

    def __init__(self, model: Any, config: Any) -> None:
        self.model, self.config = model, config

    def __call__(self, input_ids: Tensor, /) -> Any:
        with F.lazy():
            return self.model(input_ids)


class StepProbes:
    """What a check of one of the twelve steps can ask of it.

    Each method runs the code once and returns plain values. Classes are named, and made from the
    arguments that follow; a Config among these becomes the course's GPT2Config.
    """

    def __init__(self, step: ModuleType) -> None:
        self.step = step

    # Step 01

    def config(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The fields of a GPT2Config and their values, in their order."""
        return plain_fields(make_config(self.step, "GPT2Config", arguments, options))

    # Step 02

    def causal_mask(self, length: int, cached: int, dtype: str = "float32") -> Array:
        """The mask for static lengths."""
        make_mask = public(self.step, "causal_mask")
        return array(make_mask(length, cached, dtype=DType[dtype], device=CPU()), "causal_mask")

    def trace_causal_mask(self, dtype: str) -> dict[str, Any]:
        """Shape and dtype of the mask in a graph, whose lengths are the symbols new and cached."""

        def mask(new: Tensor, cached: Tensor) -> Tensor:
            make_mask = public(self.step, "causal_mask")
            made = make_mask(new.shape[0], cached.shape[0], dtype=DType[dtype], device=new.device)
            return as_tensor(made, "causal_mask")

        new, cached = (
            TensorType(DType.float32, [name], device=CPU()) for name in ("new", "cached")
        )
        (result,) = stage(mask)(new, cached).out_layouts
        return {"shape": [size_name(size) for size in result.shape], "dtype": result.dtype.name}

    # Steps 03 to 10

    def parameters(self, name: str, *arguments: Any, **options: Any) -> dict[str, list[int]]:
        """The shapes of a module's parameters."""
        return shapes(make(self.step, name, arguments, options))

    def kind_of_attribute(self, name: str, config: Config, attribute: str) -> str:
        """The type of what a module keeps under a name, or nothing if it keeps nothing there."""
        module = make(self.step, name, (config,), {})
        return type(getattr(module, attribute, None)).__name__

    def initial_weights(self, name: str, *arguments: Any, **options: Any) -> dict[str, Array]:
        """The parameters that a module begins with."""
        module = make(self.step, name, arguments, options)
        shapes(module)
        return {name: np.array(value.to_numpy()) for name, value in module.parameters}

    def forward(
        self,
        name: str,
        *arguments: Any,
        weights: Mapping[str, Array],
        x: Array,
        **options: Any,
    ) -> Array:
        """What a module with these weights returns for x."""
        module = make(self.step, name, arguments, options)
        load(module, weights)
        return array(call(module, tensor(x)), f"{name}.forward")

    def trace(
        self, name: str, *arguments: Any, dtype: str, shape: Sequence[int | str], **options: Any
    ) -> list[str]:
        """The shape that a module has in a graph, whose input has names for lengths."""
        module = make(self.step, name, arguments, options)
        results = module.trace(TensorType(DType[dtype], shape, device=CPU())).out_layouts
        if len(results) != 1:
            raise ContractError(f"{name}.forward made {len(results)} tensors in a graph, not 1")
        return [size_name(size) for size in results[0].shape]

    def carried_config(self, name: str, config: Config) -> dict[str, Any]:
        """The fields of the config that a model of these sizes carries."""
        return settings(make(self.step, name, [config], {}))

    def convert_state_dict(
        self, hf_state: dict[str, Array], config: Config, *, calls: int = 1
    ) -> list[tuple[str, Array]]:
        """The converted weights; those of the last call, if there are more."""
        convert, made = public(self.step, "convert_state_dict"), course_config(self.step, config)
        for _ in range(calls - 1):
            convert(hf_state, made)
        return contiguous_arrays(convert(hf_state, made), "the converted state")

    def state_after_conversion(
        self, hf_state: dict[str, Array], config: Config
    ) -> list[tuple[str, Array]]:
        """What is in the caller's dict after the call."""
        public(self.step, "convert_state_dict")(hf_state, course_config(self.step, config))
        return named_arrays(hf_state, "hf_state")

    def load_pretrained(
        self,
        folder: str,
        tokens: Array | None = None,
        *,
        as_path: bool = False,
        default: str = "float32",
    ) -> dict[str, Any]:
        """Config, parameters and, of tokens, logits of the model in a folder."""
        path, kind = Path(folder) if as_path else folder, ("step_10", "MaxGPT2LMHeadModel")
        model, parameters = loaded(self.step, path, kind, default)
        observed: dict[str, Any] = {"config": settings(model), "parameters": parameters}
        if tokens is not None:
            with F.lazy():
                logits = model(tensor(tokens))
            observed["logits"] = array(logits, "the loaded model")
        return observed

    def generate(
        self,
        name: str,
        tokens: Array,
        *arguments: Any,
        logits: Array,
        seed: int | None = None,
        calls: int = 1,
        **options: Any,
    ) -> dict[str, Any]:
        """What calls with one prompt and one generator return, what the model saw, what is left."""
        model, prompt = ScriptedModel(self.step, logits), tensor(tokens)
        rng = np.random.default_rng(seed)
        if seed is not None:
            options["rng"] = rng
        state = rng.bit_generator.state
        function = public(self.step, name)
        made = [array(function(model, prompt, *arguments, **options), name) for _ in range(calls)]
        return {
            "ids": made,
            "seen": model.seen,
            "prompt": array(prompt, "the prompt"),
            "drew": rng.bit_generator.state != state,
        }

    def generate_text(
        self,
        prompt: str,
        *arguments: Any,
        logits: Array,
        alphabet: str,
        seed: int,
        **options: Any,
    ) -> str:
        """The text that is made of a prompt."""
        model, rng = ScriptedModel(self.step, logits), np.random.default_rng(seed)
        function = public(self.step, "generate_text")
        text = function(model, Letters(alphabet), prompt, *arguments, rng=rng, **options)
        if not isinstance(text, str):
            raise ContractError(f"generate_text returned {type(text).__name__}, not a str")
        return text

    def generate_by_own_model(
        self, config: Config, tokens: Array, *arguments: Any, weights: Mapping[str, Array]
    ) -> Array:
        """What generate_tokens returns for a prompt with the model of step 10 and these weights."""
        model = make(other_step(self.step, "step_10"), "MaxGPT2LMHeadModel", [config], {})
        load(model, weights)
        lazy = LazyModel(model, course_config(self.step, config))
        made = public(self.step, "generate_tokens")(lazy, tensor(tokens), *arguments)
        return array(made, "generate_tokens")
