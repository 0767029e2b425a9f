"""Ctrl-C ends a command, whatever MAX is doing.

Python raises KeyboardInterrupt in the main thread, between two of its instructions. To compile a
model is one instruction that takes minutes, and where MAX's C++ calls Python back, an exception
aborts the process or becomes another one. So none is raised while MAX works, and a thread sees to
it that the process ends.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NoReturn, TypeVar

Item = TypeVar("Item")

CODE = 130  # what a shell says of a command that Ctrl-C ended
PATIENCE = 5.0  # seconds that the command has to put things in order before it is ended

_is_held, _patience, _has_come = False, PATIENCE, False
_leaving = threading.Lock()


@contextlib.contextmanager
def trapped() -> Iterator[None]:
    """Have Ctrl-C end this process, unless it is ignored, as in the background of a script."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    arrived, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)  # is written to even while the main thread is in C++
    signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_end_in_time, args=[arrived], daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        leave()
    finally:  # when Python ends, it would answer with a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Raise KeyboardInterrupt, once; some programs that start others pass a Ctrl-C on again."""
    global _has_come
    if not _has_come:
        _has_come = True
        if not _is_held:
            raise KeyboardInterrupt


def _end_in_time(arrived: int) -> None:
    while os.read(arrived, 1) != bytes([signal.SIGINT]):
        pass
    time.sleep(_patience)
    leave()


@contextlib.contextmanager
def held(patience: float = PATIENCE) -> Iterator[None]:
    """Hold KeyboardInterrupt back to the end of this; after `patience` the process is ended."""
    global _is_held, _patience
    _is_held, _patience = True, patience
    try:
        yield
    finally:
        _is_held, _patience = False, PATIENCE
    if _has_come:
        raise KeyboardInterrupt


@contextlib.contextmanager
def left_to_another() -> Iterator[None]:
    """Leave Ctrl-C to another program that has the terminal meanwhile."""
    wakeup = signal.set_wakeup_fd(-1)
    handler = signal.signal(signal.SIGINT, lambda *_: None)  # which the program does not inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(wakeup)


def between(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, none of them None; Ctrl-C is held while each is made."""
    iterator = iter(items)

    @held()
    def advance() -> Item | None:
        return next(iterator, None)

    return iter(advance, None)


def leave() -> NoReturn:
    """End this process now: to tear MAX down while it compiles would abort it."""
    _leaving.acquire()  # for good: one thread is enough
    show_cursor = os.isatty(2) and os.environ.get("TERM") != "dumb"
    with contextlib.suppress(OSError):
        os.write(2, b"\x1b[?25h\n" if show_cursor else b"\n")  # a status line had hidden it
    os._exit(CODE)
