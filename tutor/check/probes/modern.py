"""The probes of the modern track."""

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import stage
from max.experimental.tensor import Tensor, TensorType

from tutor.check.probes.base import (
    Array,
    array,
    call,
    load,
    make,
    make_config,
    other_step,
    plain_fields,
    public,
    shapes,
    size_name,
    tensor,
)
from tutor.check.probes.engine import EngineProbes
from tutor.check.sandbox.errors import ContractError

Weights = Mapping[str, Array]


def described(config: Any) -> dict[str, Any]:
    """The fields of a LlamaConfig and their values, and its n_positions."""
    positions = getattr(config, "n_positions", None)
    if callable(positions):
        raise ContractError("n_positions is a method; @property above it makes it a value")
    return {**plain_fields(config), "n_positions": positions}


class ModernProbes(EngineProbes):
    """What a check of any step can ask of it, those of the modern track among them."""

    # Modern 01

    def llama_config(self, **options: Any) -> dict[str, Any]:
        """The fields of a LlamaConfig and their values, and its n_positions."""
        return described(make_config(self.step, "LlamaConfig", (), options))

    def read_config(self, entries: dict[str, Any]) -> dict[str, Any]:
        """The same of the LlamaConfig that read_config makes of the entries of a config.json."""
        config = public(self.step, "read_config")(entries)
        if not isinstance(config, public(self.step, "LlamaConfig")):
            raise ContractError(f"read_config returned {type(config).__name__}, not a LlamaConfig")
        return described(config)

    # Modern 04

    def rotary_speeds(self, **options: Any) -> Array:
        """The speeds for a LlamaConfig of these options."""
        config = public(other_step(self.step, "modern_01"), "LlamaConfig")(**options)
        speeds = public(self.step, "rotary_speeds")(config)
        if not isinstance(speeds, np.ndarray):
            found = type(speeds).__name__
            raise ContractError(f"rotary_speeds returned {found}, not a NumPy array")
        return np.array(speeds)

    def rotary_table(self, positions: Array, speeds: Array) -> list[Array]:
        """The cosines and the sines for positions."""
        with F.lazy():
            made = self._table(tensor(positions), speeds)
        return [array(each, "rotary_table") for each in made]

    def rotate(self, x: Array, cos: Array, sin: Array) -> Array:
        """What rotate makes of x with these tables."""
        return array(call(public(self.step, "rotate"), *map(tensor, (x, cos, sin))), "rotate")

    def rotated(self, x: Array, positions: Sequence[Array], speeds: Array) -> list[Array]:
        """What rotate makes of x with the tables of rotary_table, for each of these positions."""

        def rotation(x: Tensor, positions: Tensor) -> Any:
            return public(self.step, "rotate")(x, *self._table(positions, speeds))

        return [array(call(rotation, tensor(x), tensor(each)), "rotate") for each in positions]

    def trace_rotation(self, heads: int, speeds: Array) -> list[list[str]]:
        """The shapes of cosines, sines and what is rotated, where the lengths are symbols."""
        given = [
            TensorType(DType.int64, ["batch", "length"], device=CPU()),
            TensorType(DType.float32, ["batch", heads, "length", 2 * len(speeds)], device=CPU()),
        ]

        def rotation(positions: Tensor, x: Tensor) -> Any:
            table = self._table(positions, speeds)
            return *table, public(self.step, "rotate")(x, *table)

        layouts = stage(rotation)(*given).out_layouts
        return [[size_name(size) for size in each.shape] for each in layouts]

    def _table(self, positions: Tensor, speeds: Array) -> tuple[Tensor, Tensor]:
        made = public(self.step, "rotary_table")(positions, speeds.astype(np.float32))
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise ContractError("rotary_table has to return two tensors, cosines and sines")
        cos, sin = made
        return cos, sin

    # Modern 09

    def mixture_parameters(self, width: int, experts: dict[str, Any]) -> dict[str, list[int]]:
        """The shapes of the parameters of a MixtureOfExperts; `experts` are MoEConfig's fields."""
        return shapes(self._mixture(width, experts))

    def route(self, width: int, experts: dict[str, Any], weights: Weights, x: Array) -> Array:
        """The share of each expert for each vector of x."""
        module = self._mixture(width, experts)
        load(module, weights)
        return array(call(module.route, tensor(x)), "MixtureOfExperts.route")

    def mixture(self, width: int, experts: dict[str, Any], weights: Weights, x: Array) -> Array:
        """What a MixtureOfExperts with these weights makes of x."""
        module = self._mixture(width, experts)
        load(module, weights)
        return array(call(module, tensor(x)), "MixtureOfExperts.forward")

    def trace_mixture(self, width: int, experts: dict[str, Any]) -> list[str]:
        """The shape of what it makes in a graph, where the lengths are symbols."""
        given = TensorType(DType.float32, ["batch", "length", width], device=CPU())
        (result,) = self._mixture(width, experts).trace(given).out_layouts
        return [size_name(size) for size in result.shape]

    def moe_parameters(
        self, options: dict[str, Any], experts: dict[str, Any]
    ) -> dict[str, list[int]]:
        """The shapes of the parameters of a MaxMoELMHeadModel, its LlamaConfig of these options."""
        config = public(other_step(self.step, "modern_01"), "LlamaConfig")(**options)
        model = make(self.step, "MaxMoELMHeadModel", (config, self._experts(experts)), {})
        return shapes(model)

    def load_moe(self, folder: str, tokens: Array) -> dict[str, Any]:
        """The shapes of the parameters of the model in a folder, and its logits."""
        try:
            model = public(self.step, "load_moe")(folder)
        except ValueError as error:  # MAX names them in any order
            said, _, names = str(error).partition("did not use some weights: ")
            if not names or not said.startswith("load_state_dict"):
                raise
            name = min(ast.literal_eval(names))
            raise ContractError(f"load_moe loads {name}, which its model does not have") from None
        if not isinstance(model, public(self.step, "MaxMoELMHeadModel")):
            found = type(model).__name__
            raise ContractError(f"load_moe returned {found}, not a MaxMoELMHeadModel")
        logits = array(call(model, tensor(tokens)), "the loaded model")
        return {"parameters": shapes(model), "logits": logits}

    def _mixture(self, width: int, experts: dict[str, Any]) -> Any:
        return make(self.step, "MixtureOfExperts", (width, self._experts(experts)), {})

    def _experts(self, fields: dict[str, Any]) -> Any:
        kind = public(self.step, "MoEConfig")
        if dataclasses.is_dataclass(kind) and not dataclasses.fields(kind):
            public(self.step, "MixtureOfExperts")(1, kind)  # a stub, which says so
        return make_config(self.step, "MoEConfig", (), fields)
