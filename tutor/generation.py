"""Text from a model folder, with the reference or the learner's own steps."""

import importlib
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.status import Status

from tutor import ROOT, course, runtime, stubs
from tutor.checkpoint import TOKENIZER
from tutor.errors import InputError, reason

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor

    from solutions.solution_12 import LanguageModel


# Of the largest logit: rounding moves it by 1e-6, a lost mask by a tenth.
COMPILED_TOLERANCE = 1e-3


class Tokenizer:
    """The tokenizer of a model folder, from its tokenizer.json, as generation wants it."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as FastTokenizer

        self._tokenizer = FastTokenizer.from_file(str(path))

    def encode(self, text: str, /) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def decode(self, token_ids: list[int], /) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def end_of_text(self) -> int | None:
        """The token with which GPT-2 ends a text."""
        token: int | None = self._tokenizer.token_to_id("<|endoftext|>")
        return token


class CompiledModel:
    """A model compiled for any batch and length, with its config: [B, T] int64 -> [B, T, V]."""

    def __init__(self, model: Any, device: Any = None) -> None:
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


def load_step(tree: str, number: int) -> ModuleType:
    """The module of a step in either tree; a learner's own is refused until it is finished."""
    if tree == "steps":
        for earlier in range(1, number + 1):
            file = course.file_name(tree, earlier)
            if why := stubs.unfinished(ROOT / file):
                cure = f"see tutor check {course.short_name(earlier)}, or leave out --tree"
                raise InputError(f"{file} is {why}; {cure}")
    runtime.activate()
    with learners_code(tree):
        return importlib.import_module(course.module_name(tree, number))


@contextmanager
def learners_code(tree: str) -> Iterator[None]:
    """Turn what a learner's own code raises into one line that says where."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        places = [
            f"{tree}/{Path(frame.filename).name}, line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).parent == ROOT / tree
        ]
        if tree == "solutions" or not places:
            raise
        raise InputError(f"{places[-1]}: {type(error).__name__}: {reason(error)}") from error


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    try:
        return Tokenizer(folder / TOKENIZER)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"{folder / TOKENIZER} cannot be read ({reason(error)}); fetch it anew"
        ) from None


def load_model(folder: Path, tree: str = "solutions") -> Any:
    """The model in a folder, not compiled yet."""
    step = load_step(tree, 11)
    try:
        with learners_code(tree):
            model = step.load_pretrained(folder)
    except ValueError as error:
        raise InputError(f"{folder} cannot be loaded: {reason(error)}; fetch it anew") from None
    for name, parameter in model.parameters:
        if not np.isfinite(parameter.to_numpy()).all():
            raise InputError(f"{folder} has numbers in {name} that are not finite; fetch it anew")
    return model


def compile_model(model: Any, prompt_ids: list[int], tree: str = "solutions") -> CompiledModel:
    """The model compiled; of a learner's, it is made sure that it computes the same as before."""
    from max.experimental.tensor import Tensor

    with learners_code(tree):
        compiled = CompiledModel(model)
    if tree == "steps":
        tokens = Tensor.from_dlpack(np.array([prompt_ids], dtype=np.int64))
        eager, fast = model(tokens).to_numpy(), compiled(tokens).to_numpy()
        if not np.allclose(eager, fast, rtol=0, atol=COMPILED_TOLERANCE * np.abs(eager).max()):
            raise InputError(
                "MAX compiles your model into one that computes something else; "
                "write the softmax of step 07 as F.softmax(…), which the course guards"
            )
    return compiled


def encode_prompt(prompt: str, tokenizer: Tokenizer, config: Any) -> list[int]:
    """The token ids of a prompt, if the model can go on from them."""
    ids = tokenizer.encode(prompt)
    if not ids:
        raise InputError("the tokenizer makes no tokens of the prompt; try other words")
    if len(ids) > config.n_positions:
        raise InputError(
            f"the prompt has {len(ids)} tokens, but the model sees {config.n_positions} at most; "
            "shorten it"
        )
    if max(ids) >= config.vocab_size:
        raise InputError(
            f"the tokenizer made token {max(ids)}, but the model knows {config.vocab_size}; "
            "take both from the same folder"
        )
    return ids


def stream_text(
    model: "LanguageModel",
    tokenizer: Tokenizer,
    prompt_ids: list[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    seed: int | None = None,
    tree: str = "solutions",
) -> Iterator[tuple[str, int]]:
    """Yield the text after the prompt piece by piece, and how many tokens each piece took.

    Stops early where the model ends its text. A character of several tokens comes whole.
    """
    generate_next_token = load_step(tree, 12).generate_next_token
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor

    rng = np.random.default_rng(seed)
    input_ids = Tensor.from_dlpack(np.array([prompt_ids], dtype=np.int64))
    new_ids: list[int] = []
    text, shown, pending = "", "", 0
    for _ in range(max_new_tokens):
        with learners_code(tree):
            next_id = generate_next_token(model, input_ids, temperature, do_sample, rng=rng)
        if next_id.item() == tokenizer.end_of_text():
            break
        input_ids = F.concat([input_ids, next_id], axis=1)
        new_ids.append(int(next_id.item()))
        pending += 1
        text = tokenizer.decode(new_ids)
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield text[len(shown) :], pending
            shown, pending = text, 0
    if pending:
        yield text[len(shown) :], pending


@contextmanager
def patience(status: Status, after: float = 10.0) -> Iterator[None]:
    """Say after a while that a model is being compiled; one that was compiled before is quick."""

    def explain() -> None:
        text = "Compiling the model, which is done once; a minute or two …"
        status.update(text)
        if not status.console.is_terminal:
            status.console.print(text)

    timer = threading.Timer(after, explain)
    timer.start()
    start = time.perf_counter()
    try:
        yield
    finally:
        timer.cancel()
    if (seconds := time.perf_counter() - start) > after:
        status.console.print(f"Compiled it in {seconds:.0f} s; the next start needs none of it.")
