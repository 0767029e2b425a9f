"""The loops that generation can run, each on a compiled model; some with batches, or a cache."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tutor.course.registry import Role, Step, step_that
from tutor.engine import trees
from tutor.engine.families import GPT2
from tutor.engine.family import Family
from tutor.errors import InputError

if TYPE_CHECKING:
    from max.driver import Device
    from max.experimental.tensor import Tensor

Tokens = NDArray[np.int64]
Columns = Iterator[Tokens]  # a token for each row [B], again and again
NONE = np.array([], np.int64)

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

    step: Step

    @property
    def remark(self) -> str:
        """On what it has written, if there is anything to say."""
        ...

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        """What the compiled model says after a prompt, [V]."""
        ...

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        """The next tokens of all rows, [B], until all have come to `stop`, which they repeat."""
        ...


class BatchLoop:
    """The loop of the engine track, with a model that keeps a cache or one that does not."""

    def __init__(
        self, tree: str, model: Any, device: "Device", step: Step, kind: str, silent: Tokens = NONE
    ) -> None:
        """`kind` is what the step calls such a model; without one, it has none for this family."""
        self.step, self.silent = step, silent
        self.sampling = trees.load_step(tree, step_that("samples"))
        self.batches = trees.load_step(tree, step_that("batches"))
        make = getattr(trees.load_step(tree, step), kind) if kind else WholeModel
        self.model = make(model, device=device)

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model(np.array([token_ids]), np.zeros(1, np.int64))[0]
        return logits

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        model, sampling = quieted(self.model, self.silent), self.settings(options)
        columns: Columns = self.batches.stream_tokens(
            model, prompts, options.max_new_tokens, sampling, seeds=seeds, stop=stop
        )
        return columns

    @property
    def remark(self) -> str:
        return ""

    def settings(self, options: Options) -> Any:
        """What engine 02 calls Sampling."""
        return self.sampling.Sampling(options.temperature, options.top_k, options.top_p)


class SpeculativeLoop(BatchLoop):
    """The loop of the cache; for a row alone a draft guesses, and the model checks the guesses."""

    def __init__(
        self, tree: str, model: Any, silent: Tokens, draft: Any, family: Family = GPT2
    ) -> None:
        step = step_that(family.caches)
        super().__init__(tree, model, draft.device, step, family.cached_model, silent)
        self.code = trees.load_step(tree, step_that("speculates"))
        self.draft = self.code.ModelDraft(quieted(draft, silent))
        self.guesses: list[int] = []  # of this round, and not checked yet
        self.guessed = self.stood = 0

    @property
    def remark(self) -> str:
        return f"{self.stood} of {self.guessed} guesses stood" if self.guessed else ""

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        if len(prompts) == 1:
            return self._speculate(prompts[0], seeds[0], options, stop)
        return super().tokens(prompts, seeds, options, stop)

    def _speculate(
        self, prompt: list[int], seed: int, options: Options, stop: int | None
    ) -> Columns:
        model, sampling = quieted(self.model, self.silent), self.settings(options)
        for token in self.code.stream_speculative(
            model, self._guess, prompt, options.max_new_tokens, sampling, seed=seed, stop=stop
        ):
            self.stood += bool(self.guesses) and self.guesses.pop(0) == token
            yield np.array([token])

    def _guess(self, *given: Any) -> Tokens:
        guesses: Tokens = self.draft(*given)
        self.guesses, self.guessed = guesses.tolist(), self.guessed + len(guesses)
        return guesses


class StepLoop:
    """The loop of step 12, each row by itself: for who has not come to the engine track yet."""

    remark = ""

    def __init__(self, tree: str, model: Any, device: "Device", silent: Tokens = NONE) -> None:
        self.tree, self.step, self.silent = tree, step_that("generates"), silent
        self.code = trees.load_step(tree, self.step)
        self.model = CompiledModel(model, device)

    def logits(self, token_ids: list[int]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model(as_tensor([token_ids])).to_numpy()[0, -1]
        return logits

    def tokens(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        for name in ("top_k", "top_p"):
            if getattr(options, name) != getattr(Options, name):
                batches = step_that("batches")
                unfinished = trees.find_unfinished(self.tree, batches) or {batches: "not used"}
                missing, why = next(iter(unfinished.items()))
                option, file = f"--{name.replace('_', '-')}", missing.file(self.tree)
                raise InputError(
                    f"{option} needs {batches.label}, but {file} is {why}; leave it out"
                )
        return self._columns(prompts, seeds, options, stop)

    def _columns(
        self, prompts: list[list[int]], seeds: list[int], options: Options, stop: int | None
    ) -> Columns:
        from max.experimental import functional as F

        model = quieted(self.model, self.silent)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        rows, ended = [as_tensor([prompt]) for prompt in prompts], np.zeros(len(prompts), bool)
        for _ in range(options.max_new_tokens):
            column = np.full(len(rows), stop or 0)
            for i in np.flatnonzero(~ended):
                next_id = self.code.generate_next_token(
                    model, rows[i], options.temperature, rng=rngs[i]
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


class WholeModel(CompiledModel):
    """In place of engine 03's BatchModel: each row by itself, so that none needs any padding."""

    def __call__(self, input_ids: Tokens, start: Tokens, /) -> NDArray[np.float32]:  # type: ignore[override]
        rows = [
            super(WholeModel, self).__call__(as_tensor([row[first:].tolist()]))
            for row, first in zip(input_ids, start, strict=True)
        ]
        return np.stack([row.to_numpy()[0, -1] for row in rows])


class Quieted:
    """A model that expects none of some tokens, since they have no text."""

    def __init__(self, model: Any, silent: Tokens) -> None:
        self.config, self._model, self._silent = model.config, model, silent

    def __call__(self, *inputs: Any) -> Any:
        return self._quiet(self._model(*inputs))

    def score(self, *inputs: Any) -> Any:
        """The same for what speculative decoding asks of a cached model."""
        return self._quiet(self._model.score(*inputs))

    def _quiet(self, made: Any) -> Any:
        return quiet(made, self._silent)


def quiet(made: Any, silent: Tokens) -> Any:
    """A copy of logits, in a tensor or an array, in which some tokens cannot be drawn."""
    from max.experimental.tensor import Tensor

    is_tensor = isinstance(made, Tensor)
    logits = np.array(made.to_numpy() if is_tensor else made)
    logits[..., silent] = -np.inf
    return Tensor.from_dlpack(logits).to(made.device) if is_tensor else logits


def quieted(model: Any, silent: Tokens) -> Any:
    """A model, or where there are tokens without text, one that does not expect them."""
    return Quieted(model, silent) if silent.size else model


def make_loop(
    tree: str,
    model: Any,
    device: "Device",
    cache: bool,
    silent: Tokens = NONE,
    make_draft: Callable[[], Any] = lambda: None,
    family: Family = GPT2,
) -> Loop:
    """The best loop of a tree that is finished, with its model compiled; the reference has all.

    It draws none of the tokens that are silent, whatever the model says. A draft is made, if one
    is to be had, where a step can use it.
    """

    def is_finished(role: Role) -> bool:
        return not trees.find_unfinished(tree, step_that(role))

    fast: list[tuple[Role, str]] = [(family.caches, family.cached_model)] * cache
    fast.append(("batches", family.batch_model))
    finished = next((each for each in fast if is_finished(each[0])), None)
    can_speculate = cache and is_finished("speculates") and is_finished(family.caches)
    loop: Loop
    if draft := make_draft() if can_speculate else None:
        loop = SpeculativeLoop(tree, model, silent, draft, family)
    elif finished:
        role, kind = finished
        loop = BatchLoop(tree, model, device, step_that(role), kind, silent)
    else:
        loop = StepLoop(tree, model, device, silent)
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
            f"compiled, the model of {loop.step.file('steps')} computes something "
            f"else than before; see tutor check {loop.step.short}, and write "
            "softmax as F.softmax(…), which the course guards"
        )


def as_tensor(token_ids: list[list[int]]) -> "Tensor":
    """Rows of token ids of the same length, as int64."""
    from max.experimental.tensor import Tensor

    return Tensor.from_dlpack(np.array(token_ids, dtype=np.int64))
