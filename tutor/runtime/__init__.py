"""Everything that makes MAX quick, in one place: `activate()`, before any tensor is computed.

Left alone, MAX 26.7 compiles a kernel at the first use of each eager operation (10 to 60
seconds each), compiles whole graphs in the background, and before Python 3.13 formats every
tensor in sight whenever asyncio starts. Importing `solutions` activates this.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from tutor.runtime import own

NUMPY_COMPUTES = "NumPy stands in for MAX's kernels here; the results are the same."

# Told what happens, and whether a compilation begins with it (True) or not.
Announce = Callable[[str, bool], None]
_announce: Announce | None = None  # set once this is active


def activate(announce: Announce | None = None, *, one_thread: bool = False) -> None:
    """Make eager MAX answer in milliseconds; the second call does nothing.

    `announce` hears what computes, if that is not MAX, and of each compilation; without it,
    standard error does. With `one_thread`, MAX computes with one thread where that can be had.
    """
    global _announce
    if _announce:
        return
    _announce = announce or _report
    trap_interrupts()
    if foreign := own.leave_foreign():
        warn(foreign)
    # MAX reads this when it is imported; if that has happened, it keeps the place it has.
    os.environ[own.CACHE_VARIABLE] = str(own.cache_folder())
    os.environ.setdefault("MODULAR_TELEMETRY_ENABLED", "0")  # it would reach for the network
    if sys.platform == "linux":
        # Else MAX has the python3 of the PATH look for a libpython, which this process has itself.
        os.environ.setdefault("MOJO_PYTHON_LIBRARY", "")
    keep_mojo_from_building()
    if one_thread:
        start_one_thread()

    from tutor.runtime import choice, eager, graphs, grouping, kernels, softmax

    chosen = choice.choose_pack()
    if chosen.is_fault:
        warn(chosen.why)
    if chosen.pack is None:
        warn(NUMPY_COMPUTES)
    may_compile = bool(chosen.pack) or os.environ.get(kernels.VARIABLE) == kernels.COMPILE
    means = kernels.Means(chosen.pack, may_compile, compiling, warn)
    eager.serve(means)
    graphs.serve(means)
    softmax.keep_softmax_apart()
    grouping.keep_groups_light()


def do_without() -> None:
    """Have `activate` do nothing in this process, which computes no tensors."""
    global _announce
    _announce = _report


def start_one_thread() -> None:
    """Have MAX start one thread to compute with, if it has not started any.

    It starts one for each CPU that the thread may use that makes the first device. Linux can tell
    which these are; on other systems nothing changes.
    """
    if sys.platform != "linux":
        return
    from max.driver import CPU

    cpus = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {min(cpus)})
    CPU()
    # What has started meanwhile may use one CPU only, which something else may be using, too.
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), cpus)


def keep_mojo_from_building() -> None:
    """Keep the import of `max.experimental.nn` from building an extension that only servers use.

    The build takes 8 seconds or more, once for each installation, or each time if that cannot be
    written. Whoever calls one of the functions gets it built then.
    """
    name = "max._kv_cache_ops"

    class OnDemand(ModuleType):
        def __getattr__(self, function: str) -> Any:
            if function.startswith("__"):
                raise AttributeError(function)

            def build_and_call(*arguments: Any) -> Any:
                import importlib

                if sys.modules.get(name) is self:
                    del sys.modules[name]
                return getattr(importlib.import_module(name), function)(*arguments)

            return build_and_call

    sys.modules.setdefault(name, OnDemand(name))


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


@contextlib.contextmanager
def heard_by(announce: Announce) -> Iterator[None]:
    """Have another hear what happens, for as long as this lasts."""
    global _announce
    _announce, before = announce, _announce
    try:
        yield
    finally:
        _announce = before


@contextlib.contextmanager
def compiling(what: str) -> Iterator[None]:
    """Announce that MAX prepares something, and how long it took; mostly that is to compile it.

    Only if it has, something new is in its cache.
    """
    assert _announce
    before = own.compiled_by_max()
    _announce(f"MAX prepares {what} …", True)
    start = time.perf_counter()
    try:
        yield
    finally:
        done = "It took" if own.compiled_by_max() == before else "Compiled it in"
        _announce(f"{done} {time.perf_counter() - start:.0f} s.", False)


def warn(message: str) -> None:
    """Announce something that is not as usual, once."""
    assert _announce
    _announce(message, False)


def _report(message: str, begins: bool = False) -> None:  # noqa: ARG001 (shown either way)
    print(message, file=sys.stderr, flush=True)
