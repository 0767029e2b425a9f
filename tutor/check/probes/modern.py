"""The probes of the modern track."""

import ast
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import stage
from max.experimental.tensor import Tensor, TensorType
from max.graph import BufferType, DeviceRef

from tutor.check.probes.base import (
    Array,
    array,
    call,
    load,
    make,
    make_config,
    other_step,
    plain_fields,
    shapes,
    size_name,
    tensor,
)
from tutor.check.probes.engine import (
    EngineProbes,
    RecordedModel,
    TracedHead,
    buffer,
    signature,
)
from tutor.check.probes.names import public
from tutor.check.probes.steps import contiguous_arrays, loaded, named_arrays
from tutor.check.sandbox.errors import ContractError

Weights = Mapping[str, Array]
Options = dict[str, Any]  # of a LlamaConfig
Past = Sequence[Array]  # keys and values of earlier columns, 2 [B, G, P, D]


def make_llama(step: ModuleType, name: str, options: Options) -> Any:
    """An instance of one of the step's classes, from a LlamaConfig of these options."""
    config = public(other_step(step, "modern_01"), "LlamaConfig")(**options)
    with F.lazy():
        return public(step, name)(config)


def llama(step: ModuleType, options: Options) -> Any:
    """The model of modern 06."""
    return make_llama(other_step(step, "modern_06"), "MaxLlamaLMHeadModel", options)


class RecordedLlama(RecordedModel):
    """A LlamaCachedModel with traced heads, and what came of its calls."""

    name = "LlamaCachedModel"
    make = staticmethod(llama)


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
        """The same for the LlamaConfig that read_config returns for a config.json."""
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
        """What rotate returns for x with these tables."""
        return array(call(public(self.step, "rotate"), *map(tensor, (x, cos, sin))), "rotate")

    def rotated(self, x: Array, positions: Sequence[Array], speeds: Array) -> list[Array]:
        """What rotate returns for x at each of these positions, with the tables of rotary_table."""

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

    # Modern 05

    def attention_parameters(self, options: Options) -> dict[str, list[int]]:
        """The shapes of the parameters of LlamaAttention."""
        return shapes(make_llama(self.step, "LlamaAttention", options))

    def llama_attention(
        self, options: Options, *inputs: Array, weights: Mapping[str, Array], past: Past = ()
    ) -> Array:
        """What LlamaAttention returns for x, cosines, sines and a mask, after earlier columns."""
        module = make_llama(self.step, "LlamaAttention", options)
        load(module, weights)
        memory = [memory_of(past)] if past else []
        return array(call(module, *map(tensor, inputs), *memory), "LlamaAttention.forward")

    def handed_to_remember(
        self, options: Options, *inputs: Array, weights: Mapping[str, Array]
    ) -> list[Array]:
        """The keys and the values that LlamaAttention hands to a cache."""
        module = make_llama(self.step, "LlamaAttention", options)
        load(module, weights)
        handed: list[Tensor] = []

        def remember(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            handed[:] = key, value
            return key, value

        call(module, *map(tensor, inputs), remember)
        if not handed:
            raise ContractError("LlamaAttention.forward was given remember, but did not call it")
        return [array(each, "the code") for each in handed]

    def trace_attention(self, options: Options, columns: int = 0) -> list[str]:
        """The shape of what LlamaAttention makes, where batch and lengths are symbols.

        With caches of so many columns, each row has a mask of its own for those that are seen.
        """
        module = make_llama(self.step, "LlamaAttention", options)
        sizes = public(other_step(self.step, "modern_01"), "LlamaConfig")(**options)
        rows, seen = ("batch", "seen") if columns else (1, "length")
        x, table = ["batch", "length", sizes.hidden_size], [rows, "length", sizes.head_dim // 2]
        cache = ["batch", sizes.num_key_value_heads, columns, sizes.head_dim]
        given = [x, table, table, [rows, "length", seen], *([cache] * 2 if columns else [])]

        def attention(x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, *caches: Tensor) -> Any:
            def remember(*_: Tensor) -> list[Tensor]:
                return [cache[:, :, : mask.shape[-1]] for cache in caches]

            return module(x, cos, sin, mask, remember if caches else None)

        types = [TensorType(DType.float32, shape, device=CPU()) for shape in given]
        (result,) = stage(attention)(*types).out_layouts
        return [size_name(size) for size in result.shape]

    # Modern 06

    def llama_parameters(self, name: str, options: Options) -> dict[str, list[int]]:
        """The shapes of the parameters of a module that is made from a LlamaConfig."""
        return shapes(make_llama(self.step, name, options))

    def llama_block(
        self, options: Options, *inputs: Array, weights: Mapping[str, Array], past: Past = ()
    ) -> Array:
        """What LlamaBlock returns for x, cosines, sines and a mask, after these keys and values."""
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
        """What MaxLlamaModel returns for ids, and of positions and a mask if there are any.

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

    # Modern 07

    def read_tensors(self, folder: str, *, as_path: bool = False) -> list[tuple[str, Array]]:
        """All tensors of a folder."""
        state = public(self.step, "read_tensors")(Path(folder) if as_path else folder)
        return named_arrays(state, "what read_tensors returned")

    def convert_llama(
        self, hf_state: dict[str, Array], options: Options
    ) -> list[tuple[str, Array]]:
        """The converted weights of a checkpoint, for a LlamaConfig of these options."""
        config = public(other_step(self.step, "modern_01"), "LlamaConfig")(**options)
        state = public(self.step, "convert_state_dict")(hf_state, config)
        return contiguous_arrays(state, "the converted state")

    def load_llama(
        self, folder: str, tokens: Array, *, as_path: bool = False, default: str = "float32"
    ) -> Array:
        """The logits of the model in a folder. `default` is MAX's dtype where nothing is said."""
        path, kind = Path(folder) if as_path else folder, ("modern_06", "MaxLlamaLMHeadModel")
        model, _ = loaded(self.step, path, kind, default)
        return array(call(model, tensor(tokens)), "the loaded model")

    # Modern 08

    def run_llama_head(
        self,
        options: Options,
        calls: Sequence[Sequence[Array]],
        *,
        cache: Array,
        weights: Mapping[str, Array],
    ) -> list[Array]:
        """What LlamaCachedHead returns for the inputs of each call; all caches begin so."""
        model = llama(self.step, options)
        load(model, weights)
        with F.lazy():
            made = public(self.step, "LlamaCachedHead")(model)
        shape = ["batch", *cache.shape[1:]]
        caches = [buffer(cache) for _ in range(2 * options["num_hidden_layers"])]
        head = TracedHead(
            *(made, []),
            *(TensorType(DType.int64, ["batch", "new"], device=CPU()) for _ in range(2)),
            TensorType(DType.float32, ["batch", "new", "length"], device=CPU()),
            TensorType(DType.int64, ["scored"], device=CPU()),
            *[BufferType(DType.float32, shape, DeviceRef.CPU())] * len(caches),
        )
        made = [head.execute_raw(*map(buffer, given), *caches) for given in calls]
        return [np.array(logits.to_numpy()) for (logits,) in made]

    def compile_llama(self, options: Options) -> dict[str, Any]:
        """What the graphs that LlamaCachedModel compiles take and give, and its cache_shape."""
        weights = {name: np.zeros(size) for name, size in shapes(llama(self.step, options)).items()}
        model = RecordedLlama(self.step, options, weights)
        sizes = "batch", "new", "length", "scored"  # of the mask, and of what is scored
        shape = model.model.cache_shape(5)
        if not isinstance(shape, tuple | list):
            raise ContractError(f"cache_shape returned {type(shape).__name__}, not a list")
        return {
            "graphs": [signature(head.staged, sizes, of=(2, 3)) for head in model.heads],
            "shape": [int(size) for size in shape],
        }

    def ask_llama(
        self, options: Options, calls: Sequence[Sequence[Any]], *, weights: Mapping[str, Array]
    ) -> dict[str, Any]:
        """What comes of ids and starts for one LlamaCachedModel, and of a score if there is one."""
        model = RecordedLlama(self.step, options, weights)
        for ids, start, *count in calls:
            (model.score if count else model)(ids, start, *count)
        return model.record()

    def generate_by_llama(
        self, options: Options, *arguments: Any, weights: Mapping[str, Array]
    ) -> dict[str, Any]:
        """The greedy tokens that generate_batch of engine 03 makes with a LlamaCachedModel."""
        model = RecordedLlama(self.step, options, weights)
        greedy = public(other_step(self.step, "engine_02"), "Sampling")(temperature=0)
        write, seeds = public(other_step(self.step, "engine_03"), "generate_batch"), range(9)
        ids = write(model, *arguments, greedy, seeds=seeds[: len(arguments[0])])
        return {**model.record(), "ids": ids}

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
        """What a MixtureOfExperts with these weights returns for x."""
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
