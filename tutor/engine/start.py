"""Starts an engine for a command, with a line that says what it is waiting for."""

import threading
import time
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from tutor import runtime
from tutor.engine import checkpoint, compiling
from tutor.engine.generation import Engine, load_engine
from tutor.terminal import interrupts

# Bytes of weights below which the threads of MAX wait for each other longer than they compute.
SMALL = 2**25


def is_small(model: str | None) -> bool:
    """Whether a model that is here already is computed sooner by one thread than by several."""
    folder = checkpoint.local_folder(model)
    try:
        return 0 < sum(file.stat().st_size for file in folder.glob("*.safetensors")) < SMALL
    except OSError:  # what is wrong with it is said where it is opened
        return False


@interrupts.held(patience=0)
def start_engine(model: str | None, **options: Any) -> Engine:
    """An engine, with a status line until it is loaded."""
    # Before the status line, since it may say something.
    runtime.activate(one_thread=is_small(model))
    console = Console(stderr=True, highlight=False)
    with console.status(Text(f"Loading {model or 'the bundled model'}")):
        return load_engine(model, **options)


@interrupts.held(patience=0)
def compile_engine(engine: Engine, **options: Any) -> None:
    """Have the model of an engine compiled, or NumPy in its place while MAX compiles it.

    The options are those that the engine was started with. Says which of the learner's parts are
    used: a tokenizer that is finished, and what stands in for a cache that is not.
    """
    from tutor.runtime import graphs  # and with it MAX, which is ready by now

    console = Console(stderr=True, highlight=False)
    with (
        console.status("Preparing the model") as status,
        runtime.heard_by(CompileClock(status)),
        graphs.postponed() as waiting,
    ):
        step = engine.loop.step
    if engine.tokenizer.is_own:
        console.print("Using your own tokenizer, from text 01.", style="dim")
    if options["cache"] and engine.family.caches not in step.roles:
        used = "generate_next_token" if "generates" in step.roles else "the loop"
        console.print(f"The KV cache is not finished; using {used} of {step.label}.", style="dim")
    if waiting:
        console.print(compiling.compile_later(waiting[0], options), style="dim", soft_wrap=True)


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
