"""What a check of a bonus step can ask of the code under check, as in `probes`."""

import re
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import CompiledCallable, StagedGraph
from max.experimental.executor import set_default_executor
from max.experimental.sharding import TensorLayout
from max.experimental.tensor import Tensor, TensorType, default_dtype

from tutor.grading.channel import Config
from tutor.grading.probes import (
    Array,
    ContractError,
    Letters,
    ScriptedModel,
    array,
    call,
    load,
    make,
    other_step,
    public,
    shapes,
    tensor,
)

# Bonus 01

# Of the inputs of each head.
TYPES: dict[str, list[tuple[DType, list[str]]]] = {
    "GPT2GreedyHead": [(DType.int64, ["batch", "length"])],
    "GPT2SamplingHead": [(DType.int64, ["batch", "length"]), (DType.float32, [])],
}


def gpt2(step: ModuleType, config: Config) -> Any:
    """The model of step 10."""
    return make(other_step(step, 10), "MaxGPT2LMHeadModel", [config], {})


def run_head(
    step: ModuleType, name: str, config: Config, *inputs: list[Array], weights: dict[str, Array]
) -> list[Array]:
    """What one head on a model with these weights makes of several inputs."""
    model = gpt2(step, config)
    load(model, weights)
    with F.lazy():
        head = public(step, name)(model)
    return [array(call(head, *map(tensor, given)), f"{name}.forward") for given in inputs]


def trace_head(step: ModuleType, name: str, config: Config, dtype: str) -> dict[str, Any]:
    """A head in a graph, over a model of this dtype: what it returns, and its widest tensors.

    These are as wide as the vocabulary and as long as the text, and not in the transformer.
    """
    with default_dtype(DType[dtype]):
        model = gpt2(step, config)
        with F.lazy():
            head = public(step, name)(model)
        types = [TensorType(*given, device=CPU()) for given in TYPES[name]]
        traced = head.trace(*types)
        within = shapes_in(model.transformer.trace(types[0]))
    sizes = {"length", str(config.vocab_size)}
    wide = {shape for shape in shapes_in(traced) if sizes <= set(re.findall(r"\w+", shape))}
    return {"gives": [layout(each) for each in traced.out_layouts], "wide": sorted(wide - within)}


def shapes_in(graph: StagedGraph[..., Any]) -> set[str]:
    """The shapes of all tensors in a graph."""
    return set(re.findall(r"!mo\.tensor<(\[.*?\]),", str(graph)))


def layout(found: TensorLayout, names: dict[str, str] | None = None) -> list[Any]:
    """The dtype and the shape of a tensor in a graph; a symbol in it has its name, or another."""
    shape = [str(size) for size in found.shape]
    return [
        found.dtype.name,
        [int(size) if size.isdecimal() else (names or {}).get(size, size) for size in shape],
    ]


def compile_heads(step: ModuleType, config: Config) -> dict[str, Any]:
    """How many graphs compile_heads compiles, and what each head that it returns takes and gives.

    Nothing is compiled: what has been traced until then says enough. The sizes of the ids are
    called batch and length, whatever symbols they have.
    """
    model = gpt2(step, config)
    load(model, {name: np.zeros(shape) for name, shape in shapes(model).items()})
    graphs: list[StagedGraph[..., Any]] = []
    called: list[StagedGraph[..., Any]] = []

    def keep(compiled: Any, staged: StagedGraph[..., Any], *_: object, **__: object) -> None:
        compiled.staged = staged
        graphs.append(staged)

    def answer(compiled: Any, *_: object, **__: object) -> Tensor:
        called.append(compiled.staged)
        return tensor(np.zeros(1))

    ids = tensor(np.zeros((2, 3), np.int64))
    with (
        mock.patch.object(CompiledCallable, "__init__", keep),
        mock.patch.object(CompiledCallable, "__call__", answer),
    ):
        returned = public(step, "compile_heads")(model)
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            raise ContractError("compile_heads has to return the sampling head and the greedy head")
        returned[0](ids, tensor(np.ones(())))
        returned[1](ids)
    if len(called) != 2:
        raise ContractError("a head that compile_heads returns is not compiled")
    return {"graphs": len(graphs), "sampling": signature(called[0]), "greedy": signature(called[1])}


def signature(graph: StagedGraph[..., Any]) -> dict[str, list[Any]]:
    """What a graph takes and gives."""
    names: dict[str, str] = {}
    for size, name in zip(graph.in_layouts[0].shape, ("batch", "length"), strict=False):
        names.setdefault(str(size), name)
    return {
        "takes": [layout(each, names) for each in graph.in_layouts],
        "gives": [layout(each, names) for each in graph.out_layouts],
    }


def gumbel_sample(step: ModuleType, log_probs: Array, seed: int, *, calls: int = 1) -> list[Array]:
    """What calls with one generator draw; the numbers can only be read, as those of a tensor."""
    rng, given = np.random.default_rng(seed), log_probs.astype(np.float32)
    given.flags.writeable = False
    drawn = [public(step, "gumbel_sample")(given, rng) for _ in range(calls)]
    for ids in drawn:
        if not isinstance(ids, np.ndarray):
            raise ContractError(f"gumbel_sample returned {type(ids).__name__}, not a NumPy array")
    return drawn


class ScriptedHeads:
    """Stand-ins for the compiled heads, which look up the logits for the last token."""

    def __init__(self, step: ModuleType, logits: Array) -> None:
        self.model = ScriptedModel(step, logits)
        self.asked: list[str] = []
        self.temperatures: list[float] = []

    def greedy(self, input_ids: Tensor) -> Tensor:
        self.asked.append("greedy")
        return tensor(self._last(input_ids).argmax(axis=-1))

    def sampler(self, input_ids: Tensor, temperature: object) -> Tensor:
        self.asked.append("sampling")
        if not isinstance(temperature, Tensor):
            found = type(temperature).__name__
            raise ContractError(
                f"the sampling head was given a temperature of {found}, not a Tensor"
            )
        value = array(temperature, "the code")
        if value.shape or value.dtype != np.float32:
            found = f"{value.dtype} {list(value.shape)}"
            raise ContractError(
                f"the sampling head was given a temperature of {found}, not float32 []"
            )
        self.temperatures.append(round(float(value), 6))
        scaled = self._last(input_ids).astype(np.float64) / value
        shifted = scaled - scaled.max(axis=-1, keepdims=True)
        return tensor(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))

    def _last(self, input_ids: Tensor) -> Array:
        return self.model(input_ids).to_numpy()[:, -1]  # [B, T, V] -> [B, V]


class Refusal:
    """In place of what executes eager operations: it names the first one, and does not."""

    def execute(self, graph: Any, inputs: object) -> Any:  # noqa: ARG002
        ops = re.findall(r"= (?:\w+\.)*(\w+)[( ]", str(graph._mlir_op))
        name = next((op for op in ops if op != "constant"), "a constant")
        raise ContractError(f"generate_text runs an eager operation, {name}, beside the heads")


def write_text(
    step: ModuleType,
    prompt: str,
    *arguments: Any,
    logits: Array,
    alphabet: str,
    eager: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """The text that generate_text makes with scripted heads, and what these were asked."""
    heads, write = ScriptedHeads(step, logits), public(step, "generate_text")
    given = heads.sampler, heads.greedy, Letters(alphabet), prompt, *arguments
    if eager:
        text = write(*given, **options)
    else:
        with set_default_executor(Refusal()):
            text = write(*given, **options)
    if not isinstance(text, str):
        raise ContractError(f"generate_text returned {type(text).__name__}, not a str")
    return {
        "text": text,
        "asked": heads.asked,
        "seen": heads.model.seen,
        "temperatures": heads.temperatures,
    }
