"""The probes of the engine track."""

import contextlib
import copy
import itertools
import operator
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from max.driver import CPU, Buffer
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.compilation import CompiledCallable, StagedGraph, stage
from max.experimental.executor import default_executor, set_default_executor
from max.experimental.nn import Linear, Module
from max.experimental.sharding import TensorLayout
from max.experimental.tensor import Tensor, TensorType, default_dtype
from max.graph import BufferType, DeviceRef, Dim

from tutor.check.probes.base import (
    Array,
    array,
    as_tensor,
    call,
    course_config,
    load,
    make,
    other_step,
    shapes,
    size_name,
    tensor,
)
from tutor.check.probes.names import public
from tutor.check.probes.steps import Letters, ScriptedModel, StepProbes, settings
from tutor.check.sandbox.errors import ContractError
from tutor.check.sizes import Config
from tutor.runtime.numpy_graphs import UnsupportedOpError, translate

# Of the inputs of each head.
TYPES: dict[str, list[tuple[DType, list[str]]]] = {
    "GPT2GreedyHead": [(DType.int64, ["batch", "length"])],
    "GPT2SamplingHead": [(DType.int64, ["batch", "length"]), (DType.float32, [])],
    "GPT2BatchHead": [
        (DType.int64, ["batch", "length"]),
        (DType.int64, ["batch", "length"]),
        (DType.float32, ["batch", "length", "length"]),
    ],
}


def gpt2(step: ModuleType, config: Config) -> Any:
    """The model of step 10."""
    return make(other_step(step, "step_10"), "MaxGPT2LMHeadModel", [config], {})


def shapes_in(graph: StagedGraph[..., Any]) -> set[str]:
    """The shapes of all tensors in a graph."""
    return set(re.findall(r"!mo\.tensor<(\[.*?\]),", str(graph)))


def layout(found: TensorLayout, names: dict[str, str] | None = None) -> list[Any]:
    """The dtype and the shape of a tensor in a graph; a symbol in it has its name, or another."""
    shape = [size_name(size) for size in found.shape]
    return [
        found.dtype.name,
        [int(size) if size.isdecimal() else (names or {}).get(size, size) for size in shape],
    ]


def signature(
    graph: StagedGraph[..., Any],
    sizes: Sequence[str] = ("batch", "length"),
    of: Sequence[int] = (0,),
) -> dict[str, list[Any]]:
    """What a graph takes and gives, where the sizes of these inputs are called so."""
    names: dict[str, str] = {}
    found = itertools.chain.from_iterable(graph.in_layouts[each].shape for each in of)
    for size, name in zip(found, sizes, strict=False):
        names.setdefault(str(size), name)
    return {
        "takes": [layout(each, names) for each in graph.in_layouts],
        "gives": [layout(each, names) for each in graph.out_layouts],
    }


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


# Engine 02 to 04

MOST_COLUMNS = 100  # of tokens that are taken from one stream
HEAD_INPUTS = 4  # of the head of engine 04, before its caches: ids, positions, mask, what to score

Call = tuple[int, bool]  # how many columns a head was shown, and whether by the graph for just one


def numpy_array(value: object, what: str) -> Array:
    """What the code under check returned, if it is a NumPy array."""
    if not isinstance(value, np.ndarray):
        raise ContractError(f"{what} is {type(value).__name__}, not a NumPy array")
    return value


def two_arrays(value: object, what: str) -> list[Array]:
    """What the code under check returned, if it is two NumPy arrays."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ContractError(f"{what} has to return two arrays")
    return [numpy_array(each, f"what {what} returned") for each in value]


def read_only(values: Array, kind: type[np.generic]) -> Array:
    """A copy that can only be read, as the numbers of a tensor."""
    copy = values.astype(kind)
    copy.flags.writeable = False
    return copy


def part_of_wider(input_ids: Array) -> Array:
    """The same ids as columns of a wider array, as slide leaves them."""
    return np.pad(input_ids, [(0, 0), (1, 0)])[:, 1:]


class ScriptedBatch:
    """A stand-in for BatchModel: logits by the last token of each row, and a record of the rows."""

    def __init__(self, step: ModuleType, logits: Array, n_positions: int) -> None:
        sizes = Config(len(logits), n_positions, n_embd=1, n_layer=1, n_head=1)
        self.config = course_config(step, sizes)
        self.logits = read_only(logits, np.float32)
        self.seen: list[list[list[int]]] = []

    def __call__(self, input_ids: object, start: object, /) -> Array:
        ids, starts = (numpy_array(each, "what the model was given") for each in (input_ids, start))
        given = f"{ids.dtype} {list(ids.shape)} and {starts.dtype} {list(starts.shape)}"
        if (
            ids.ndim != 2
            or starts.shape != ids.shape[:1]
            or {ids.dtype, starts.dtype} != {np.dtype(np.int64)}
        ):
            raise ContractError(f"the model was given {given}, not int64 [B, T] and int64 [B]")
        if not ((starts >= 0) & (starts < ids.shape[1])).all():
            raise ContractError(f"the model was given starts {starts.tolist()} in {given}")
        self.seen.append([row[first:].tolist() for row, first in zip(ids, starts, strict=True)])
        return read_only(self.logits[ids[:, -1]], np.float32)  # [B, T] -> [B, V]


def interpret(
    function: Callable[..., object],
    what: str,
    inputs: Sequence[Buffer],
    caches: Sequence[Buffer] = (),
) -> Tensor:
    """The output of a function in a graph, where it can write to the caches.

    The graph is traced for these very sizes, and interpreted: compiling it would take a minute.
    """
    types: list[TensorType | BufferType] = [
        *(TensorType(each.dtype, each.shape, CPU()) for each in inputs),
        *(BufferType(each.dtype, each.shape, DeviceRef.CPU()) for each in caches),
    ]
    staged = stage(lambda *given: as_tensor(function(*given), what))(*types)
    (result,) = default_executor().execute(staged.graph, [*inputs, *caches])
    return Tensor(storage=result)


def buffer(values: Array) -> Buffer:
    """A copy of an array, as a graph takes it."""
    return tensor(values).driver_tensor


class TracedHead(CompiledCallable[..., Any]):
    """In place of a compiled head: it takes the same, and adds each call to a record.

    NumPy runs the graph; where it cannot, the head is traced and interpreted for each size.
    """

    def __init__(self, head: Any, calls: list[Call], *types: TensorType | BufferType) -> None:
        self.head, self.calls, self.staged = head, calls, head.trace(*types)
        self.in_layouts, self.in_tree = self.staged.in_layouts, self.staged.in_tree
        self.out_layouts, self.out_tree = self.staged.out_layouts, self.staged.out_tree
        self.parameters = {name: value.driver_tensor for name, value in head.parameters}
        self.run: Callable[..., list[Buffer]] = self.interpret
        with contextlib.suppress(UnsupportedOpError):
            self.run = translate(self.staged.graph).bind(self.parameters)

    def interpret(self, *buffers: Buffer) -> list[Buffer]:
        inputs, caches = buffers[:HEAD_INPUTS], buffers[HEAD_INPUTS:]
        what = f"{type(self.head).__name__}.forward"
        return [interpret(self.head, what, inputs, caches).driver_tensor]

    def execute_raw(self, *buffers: Buffer) -> list[Buffer]:
        alone = all(size == 1 for size in self.in_layouts[0].shape)
        self.calls.append((buffers[0].shape[-1], alone))
        return self.run(*buffers)


class RecordedModel:
    """A CachedModel with traced heads, and what came of its calls."""

    name = "CachedModel"
    make: Callable[[ModuleType, Any], Any] = staticmethod(gpt2)

    def __init__(self, step: ModuleType, config: Any, weights: Mapping[str, Array]) -> None:
        self.heads: list[TracedHead] = []
        self.calls: list[Call] = []
        self.logits: list[Array] = []
        model = self.make(step, config)
        load(model, weights)

        def traced(head: Any, *types: Any, **_: object) -> TracedHead:
            self.heads.append(TracedHead(head, self.calls, *types))
            return self.heads[-1]

        with mock.patch.object(Module, "compile", traced):
            self.model = self.watched(public(step, self.name))(model)
        self.config = self.model.config

    def watched(self, kind: Any) -> Any:
        """A kind of CachedModel that notes which of its methods are asked, as a subclass would."""
        self.asked: set[str] = set()

        class Watched(kind):  # type: ignore[misc]
            def make_head(this, model: Any) -> Any:  # noqa: N805
                self.asked.add("make_head")
                return super().make_head(model)

            def cache_shape(this, batch: Any) -> Any:  # noqa: N805
                self.asked.add("cache_shape")
                return super().cache_shape(batch)

        return Watched

    def __call__(self, input_ids: Array, start: Array, /) -> Array:
        return self.keep(self.model(input_ids, start), "what a CachedModel returned")

    def score(self, input_ids: Array, start: Array, count: int) -> Array:
        return self.keep(self.model.score(input_ids, start, count), "what score returned")

    def keep(self, value: object, what: str) -> Array:
        logits = numpy_array(value, what)
        self.logits.append(np.array(logits))
        return logits

    def record(self) -> dict[str, Any]:
        """The logits of each call; how many columns a head was shown, and by which graph."""
        return {
            "logits": self.logits,
            "shown": [count for count, _ in self.calls],
            "alone": [alone for _, alone in self.calls],
        }


# Engine 05

MOST_CALLS = 200  # of a model for one text; code that gets nowhere would ask on for ever


class ScriptedScores(ScriptedBatch):
    """A stand-in for CachedModel: one row, and logits of several columns, by the token in each."""

    @property
    def rows(self) -> list[list[int]]:
        """What it has seen, call by call."""
        return [row for (row,) in self.seen]

    def __call__(self, input_ids: object, start: object, /) -> Array:
        return self.score(input_ids, start, 1)[:, 0]

    def score(self, input_ids: object, start: object, count: Any) -> Array:
        super().__call__(input_ids, start)
        if len(self.seen) > MOST_CALLS:
            raise ContractError(f"the model is asked on and on, more than {MOST_CALLS} times")
        (row, *others), limit = self.seen[-1], self.config.n_positions
        if others or len(row) > limit:
            given = f"{1 + len(others)} rows of {len(row)} tokens"
            raise ContractError(f"the model was given {given}, not 1 row of at most {limit}")
        if not 1 <= operator.index(count) <= len(row):
            raise ContractError(f"the model had to score {count} of {len(row)} columns")
        return read_only(self.logits[row[-count:]][None], np.float32)  # [count] -> [1, count, V]


class ScriptedDraft:
    """A draft that guesses right but for one token in each round: so many are right before it.

    It has at most `most` guesses, and notes for how many it is asked.
    """

    def __init__(self, step: ModuleType, logits: Array, right: Sequence[int], most: int) -> None:
        self.sampling = other_step(step, "engine_02")
        self.logits, self.right, self.most = logits, itertools.cycle(right), most
        self.asked: list[int] = []

    def __call__(self, ids: object, count: Any, sampling: object, rng: object, /) -> Array:
        text = numpy_array(ids, "what the draft was given")
        if text.ndim != 1 or text.dtype != np.int64:
            found = f"{text.dtype} {list(text.shape)}"
            raise ContractError(f"the draft was given {found}, not int64 [T]")
        if not isinstance(sampling, self.sampling.Sampling):
            raise ContractError(f"the draft was given {type(sampling).__name__}, not a Sampling")
        if not isinstance(rng, np.random.Generator):
            raise ContractError(f"the draft was given {type(rng).__name__}, not a Generator")
        self.asked.append(operator.index(count))
        if count < 1:
            return read_only(text[:0], np.int64)
        last, right = int(text[-1]), next(self.right)
        guesses = following(self.sampling, self.logits, last, count, sampling, copy.deepcopy(rng))
        guesses[right : right + 1] = (guesses[right : right + 1] + 1) % len(self.logits)
        return read_only(guesses[: self.most], np.int64)


def following(
    step: ModuleType, logits: Array, last: int, count: int, sampling: object, rng: object
) -> Array:
    """The tokens after one, as the plain loop chooses them, with what engine 02 has for that."""
    tokens = [last]
    for _ in range(count):
        row = read_only(logits[tokens[-1:]], np.float32)  # [1, V]
        tokens.append(int(public(step, "choose")(row, sampling, [rng])[0]))
    return np.array(tokens[1:], np.int64)


class WatchedGenerator(np.random.Generator):
    """A generator that notes whether it is drawn from; a copy of it is a plain generator."""

    drawn = False

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("bit_generator", "drawn"):
            self.drawn = True
        return super().__getattribute__(name)


def noise_of(rng: np.random.Generator) -> int:
    """What a generator would draw next, which is still to be drawn."""
    return int(copy.deepcopy(rng).integers(2**40))


# Engine 06

SCENT = 3  # of a token in the sum that chooses the logits: none is lost in it
SEEN = -1e4  # a score with less than this is hidden


class WatchedCaches:
    """A stand-in for CachedModel: its head writes tokens and positions into the caches.

    So it can tell what each row sees there, and its logits depend on that alone. A hidden column
    still takes part in a sum: one that is not a number spoils the row, as it does in MAX.
    """

    def __init__(self, step: ModuleType, logits: Array, n_positions: int) -> None:
        sizes = Config(logits.shape[1], n_positions, n_embd=4, n_layer=2, n_head=2)
        self.config, self.device, self.dtype = course_config(step, sizes), CPU(), DType.float32
        self.logits = read_only(logits, np.float32)
        self.begin()

    def begin(self) -> None:
        """Forget what was seen."""
        self.saw: list[list[list[int]]] = []
        self.calls = 0

    def cache_shape(self, batch: Any) -> list[Any]:
        return [4, batch, 2, self.config.n_positions, 2]

    def head(self, input_ids: Any, positions: Any, mask: Any, scored: Any, *caches: Any) -> Tensor:
        self.calls += 1
        ids, places, hiding, columns = (
            array(each, "the code") for each in (input_ids, positions, mask, scored)
        )
        held = [self._held(cache) for cache in caches]
        self._check(ids, places, hiding, columns, held)
        new, length = hiding.shape[1:]
        for number, cache in enumerate(held):
            values = (places if number % 2 else ids).astype(np.float32)  # [B, N]
            values = np.where(np.isneginf(hiding).all(axis=-1), np.nan, values)
            cache[:, :, length - new : length] = values[:, None, :, None]
        rows = [
            self._look(hiding[row] > SEEN, columns, [cache[row] for cache in held])
            for row in range(len(ids))
        ]
        return tensor(np.stack(rows))

    column_head = head

    def _look(self, visible: Array, columns: Array, held: list[Array]) -> Array:
        """The logits of one row after the scored columns, [S, V]; what it sees is noted."""
        shown = [each[:, : visible.shape[1]] for each in held]
        tokens, places = (
            np.where((one == other).all(axis=(0, 2)), one[0, :, 0], -1)
            for one, other in (shown[::2], shown[1::2])
        )
        logits = [self._after(tokens[each], places[each]) for each in visible[columns]]
        if visible.any():
            last = visible[-1]
            order = np.argsort(places[last], kind="stable")
            self.saw.append(
                [
                    np.nan_to_num(tokens[last][order], nan=-2).astype(int).tolist(),
                    np.nan_to_num(places[last][order], nan=-2).astype(int).tolist(),
                    visible.sum(axis=-1).tolist(),
                ]
            )
        spoiled = np.isnan(np.concatenate(shown)).any()
        return np.full_like(logits, np.nan) if spoiled else np.stack(logits)

    def _after(self, tokens: Array, places: Array) -> Array:
        state = np.nan_to_num(((tokens + SCENT) * (places + 1)).sum())
        logits: Array = self.logits[int(state) % len(self.logits)]
        return logits

    def _held(self, cache: object) -> Array:
        if not isinstance(cache, Buffer):
            found = type(cache).__name__
            raise ContractError(f"the head was given {found} for a cache, not a Buffer")
        return np.array(cache.to_numpy(), copy=False)

    def _check(
        self, ids: Array, places: Array, mask: Array, columns: Array, caches: list[Array]
    ) -> None:
        given = [ids, places, mask, columns]
        kinds = [each.dtype.name for each in given] == ["int64", "int64", "float32", "int64"]
        if not kinds or [each.ndim for each in given] != [2, 2, 3, 1] or ids.shape != places.shape:
            found = ", ".join(f"{each.dtype} {list(each.shape)}" for each in given)
            raise ContractError(
                f"the head was given {found}, not int64 [B, N], int64 [B, N], float32 [B, N, T], "
                "int64 [S]"
            )
        batch, new = ids.shape
        most = self.config.n_positions
        if mask.shape[:2] != ids.shape or not new <= mask.shape[2] <= most:
            raise ContractError(
                f"the head was given a mask {list(mask.shape)} for {new} new columns in {batch} "
                f"rows, where the caches have {most} columns"
            )
        if not ((places >= 0) & (places < most)).all():
            raise ContractError(f"the head was given positions {places.tolist()} of {most}")
        if not ((columns >= 0) & (columns < new)).all():
            raise ContractError(f"the head was asked to score columns {columns.tolist()} of {new}")
        shape = self.cache_shape(batch)
        if [len(caches), *{each.shape for each in caches}] != [shape[0], tuple(shape[1:])]:
            found = " and ".join(str(list(each)) for each in {each.shape for each in caches})
            raise ContractError(
                f"the head was given {len(caches)} caches {found}, not {shape[0]} {shape[1:]}"
            )


# Engine 07


NOW = 600  # seconds between an answer and its probe, at most


class Spelling:
    """A stand-in for a tokenizer: each token is some bytes, perhaps not whole characters."""

    def __init__(self, pieces: list[bytes], strips: bool) -> None:
        self.pieces, self.strips = pieces, strips

    def decode(self, token_ids: Sequence[int], /) -> str:
        text = b"".join(self.pieces[token] for token in token_ids).decode(errors="replace")
        return text.removeprefix(" ") if self.strips else text


def settled(answer: Any, ids: dict[str, int]) -> Any:
    """An answer whose id and time are the same in each run: ids are numbered as they come."""
    if answer is None:
        return None
    named, made = str(answer.get("id")), answer.get("created")
    is_now = isinstance(made, int | float) and abs(time.time() - made) < NOW
    number = ids.setdefault(named, len(ids))
    told = f"{type(made).__name__}, {'now' if is_now else 'another time'}"
    return {**answer, "id": f"{named[:5]}{number}", "created": told}


def plain_body(error: Any) -> dict[str, Any]:
    """The body of an ApiError, if it has the shape of one."""
    body = error.body()
    if not (isinstance(body, dict) and isinstance(body.get("error"), dict)):
        raise ContractError(f"the body of an ApiError is {body!r}, not an object with an error")
    return body


class EngineProbes(StepProbes):
    """What a check of any step can ask of it, those of the engine track among them."""

    def run_head(
        self, name: str, config: Config, *inputs: list[Array], weights: Mapping[str, Array]
    ) -> list[Array]:
        """The outputs of one head, on a model with these weights, for several inputs."""
        model = gpt2(self.step, config)
        load(model, weights)
        with F.lazy():
            head = public(self.step, name)(model)
        return [array(call(head, *map(tensor, given)), f"{name}.forward") for given in inputs]

    def trace_head(self, name: str, config: Config, dtype: str) -> dict[str, Any]:
        """A head in a graph, over a model of this dtype: what it returns, and its widest tensors.

        These are as wide as the vocabulary and as long as the text, and not in the transformer.
        """
        with default_dtype(DType[dtype]):
            model = gpt2(self.step, config)
            with F.lazy():
                head = public(self.step, name)(model)
            types = [TensorType(*given, device=CPU()) for given in TYPES[name]]
            traced = head.trace(*types)
            within = shapes_in(model.transformer.trace(types[0]))
        sizes = {"length", str(config.vocab_size)}
        wide = {shape for shape in shapes_in(traced) if sizes <= set(re.findall(r"\w+", shape))}
        return {
            "gives": [layout(each) for each in traced.out_layouts],
            "wide": sorted(wide - within),
        }

    def compile_heads(self, config: Config) -> dict[str, Any]:
        """How many graphs compile_heads compiles, and what each head that it returns does.

        Nothing is compiled: what has been traced until then says enough. The sizes of the ids are
        called batch and length, whatever symbols they have.
        """
        model = gpt2(self.step, config)
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
            returned = public(self.step, "compile_heads")(model)
            if not isinstance(returned, tuple | list) or len(returned) != 2:
                raise ContractError(
                    "compile_heads has to return the sampling head and the greedy head"
                )
            returned[0](ids, tensor(np.ones(())))
            returned[1](ids)
        if len(called) != 2:
            raise ContractError("a head that compile_heads returns is not compiled")
        return {
            "graphs": len(graphs),
            "sampling": signature(called[0]),
            "greedy": signature(called[1]),
        }

    def gumbel_sample(self, log_probs: Array, seed: int, *, calls: int = 1) -> list[Array]:
        """What calls with one generator draw; the numbers are read-only, as those of a tensor."""
        rng, given = np.random.default_rng(seed), log_probs.astype(np.float32)
        given.flags.writeable = False
        drawn = [public(self.step, "gumbel_sample")(given, rng) for _ in range(calls)]
        for ids in drawn:
            if not isinstance(ids, np.ndarray):
                raise ContractError(
                    f"gumbel_sample returned {type(ids).__name__}, not a NumPy array"
                )
        return drawn

    def write_text(
        self,
        prompt: str,
        *arguments: Any,
        logits: Array,
        alphabet: str,
        eager: bool = True,
        **options: Any,
    ) -> dict[str, Any]:
        """The text that generate_text makes with scripted heads, and what these were asked."""
        heads, write = ScriptedHeads(self.step, logits), public(self.step, "generate_text")
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

    def sampling(self, **options: Any) -> dict[str, Any]:
        """The fields of a Sampling."""
        made = public(self.step, "Sampling")(**options)
        return {name: getattr(made, name) for name in ("temperature", "top_k", "top_p")}

    def probabilities(self, logits: Array, **options: Any) -> Array:
        """What each token is drawn with."""
        given, how = read_only(logits, np.float32), public(self.step, "Sampling")(**options)
        return numpy_array(
            public(self.step, "probabilities")(given, how), "what probabilities returned"
        )

    def choose(
        self, logits: Array, seeds: list[int], *, calls: int = 1, **options: Any
    ) -> list[Array]:
        """What calls draw, with a generator for each row that goes on from call to call."""
        given, how = read_only(logits, np.float32), public(self.step, "Sampling")(**options)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        drawn = [public(self.step, "choose")(given, how, rngs) for _ in range(calls)]
        return [numpy_array(ids, "what choose returned") for ids in drawn]

    def left_pad(self, prompts: list[list[int]]) -> list[Array]:
        """The padded prompts, and where they start."""
        return two_arrays(public(self.step, "left_pad")(prompts), "left_pad")

    def positions_and_mask(self, start: Array, length: int, new: int) -> list[Array]:
        """The positions of the new columns, and what these see."""
        made = public(self.step, "positions_and_mask")(read_only(start, np.int64), length, new)
        return two_arrays(made, "positions_and_mask")

    def split_heads(self, projected: Array, n_head: int) -> list[Array]:
        """Queries, keys and values, as split_heads makes them."""
        parts = public(self.step, "split_heads")(tensor(projected), n_head)
        return [array(part, "split_heads") for part in parts]

    def attend(self, *inputs: Array) -> Array:
        """What attend returns for queries, keys, values and a mask."""
        return array(public(self.step, "attend")(*map(tensor, inputs)), "attend")

    def trace_attend(self, dtype: str) -> list[str]:
        """The dtype of what attend gives in a graph, for a float32 mask and the rest of this."""
        parts = [TensorType(DType[dtype], ["B", 2, length, 4], device=CPU()) for length in "NTT"]
        mask = TensorType(DType.float32, ["B", 1, "N", "T"], device=CPU())
        return [
            each.dtype.name for each in stage(public(self.step, "attend"))(*parts, mask).out_layouts
        ]

    def slide(self, input_ids: Array, start: Array, n_positions: int) -> list[Array]:
        """The ids that are seen, and where each row starts in them."""
        given = read_only(input_ids, np.int64), read_only(start, np.int64)
        return two_arrays(public(self.step, "slide")(*given, n_positions), "slide")

    def batch_model(
        self, config: Config, *inputs: list[Array], weights: Mapping[str, Array]
    ) -> dict[str, Any]:
        """What BatchModel carries and compiles, and its logits for several ids and starts.

        Nothing is compiled: a head that computes by itself answers for the graph.
        """
        model = gpt2(self.step, config)
        load(model, weights)
        graphs: list[StagedGraph[..., Any]] = []

        def keep(_: Any, staged: StagedGraph[..., Any], *__: object, **___: object) -> None:
            graphs.append(staged)

        def answer(_: Any, *given: Any) -> Any:
            expected = [each.dtype for each in graphs[-1].in_layouts]
            found = [each.dtype if isinstance(each, Tensor) else type(each) for each in given]
            if found != expected:
                names = [str(getattr(each, "name", each)) for each in found]
                raise ContractError(f"the compiled head was given {', '.join(names)}")
            with F.lazy():
                head = public(self.step, "GPT2BatchHead")(model)
            return call(head, *given)

        with (
            mock.patch.object(CompiledCallable, "__init__", keep),
            mock.patch.object(CompiledCallable, "__call__", answer),
        ):
            made = public(self.step, "BatchModel")(model)
            logits = [
                numpy_array(made(part_of_wider(ids), start), "what a BatchModel returned")
                for ids, start in inputs
            ]
        return {
            "config": settings(made),
            "graphs": [signature(graph) for graph in graphs],
            "logits": [np.array(each) for each in logits],
        }

    def generate_rows(
        self,
        name: str,
        prompts: list[list[int]],
        *arguments: Any,
        logits: Array,
        n_positions: int = 16,
        sampling: dict[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """What stream_tokens or generate_batch makes with a scripted model, and what it was asked.

        Of a stream, `asked` says how often the model had been asked when each column came.
        """
        model, given = (
            ScriptedBatch(self.step, logits, n_positions),
            [list(prompt) for prompt in prompts],
        )
        if sampling is not None:
            options["sampling"] = public(other_step(self.step, "engine_02"), "Sampling")(**sampling)
        made, asked = public(self.step, name)(model, given, *arguments, **options), []
        if name == "stream_tokens":
            columns = []
            for next_ids in itertools.islice(made, MOST_COLUMNS):
                columns.append(np.array(numpy_array(next_ids, "what stream_tokens yielded")))
                asked.append(len(model.seen))
            made = columns
        return {"made": made, "asked": asked, "seen": model.seen, "prompts": given}

    def linear(self, x: Array, weights: Mapping[str, Array]) -> Array:
        """What linear returns for x with a layer of these weights."""
        with F.lazy():
            layer = Linear(*reversed(weights["weight"].shape))
        load(layer, weights)
        return array(
            interpret(partial(public(self.step, "linear"), layer), "linear", [buffer(x)]), "linear"
        )

    def remember(self, cache: Array, new: Array, length: int) -> dict[str, Array]:
        """What remember returns, and the cache afterwards."""

        def write(new: Tensor, cache: Tensor) -> object:
            return public(self.step, "remember")(cache, new, Dim(length))

        written = buffer(cache)
        columns = interpret(write, "remember", [buffer(new)], [written])
        return {"columns": array(columns, "remember"), "cache": np.array(written.to_numpy())}

    def run_cached_head(
        self,
        config: Config,
        calls: Sequence[Sequence[Array]],
        *,
        cache: Array,
        weights: Mapping[str, Array],
    ) -> list[Array]:
        """What the head returns for the inputs of each call; all caches begin so."""
        model = gpt2(self.step, config)
        load(model, weights)
        head, name = public(self.step, "GPT2CachedHead")(model), "GPT2CachedHead.forward"
        caches = [buffer(cache) for _ in range(2 * config.n_layer)]
        return [
            array(interpret(head, name, [*map(buffer, given)], caches), name) for given in calls
        ]

    def trace_cached_head(self, config: Config, dtype: str) -> list[Any]:
        """What the head gives in a graph whose lengths are symbols, over a model of this dtype."""
        with default_dtype(DType[dtype]):
            model = gpt2(self.step, config)
            with F.lazy():
                head = public(self.step, "GPT2CachedHead")(model)
        tokens = TensorType(DType.int64, ["batch", "new"], device=CPU())
        mask = TensorType(DType.float32, ["batch", "new", "length"], device=CPU())
        scored = TensorType(DType.int64, ["scored"], device=CPU())
        sizes = config.n_head, config.n_positions, config.n_embd // config.n_head
        cache = BufferType(DType[dtype], ["batch", *sizes], DeviceRef.CPU())
        traced = head.trace(tokens, tokens, mask, scored, *[cache] * 2 * config.n_layer)
        return [layout(each) for each in traced.out_layouts]

    def compile_cached_model(self, config: Config) -> dict[str, Any]:
        """What the graphs that CachedModel compiles take and give, and which methods it asks.

        And how many weights they have, each of which counts once for all graphs that share it.
        """
        weights = {name: np.zeros(shape) for name, shape in shapes(gpt2(self.step, config)).items()}
        model = RecordedModel(self.step, config, weights)
        sizes = "batch", "new", "length", "scored"  # of the mask, and of what is scored
        return {
            "graphs": [signature(head.staged, sizes, of=(2, 3)) for head in model.heads],
            "asked": sorted(model.asked),
            "weights": len({id(each) for head in model.heads for each in head.parameters.values()}),
        }

    def ask_cached_model(
        self, config: Config, calls: Sequence[Sequence[Any]], *, weights: Mapping[str, Array]
    ) -> dict[str, Any]:
        """What comes of ids and starts for one CachedModel, and these arrays after each call.

        With a count behind them that many columns are scored. Arrays of the same shape come in the
        same array, which changes in between.
        """
        model, after = RecordedModel(self.step, config, weights), []
        kept: dict[tuple[int, ...], Array] = {}
        for ids, start, *count in calls:
            given = [kept.setdefault(values.shape, values.copy()) for values in (ids, start)]
            for place, values in zip(given, (ids, start), strict=True):
                place[...] = values
            if count:
                model.score(given[0], given[1], *count)
            else:
                model(*given)
            after.append([values.copy() for values in given])
        return {**model.record(), "after": after}

    def generate_by_cached_model(
        self, config: Config, *arguments: Any, weights: Mapping[str, Array]
    ) -> dict[str, Any]:
        """The greedy tokens that generate_batch of engine 03 makes with a CachedModel."""
        model, batches = (
            RecordedModel(self.step, config, weights),
            other_step(self.step, "engine_03"),
        )
        greedy, seeds = (
            public(other_step(self.step, "engine_02"), "Sampling")(temperature=0),
            range(len(arguments[0])),
        )
        ids = public(batches, "generate_batch")(model, *arguments, greedy, seeds=seeds)
        return {**model.record(), "ids": ids}

    # Engine 05

    def write_plainly(
        self, last: int, count: int, *, logits: Array, seed: int, **sampling: Any
    ) -> dict[str, Any]:
        """The tokens of a plain loop after a token, and the noise to be drawn before and after."""
        source = other_step(self.step, "engine_02")
        how, rng = public(source, "Sampling")(**sampling), np.random.default_rng(seed)
        tokens, noise = [last], [noise_of(rng)]
        for _ in range(count):
            tokens += following(source, logits, tokens[-1], 1, how, rng).tolist()
            noise.append(noise_of(rng))
        return {"tokens": tokens[1:], "noise": noise}

    def model_draft(
        self, ids: Array, count: int, *, logits: Array, seed: int, **sampling: Any
    ) -> dict[str, Any]:
        """What a ModelDraft guesses, what its model saw, and what that did to the generator."""
        model = ScriptedScores(self.step, logits, n_positions=16)
        how = public(other_step(self.step, "engine_02"), "Sampling")(**sampling)
        rng = WatchedGenerator(np.random.PCG64(seed))  # as default_rng(seed)
        draft = public(self.step, "ModelDraft")(model)
        guesses = numpy_array(draft(read_only(ids, np.int64), count, how, rng), "the guesses")
        drawn = rng.drawn
        return {"guesses": guesses, "seen": model.rows, "drawn": drawn, "noise": noise_of(rng)}

    def lookup_draft(self, ids: Array, count: int, *longest: int) -> Array:
        """What a LookupDraft guesses."""
        how, rng = public(other_step(self.step, "engine_02"), "Sampling")(), np.random.default_rng()
        draft = public(self.step, "LookupDraft")(*longest)
        return numpy_array(draft(read_only(ids, np.int64), count, how, rng), "the guesses")

    def verify(
        self, logits: Array, guesses: Array, *, seed: int, **sampling: Any
    ) -> dict[str, Any]:
        """The tokens that stand, and the noise to be drawn next."""
        how = public(other_step(self.step, "engine_02"), "Sampling")(**sampling)
        rng, given = np.random.default_rng(seed), read_only(logits, np.float32)
        tokens = public(self.step, "verify")(given, read_only(guesses, np.int64), how, rng)
        return {"tokens": numpy_array(tokens, "what verify returned"), "noise": noise_of(rng)}

    def speculate(
        self,
        prompt: list[int],
        *arguments: Any,
        logits: Array,
        right: list[int],
        most: int = 16,
        n_positions: int = 128,
        sampling: dict[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """What stream_speculative writes with a scripted model and draft, and what these saw.

        `asked` says how often the model had been asked when each token came.
        """
        model = ScriptedScores(self.step, logits, n_positions)
        draft = ScriptedDraft(self.step, model.logits, right, most)
        if sampling is not None:
            options["sampling"] = public(other_step(self.step, "engine_02"), "Sampling")(**sampling)
        stream = public(self.step, "stream_speculative")
        made, asked = [], []
        for token in itertools.islice(
            stream(model, draft, [*prompt], *arguments, **options), MOST_COLUMNS
        ):
            made.append(operator.index(token))
            asked.append(len(model.seen))
        return {"made": made, "asked": asked, "seen": model.rows, "guesses": draft.asked}

    # Engine 06

    def take_tokens(
        self, logits: Array, *, seed: int, sampling: dict[str, Any], **options: Any
    ) -> dict[str, Any]:
        """What a Row has after each of these logits, which it is given one after the other."""
        row = self._row({"prompt": [1, 2], "seed": seed, "sampling": sampling, **options})
        states = []
        for given in logits:
            row.take(read_only(given, np.float32))
            states.append([[*row.new], row.ended, numpy_array(row.logits, "logits of a Row")])
        return {"states": [state[:2] for state in states], "logits": [each[2] for each in states]}

    def run_batch(
        self, rows: list[dict[str, Any]], slots: int, n_positions: int, steps: int, *, logits: Array
    ) -> dict[str, Any]:
        """What a RunningBatch does with these rows, step by step, and what its model is shown.

        A row is added before the step `at`, and cancelled before the step `cancel`.
        """
        model = WatchedCaches(self.step, logits, n_positions)
        batch, made, saw, calls = public(self.step, "RunningBatch")(model, slots), [], [], []
        kept = [self._row(row) for row in rows]
        for turn in range(steps):
            for row, given in zip(kept, rows, strict=True):
                if given.get("at", 0) == turn:
                    batch.waiting.append(row)
                if given.get("cancel") == turn:
                    row.ended = "cancelled"
            model.begin()
            made.append(sorted(kept.index(row) for row in batch.step()))
            saw.append(sorted(model.saw, key=str))
            calls.append(model.calls)
        ends = [[[operator.index(token) for token in row.new], row.ended] for row in kept]
        return {"rows": ends, "made": made, "saw": saw, "calls": calls}

    def _row(self, given: dict[str, Any]) -> Any:
        """A Row of step engine_06, with a generator of its own."""
        how = public(other_step(self.step, "engine_02"), "Sampling")(**given["sampling"])
        options = {name: given[name] for name in ("max_new_tokens", "ends") if name in given}
        rng = np.random.default_rng(given["seed"])
        return public(self.step, "Row")([*given["prompt"]], rng, sampling=how, **options)

    # Engine 07

    def api_error(self, *given: Any, **named: Any) -> dict[str, Any]:
        """The body of an ApiError, which can be raised."""
        error = public(self.step, "ApiError")(*given, **named)
        if not isinstance(error, Exception):
            raise ContractError("ApiError is not an Exception, so it cannot be raised")
        return plain_body(error)

    def parse_request(self, body: str, model: str, encoding: str = "utf-8") -> dict[str, Any]:
        """What parse_request returns for a body: the fields, or status and body of an error."""
        try:
            request = public(self.step, "parse_request")(body.encode(encoding), model)
        except public(self.step, "ApiError") as error:
            return {"status": error.status, **plain_body(error)["error"]}
        kind = public(self.step, "CompletionRequest")
        if not isinstance(request, kind):
            found = type(request).__name__
            raise ContractError(f"parse_request returned {found}, not a CompletionRequest")
        return {"fields": msgspec.to_builtins(request)}

    def make_rows(self, fields: dict[str, Any], ids: list[int], ends: list[int]) -> list[Any]:
        """The rows for a request with these fields, each with what its generator draws first."""
        request = public(self.step, "CompletionRequest")(**fields)
        kind = public(other_step(self.step, "engine_06"), "Row")
        rows = public(self.step, "make_rows")(request, ids, ends)
        if strange := [type(row).__name__ for row in rows if not isinstance(row, kind)]:
            raise ContractError(f"make_rows returned {strange[0]}, not a Row of engine 06")
        return [
            {
                "prompt": [*row.prompt],
                "max_new_tokens": row.max_new_tokens,
                "sampling": [row.sampling.temperature, row.sampling.top_k, row.sampling.top_p],
                "ends": [*row.ends],
                "draws": int(row.rng.integers(2**40)),
                "new": [*row.new],
            }
            for row in rows
        ]

    def complete(
        self,
        fields: dict[str, Any],
        prompt: list[int],
        texts: list[list[int]],
        ends: list[str],
        pieces: list[list[int]],
        strips: bool = False,
    ) -> dict[str, Any]:
        """What a Completion answers while its rows get the tokens of these texts, one a step.

        A token is some bytes; with `strips`, a text loses the space that it begins with.
        """
        request = public(self.step, "CompletionRequest")(**fields)
        how = public(other_step(self.step, "engine_02"), "Sampling")()
        kind = public(other_step(self.step, "engine_06"), "Row")
        rows = [kind(prompt, np.random.default_rng(), 99, how) for _ in texts]
        tokenizer = Spelling([bytes(piece) for piece in pieces], strips)
        answer, chunks = public(self.step, "Completion")(request, rows, tokenizer), []
        ids: dict[str, int] = {}
        for turn in range(max(map(len, texts)) + 1):
            for number, (row, tokens, end) in enumerate(zip(rows, texts, ends, strict=True)):
                if row.ended:
                    continue
                row.new += tokens[turn : turn + 1]
                # A row that ends by a token of `ends` gets no token; by "length", its last one.
                if turn + (end == "length") == len(tokens):
                    row.ended = end
                chunks.append([turn, number, settled(answer.chunk(row), ids)])
        whole, other = answer.whole(), public(self.step, "Completion")(request, rows, tokenizer)
        return {
            "chunks": chunks,
            "whole": settled(whole, ids),
            "usage": answer.usage(),
            "ended": [row.ended for row in rows],
            "new": [len(row.new) for row in rows],
            "other": settled(other.whole(), ids),
        }

    def encode_event(self, data: dict[str, Any] | None) -> str:
        """An event, as the text of its bytes."""
        event = public(self.step, "encode_event")(data)
        if not isinstance(event, bytes):
            raise ContractError(f"encode_event returned {type(event).__name__}, not bytes")
        return event.decode()
