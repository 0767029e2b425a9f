"""Text from a model folder, with the reference or the learner's own steps."""

import importlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.status import Status

from tutor import runtime
from tutor.checkpoint import TOKENIZER
from tutor.errors import InputError, reason

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor

    from solutions.solution_12 import LanguageModel


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
    """The module of a step in either tree."""
    runtime.activate()
    name = f"{tree}.{tree.removesuffix('s')}_{number:02}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            path = name.replace(".", "/") + ".py"
            raise InputError(f"{path} is not there; write it, or leave out --tree") from None
        raise


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
    try:
        model = load_step(tree, 11).load_pretrained(folder)
    except ValueError as error:
        cure = "fetch it anew" if tree == "solutions" else "or is it step 11?"
        raise InputError(f"{folder} cannot be loaded: {reason(error)}; {cure}") from None
    for name, parameter in model.parameters:
        if not np.isfinite(parameter.to_numpy()).all():
            raise InputError(f"{folder} has numbers in {name} that are not finite; fetch it anew")
    return model


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
