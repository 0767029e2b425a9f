"""The probes of the modern track."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
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

Options = dict[str, Any]  # of a LlamaConfig
Past = Sequence[Array]  # keys and values of earlier columns, 2 [B, G, P, D]


def make_llama(step: ModuleType, name: str, options: Options) -> Any:
    """An instance of one of the step's classes, from a LlamaConfig of these options."""
    config = public(other_step(step, "modern_01"), "LlamaConfig")(**options)
    with F.lazy():
        return public(step, name)(config)


def memory_of(past: Past) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A memory that has these keys and values, and puts new ones behind them."""
    keys, values = map(tensor, past)

    def remember(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return F.concat([keys, key], axis=2), F.concat([values, value], axis=2)

    return remember


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

    # Modern 06

    def llama_parameters(self, name: str, options: Options) -> dict[str, list[int]]:
        """The shapes of the parameters of a module that is made from a LlamaConfig."""
        return shapes(make_llama(self.step, name, options))

    def llama_block(
        self, options: Options, *inputs: Array, weights: Mapping[str, Array], past: Past = ()
    ) -> Array:
        """What LlamaBlock makes of x, cosines, sines and a mask, after these keys and values."""
        block = make_llama(self.step, "LlamaBlock", options)
        load(block, weights)
        memory = [memory_of(past)] if past else []
        return array(call(block, *map(tensor, inputs), *memory), "LlamaBlock.forward")

    def llama_model(
        self,
        options: Options,
        *inputs: Array,
        weights: Mapping[str, Array],
        pasts: Sequence[Past] = (),
    ) -> Array:
        """What MaxLlamaModel makes of ids, and of positions and a mask if there are any.

        With `pasts`, the memory of each layer has keys and values of earlier columns.
        """
        model = make_llama(self.step, "MaxLlamaModel", options)
        load(model, weights)
        memories = [[memory_of(past) for past in pasts]] if pasts else []
        return array(call(model, *map(tensor, inputs), *memories), "MaxLlamaModel.forward")

    def llama_logits(
        self, options: Options, *inputs: Array, weights: Mapping[str, Array]
    ) -> list[Array]:
        """The logits of several ids."""
        model = make_llama(self.step, "MaxLlamaLMHeadModel", options)
        load(model, weights)
        return [array(call(model, tensor(ids)), "MaxLlamaLMHeadModel.forward") for ids in inputs]

    def llama_carried(self, options: Options) -> dict[str, Any]:
        """The fields of the config that a MaxLlamaLMHeadModel carries, and its n_positions."""
        config = getattr(make_llama(self.step, "MaxLlamaLMHeadModel", options), "config", None)
        if not isinstance(config, public(other_step(self.step, "modern_01"), "LlamaConfig")):
            found = "missing" if config is None else type(config).__name__
            raise ContractError(f"MaxLlamaLMHeadModel.config is {found}, not a LlamaConfig")
        return described(config)

    def kind_of_layers(self, options: Options) -> str:
        """The type of what MaxLlamaModel keeps as its layers."""
        return type(make_llama(self.step, "MaxLlamaModel", options).layers).__name__

    def trace_llama(self, options: Options) -> dict[str, list[str]]:
        """The shapes of logits, and of the vectors for given positions and a mask, in a graph.

        Batch and length are symbols; of the mask, one row is for all texts.
        """
        ids = TensorType(DType.int64, ["batch", "length"], device=CPU())
        mask = TensorType(DType.float32, [1, "length", "length"], device=CPU())
        inputs = {"MaxLlamaLMHeadModel": [ids], "MaxLlamaModel": [ids, ids, mask]}
        found = {}
        for name, types in inputs.items():
            layouts = make_llama(self.step, name, options).trace(*types).out_layouts
            if len(layouts) != 1:
                raise ContractError(f"{name}.forward made {len(layouts)} tensors in a graph, not 1")
            found[name] = [size_name(size) for size in layouts[0].shape]
        return found
