"""Everything that makes MAX quick, in one place: `activate()`, before any tensor is computed.

Left alone, MAX 26.7 compiles a kernel at the first use of each eager operation (10 to 60
seconds each), compiles whole graphs in the background, and before Python 3.13 formats every
tensor in sight whenever asyncio starts. Importing `solutions` activates this.
"""

import contextlib
import functools
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tutor import kernels

if TYPE_CHECKING:
    from max.driver import Buffer
    from max.experimental.tensor import Tensor
    from max.graph import Graph

CACHE_VARIABLE = "MODULAR_MAX_CACHE_DIR"

# Told what is compiled, and whether that begins (True) or has ended.
Announce = Callable[[str, bool], None]
_announce: Announce | None = None  # set once this is active


def activate(announce: Announce | None = None) -> None:
    """Make eager MAX answer in milliseconds; the second call does nothing.

    `announce` hears of each compilation; without it, standard error does.
    """
    global _announce
    if _announce:
        return
    _announce = announce or _report
    trap_interrupts()
    # MAX reads this when it is imported; if that has happened, it keeps the place it has.
    os.environ[CACHE_VARIABLE] = str(usable_cache_folder())
    if sys.platform == "linux":
        # Else MAX has the python3 of the PATH look for a libpython, which this process has itself.
        os.environ.setdefault("MOJO_PYTHON_LIBRARY", "")

    from max import _core
    from max.driver import set_virtual_cpu_target
    from max.experimental.executor import set_default_executor

    cache = _core.engine.max_cache_dir() or cache_folder()
    kernels.adopt(compiling)
    if pack := kernels.install(cache):
        # With this target MAX looks for the kernels of the pack instead of the host's own.
        set_virtual_cpu_target(pack.cpu)
    else:
        kernels.compile_once(cache)
    set_default_executor(InterpretElseCompile())
    keep_softmax_apart()


def cache_folder() -> Path:
    """Where compiled kernels are kept: as the environment says, or in the user's cache."""
    from platformdirs import user_cache_path

    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_path("gpt2-from-scratch"))


def is_writable(folder: Path) -> bool:
    """Whether files can be written there; makes the folder if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def usable_cache_folder() -> Path:
    """The cache folder, or with a warning a temporary one if it lacks kernels and is read-only."""
    folder = cache_folder()
    if is_writable(folder) or kernels.are_ready(folder):
        return folder
    fallback = Path(tempfile.gettempdir()) / f"gpt2-from-scratch-{os.getuid()}"
    fallback.mkdir(mode=0o700, exist_ok=True)
    _report(f"{folder} cannot be written; compiled kernels go to {fallback}")
    return fallback


def trap_interrupts() -> None:
    """Install a SIGINT handler of our own that does what Python's does.

    Before Python 3.13, asyncio replaces Python's handler, but no other, and in doing so takes
    the `repr` of the running task: of the tensors in it, so of more eager operations.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    signal.default_int_handler(signum, frame)


def keep_softmax_apart() -> None:
    """Keep MAX from fusing a compiled attention into one kernel where that loses the causal mask.

    On the CPU, MAX 26.7 turns softmax(q @ k.T + mask) @ v into a flash attention that ignores a
    mask computed in the same graph: every token sees all others. A mask that is an input of the
    graph is safe. Scores whose maximum is subtracted do not match that pattern, and their softmax
    is the same.
    """
    from max.experimental import functional as F

    softmax = F.softmax

    @functools.wraps(softmax)
    def softmax_of_finished_scores(value: "Tensor", axis: int = -1) -> "Tensor":
        if F.in_graph_context() and not adds_an_input(value):
            value = value - F.max(value, axis=axis)
        result: Tensor = softmax(value, axis)
        return result

    F.softmax = softmax_of_finished_scores


def adds_an_input(value: "Tensor") -> bool:
    """Whether a value is the sum of an input of its graph, of whatever shape, and something."""
    from max._core import Block
    from max._core.dialects import rmo
    from max.graph import TensorValue

    def is_input(source: Any) -> bool:
        while isinstance(source.owner, rmo.ReshapeOp | rmo.SliceOp):
            source = source.owner.operands[0].value
        return isinstance(source.owner, Block)

    added = TensorValue(value)._mlir_value.owner
    return isinstance(added, rmo.AddOp) and any(is_input(term.value) for term in added.operands)


class InterpretElseCompile:
    """Interprets eager graphs; compiles the few that the interpreter refuses, such as argsort."""

    def execute(self, graph: "Graph", inputs: "Sequence[Buffer]") -> "Sequence[Buffer | None]":
        from max.experimental import executor

        try:
            return executor.InterpreterExecutor().execute(graph, inputs)
        except executor.UnsupportedGraphError:
            with compiling("an operation that MAX cannot interpret; this takes about a minute"):
                return executor.CompilingExecutor().execute(graph, inputs)


@contextlib.contextmanager
def compiling(what: str) -> Iterator[None]:
    """Announce that something is being compiled, and how long it took."""
    assert _announce
    _announce(f"Compiling {what} …", True)
    start = time.perf_counter()
    try:
        yield
    finally:
        _announce(f"Compiled it in {time.perf_counter() - start:.0f} s.", False)


def _report(message: str, begins: bool = False) -> None:  # noqa: ARG001 (shown either way)
    print(message, file=sys.stderr, flush=True)
