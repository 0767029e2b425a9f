"""What generation needs: the code of a tree, and tokenizer and weights of a model folder."""

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
from rich.text import Text

from tutor import ROOT, course, runtime, stubs
from tutor.checkpoint import TOKENIZER
from tutor.errors import EnvironmentBrokenError, InputError, reason

if TYPE_CHECKING:
    from max.driver import Device


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


def load_step(tree: str, number: int) -> ModuleType:
    """The module of a step in either tree; a learner's own is refused until it is finished."""
    if found := find_unfinished(tree, number):
        earlier, why = found
        cure = f"see tutor check {course.short_name(earlier)}, or leave out --tree"
        raise InputError(f"{course.file_name(tree, earlier)} is {why}; {cure}")
    runtime.activate()
    with learners_code(tree):
        return importlib.import_module(course.module_name(tree, number))


def find_unfinished(tree: str, number: int) -> tuple[int, str] | None:
    """The first step up to this one that the learner has not finished, and what it is instead."""
    if tree == "steps":
        for earlier in range(1, number + 1):
            if why := stubs.unfinished(ROOT / course.file_name(tree, earlier)):
                return earlier, why
    return None


@contextmanager
def learners_code(tree: str) -> Iterator[None]:
    """Turn what a learner's own code raises into one line that says where."""
    try:
        yield
    except (InputError, EnvironmentBrokenError):
        raise
    except Exception as error:
        places = [
            f"{tree}/{Path(frame.filename).name}, line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).parent == ROOT / tree
        ]
        if tree == "solutions":
            raise
        said = f"{type(error).__name__}: {reason(error)}"
        if not places:
            said = f"what your steps return cannot be used ({said}); see tutor check for them"
        raise InputError(f"{places[-1]}: {said}" if places else said) from error


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    try:
        return Tokenizer(folder / TOKENIZER)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"{folder / TOKENIZER} cannot be read ({reason(error)}); fetch it anew"
        ) from None


def load_model(folder: Path, tree: str = "solutions", device: "Device | None" = None) -> Any:
    """The model in a folder, not compiled yet."""
    step = load_step(tree, 11)
    try:
        with learners_code(tree):
            model = step.load_pretrained(folder, device=device)
    except ValueError as error:
        raise InputError(f"{folder} cannot be loaded: {reason(error)}; fetch it anew") from None
    for name, parameter in model.parameters:
        if not np.isfinite(parameter.to_numpy()).all():
            raise InputError(f"{folder} has numbers in {name} that are not finite; fetch it anew")
    return model


class CompileClock:
    """Shows on a status line what MAX compiles, and for how long it has."""

    def __init__(self, status: Status) -> None:
        self.status, self.done = status, threading.Event()

    def __call__(self, message: str, begins: bool) -> None:
        self.done.set()
        if begins:
            self.done = threading.Event()
            threading.Thread(target=self._count, args=[message, self.done], daemon=True).start()
        if not (begins and self.status.console.is_terminal):
            self.status.console.print(Text(message, style="dim"))

    def _count(self, message: str, done: threading.Event) -> None:
        start = time.monotonic()
        while not done.wait(1):
            seconds = int(time.monotonic() - start)
            self.status.update(Text(f"{message} {seconds // 60}:{seconds % 60:02}"))
