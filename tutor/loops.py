"""The loops that generation can run, each on a compiled model: engine 04, engine 03, step 12."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tutor import course, loading
from tutor.errors import InputError

if TYPE_CHECKING:
    from max.driver import Device
    from max.experimental.tensor import Tensor

Columns = Iterator[NDArray[np.int64]]  # a token for each row [B], again and again

# The steps with a loop are CORE, BATCHES and CACHE; SAMPLING has the settings of the last two.
CORE, SAMPLING, BATCHES, CACHE = 12, 14, 15, 16

# Below this the temperature is greedy: to divide logits by it could overflow, even in float32.
COLDEST = 1e-30

# Of the largest logit: rounding moves it by 1e-6, a lost mask by a tenth.
COMPILED_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Options:
    """How to write. Raises InputError for a value that cannot be."""

    max_new_tokens: int = 200
    temperature: float = 0.8  # 0 is greedy
    top_k: int | None = None  # None keeps all
    top_p: float = 1.0
    stop_at_eos: bool = True

    def __post_init__(self) -> None:
        for name, wanted, holds in (
            ("max_new_tokens", "at least 1", self.max_new_tokens >= 1),
            ("temperature", "0 or more", 0 <= self.temperature < math.inf),
            ("top_k", "at least 1", self.top_k is None or self.top_k >= 1),
            ("top_p", "above 0 and at most 1", 0 < self.top_p <= 1),
        ):
            if not holds:
                option = f"--{name.replace('_', '-')}"
                raise InputError(f"{option} must be {wanted}, but is {getattr(self, name)}")
        if self.temperature < COLDEST:
            object.__setattr__(self, "temperature", 0.0)


class Loop(Protocol):
    """A compiled model in the loop of a step."""

    number: int  # of the step

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        """What the compiled model says after a prompt, [V]."""
        ...

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        """The next tokens of all rows, [B], until all have come to `stop`, which they repeat."""
        ...


class EngineLoop:
    """The loop of engine 03, with its model or the cached one of engine 04."""

    def __init__(self, tree: str, model: Any, device: "Device", number: int) -> None:
        self.number = number
        self.step, self.sampling = (loading.load_step(tree, n) for n in (BATCHES, SAMPLING))
        if number == CACHE:
            self.model = loading.load_step(tree, CACHE).CachedModel(model, device=device)
        else:
            self.model = self.step.BatchModel(model, device=device)

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model(np.array([token_ids]), np.zeros(1, np.int64))[0]
        return logits

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        sampling = self.sampling.Sampling(options.temperature, options.top_k, options.top_p)
        columns: Columns = self.step.stream_tokens(
            self.model, prompts, options.max_new_tokens, sampling, seeds=seeds, stop=stop
        )
        return columns


class StepLoop:
    """The loop of step 12, each row by itself: until the engine steps are finished."""

    number = CORE

    def __init__(self, tree: str, model: Any, device: "Device") -> None:
        self.tree, self.step = tree, loading.load_step(tree, CORE)
        self.model = CompiledModel(model, device)

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model(as_tensor([token_ids])).to_numpy()[0, -1]
        return logits

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        for name in ("top_k", "top_p"):
            if getattr(options, name) != getattr(Options, name):
                earlier, why = loading.find_unfinished(self.tree, BATCHES) or (BATCHES, "")
                option, file = f"--{name.replace('_', '-')}", course.file_name(self.tree, earlier)
                raise InputError(f"{option} needs engine 03, but {file} is {why}; leave it out")
        return self._columns(prompts, seeds, options, stop)

    def _columns(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        from max.experimental import functional as F

        rngs = [np.random.default_rng(seed) for seed in seeds]
        rows, ended = [as_tensor([prompt]) for prompt in prompts], np.zeros(len(prompts), bool)
        for _ in range(options.max_new_tokens):
            column = np.full(len(rows), stop or 0)
            for i in np.flatnonzero(~ended):
                next_id = self.step.generate_next_token(
                    self.model, rows[i], options.temperature, rng=rngs[i]
                )
                rows[i], column[i] = F.concat([rows[i], next_id], axis=1), next_id.item()
            yield column
            ended |= column == stop
            if ended.all():
                return


class CompiledModel:
    """A model compiled for any batch and length, with its config: [B, T] int64 -> [B, T, V]."""

    def __init__(self, model: Any, device: "Device | None" = None) -> None:
        from max.driver import CPU
        from max.dtype import DType
        from max.experimental.tensor import TensorType

        self.config = model.config
        self._device = device or CPU()
        tokens = TensorType(DType.int64, ["batch", "length"], device=self._device)
        self._run = model.compile(tokens)

    def __call__(self, input_ids: "Tensor", /) -> "Tensor":
        logits: Tensor = self._run(input_ids.to(self._device))
        return logits


def make_loop(tree: str, model: Any, device: "Device", cache: bool) -> Loop:
    """The best loop of a tree that is finished, with its model compiled; the reference has all."""
    numbers = [CACHE, BATCHES] if cache else [BATCHES]
    finished = (number for number in numbers if not loading.find_unfinished(tree, number))
    loop: Loop
    if number := next(finished, None):
        loop = EngineLoop(tree, model, device, number)
    else:
        loop = StepLoop(tree, model, device)
    if tree == "steps":
        compare(loop, model, device)
    return loop


def compare(loop: Loop, model: Any, device: "Device") -> None:
    """Make sure that a learner's compiled model computes what it computes when not compiled."""
    config = model.config
    prompt = [token % config.vocab_size for token in range(1, 1 + min(5, config.n_positions))]
    eager = model(as_tensor([prompt]).to(device)).to_numpy()[0, -1]
    fast = loop.logits(prompt)
    if not np.allclose(eager, fast, rtol=0, atol=COMPILED_TOLERANCE * np.abs(eager).max()):
        raise InputError(
            f"compiled, the model of {course.file_name('steps', loop.number)} computes something "
            f"else than before; see tutor check {course.short_name(loop.number)}, and write "
            "softmax as F.softmax(…), which the course guards"
        )


def as_tensor(token_ids: list[list[int]]) -> "Tensor":
    """Rows of token ids of the same length, as int64."""
    from max.experimental.tensor import Tensor

    return Tensor.from_dlpack(np.array(token_ids, dtype=np.int64))
