"""The process of the code under check, as the one that started it sees it."""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.errors import EnvironmentBrokenError
from tutor.grading import channel
from tutor.grading.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    Place,
    TimedOutError,
)

START_SECONDS = 1800.0  # for MAX to get ready, or to compile; without a kernel pack it is minutes
MOST_OUTPUT = 4000  # characters that the code printed, kept for each check

# This course's `tutor`, whichever is installed; but no other file beside it is to be imported.
BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); import tutor; del sys.path[0]; "
    "from tutor.grading.worker import main; main()"
)


@dataclass
class Clock:
    """The seconds that a step and all its checks may take, and those that are left of them."""

    seconds: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.seconds


class CodeProcess:
    """A worker for one tree: it is asked, and its answer is awaited while there is time."""

    def __init__(self, root: Path, tree: str, announce: Callable[[str], None]) -> None:
        self._folder, self._announce = root / tree, announce
        self._connection, other = multiprocessing.Pipe()
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (both live as long as the process)
        self._faults = tempfile.TemporaryFile()  # noqa: SIM115
        self._is_ready, self._read = False, 0
        descriptors = [other.fileno(), self._output.fileno(), self._faults.fileno()]
        self._child = subprocess.Popen(  # noqa: S603 (this very Python, on our own worker)
            [sys.executable, "-P", "-u", "-c", BOOT, ROOT, root, tree, *map(str, descriptors)],
            env=dict(os.environ),  # MAX changes the environment behind it
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,
        )
        other.close()

    def ask(self, request: dict[str, Any], clock: Clock) -> Any:
        """The result of a request. Compiling does not count on the clock.

        Raises CodeError or EnvironmentBrokenError; after some of them the process has ended.
        """
        try:
            if not self._is_ready:
                self._await_start()
            channel.send(self._connection, request)
            answer = self._answer(clock)
        except TimeoutError:
            raise self._timed_out(clock) from None
        except (EOFError, OSError, ValueError):
            raise self._died() from None
        if "error" in answer:
            raise as_exception(**answer["error"])
        return answer["result"]

    def has_ended(self) -> bool:
        """Whether another process is needed to go on."""
        return self._connection.closed

    def output(self) -> str:
        """What the code has printed since this was asked before; the middle of much is left out."""
        self._output.seek(self._read)
        text = self._output.read(2**20).decode(errors="replace")
        self._read = self._output.seek(0, os.SEEK_END)
        if len(text) > MOST_OUTPUT:
            text = f"{text[: MOST_OUTPUT // 2]}\n[…]\n{text[-MOST_OUTPUT // 2 :]}"
        return text

    def close(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._connection.close()

    def _await_start(self) -> None:
        try:
            answer = self._answer(Clock(START_SECONDS))
        except TimeoutError:
            raise EnvironmentBrokenError("MAX does not get ready") from None
        if "broken" in answer:
            raise EnvironmentBrokenError(f"MAX does not start: {answer['broken']}")
        self._is_ready = True

    def _answer(self, clock: Clock) -> dict[str, Any]:
        """The next answer. Raises TimeoutError if there is no time left for it."""
        compiling = False
        while True:
            start = time.monotonic()
            if not self._connection.poll(START_SECONDS if compiling else max(0.0, clock.left)):
                raise TimeoutError
            if not compiling:
                clock.left -= time.monotonic() - start
            message = channel.receive(self._connection)
            if "event" not in message:
                return message
            self._announce(message["event"])
            compiling = message["compiling"]

    def _timed_out(self, clock: Clock) -> CodeError:
        self._child.send_signal(signal.SIGQUIT)
        time.sleep(0.2)  # for the worker to write where it is
        places = self._places()
        self.close()
        return TimedOutError(f"It took longer than {clock.seconds:g} seconds.", places=places)

    def _died(self) -> Exception:
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.close()
            return DiedError("Its process says something that is no answer.")
        places = self._places()
        self.close()
        if not self._is_ready:
            return EnvironmentBrokenError("MAX does not start")
        if code < 0:
            name = signal.Signals(-code).name
            return DiedError(f"Its process was killed by {name}.", places=places)
        return DiedError(f"It ended its process, with exit code {code}.", places=places)

    def _places(self) -> list[Place]:
        """Where the code was when a signal hit it, outermost first."""
        self._faults.seek(0)
        text = self._faults.read().decode("unicode_escape", errors="replace")
        found = re.findall(r'File "(.+)", line (\d+) in (\S+)', text)
        return [
            Place(Path(file).name, int(line), function, read_line(Path(file), int(line)))
            for file, line, function in reversed(found)
            if Path(file).parent == self._folder
        ]


def read_line(file: Path, number: int) -> str:
    """A line of a file, or nothing if there is none."""
    try:
        return file.read_text(encoding="utf-8").splitlines()[number - 1].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        return ""


def as_exception(
    types: list[str], message: str, where: list[list[Any]], is_stub: bool
) -> CodeError:
    """The exception that the worker describes."""
    kind = CodeError
    if types[0] == "ContractError":
        kind = ContractError
    if is_stub:
        kind = NotStartedError
    return kind(types[0], message, [Place(*place) for place in where], types)
