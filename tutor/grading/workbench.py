"""The code under check, seen from a check: in a process of its own, with a clock."""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.course import load_step
from tutor.grading import channel

SECONDS = 60.0  # that a step and all its checks may take
START_SECONDS = 1800.0  # for MAX to get ready, or to compile; without a kernel pack it is minutes
MOST_OUTPUT = 4000  # characters that the code printed, kept for each check

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from tutor.grading.worker import main; main()"


@dataclass(frozen=True)
class Place:
    """A line of the code under check."""

    file: str
    line: int
    function: str
    text: str

    def __str__(self) -> str:
        inside = f", in {self.function}" if self.function.isidentifier() else ""
        return f"{self.file}, line {self.line}{inside}"


class CodeError(Exception):
    """The code under check raised an exception of this type, or ended its process."""

    def __init__(self, kind: str, message: str = "", places: Collection[Place] = ()) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind, self.message, self.places = kind, message, list(places)


class NotStartedError(CodeError):
    """The code under check is still a stub there."""


class ContractError(CodeError):
    """The code under check lacks or returns something else than the contract says."""


class TimedOutError(CodeError):
    """The code under check took longer than it may."""


class EnvironmentBrokenError(Exception):
    """The process did not get as far as the code under check."""


class Workbench:
    """A process that runs the steps of one tree; each probe is a method."""

    def __init__(
        self,
        tree: str,
        *,
        root: Path = ROOT,
        seconds: float = SECONDS,
        announce: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.tree, self.root, self.seconds, self.announce = tree, root, seconds, announce
        self._left = seconds
        self._step: dict[str, Any] = {}
        self._is_loaded = False
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        self._connection, other = multiprocessing.Pipe()
        self._output, self._faults = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._ready, self._read = False, 0
        descriptors = [other.fileno(), self._output.fileno(), self._faults.fileno()]
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, ROOT, self.root, self.tree, *map(str, descriptors)],
            env=dict(os.environ),  # MAX changes the environment behind it
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
            start_new_session=True,
        )
        other.close()

    def close(self) -> None:
        """End the process and all that it started."""
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._connection.close()
            self._child, self._is_loaded = None, False

    def select(
        self, number: int, *, reference: Collection[int] = (), source: str | None = None
    ) -> None:
        """Take a step, with the solution in place of some earlier ones, and set the clock.

        A source takes the place of the step's own file. The first probe loads it.
        """
        self._step = {"number": number, "reference": sorted(reference), "source": source}
        self._is_loaded, self._left = False, self.seconds

    def __getattr__(self, probe: str) -> Callable[..., Any]:
        if probe.startswith("_"):
            raise AttributeError(probe)

        def ask(*arguments: Any, **options: Any) -> Any:
            if not self._is_loaded:
                self._load()
            return self._ask(
                {"do": "probe", "name": probe, "arguments": arguments, "options": options}
            )

        return ask

    def _load(self) -> None:
        file = self._ask({"do": "load", **self._step})
        expected = self.root / load_step(self._step["number"]).file(self.tree)
        if Path(file) != expected:
            raise EnvironmentBrokenError(f"{file} was loaded in place of {expected}")
        self._is_loaded = True

    def output(self) -> str:
        """What the code has printed since this was asked before; the middle of much is left out."""
        if not self._child:
            return ""
        self._output.seek(self._read)
        text = self._output.read(2**20).decode(errors="replace")
        self._read = self._output.seek(0, os.SEEK_END)
        if len(text) > MOST_OUTPUT:
            text = f"{text[: MOST_OUTPUT // 2]}\n[…]\n{text[-MOST_OUTPUT // 2 :]}"
        return text

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._left <= 0:
            raise TimedOutError(f"its {self.seconds:g} seconds are used up")
        if not self._child:
            self.start()
        try:
            if not self._ready:
                self._answer(START_SECONDS)
                self._ready = True
            channel.send(self._connection, request)
            start = time.monotonic()
            answer, compiling = self._answer(self._left)
            self._left -= time.monotonic() - start - compiling
        except (EOFError, OSError, ValueError):
            raise self._died() from None
        if "error" in answer:
            raise as_exception(**answer["error"])
        return answer["result"]

    def _answer(self, seconds: float) -> tuple[dict[str, Any], float]:
        """The next answer, and the seconds meanwhile that MAX compiled; they do not count."""
        start, compiling = time.monotonic(), 0.0
        while True:
            if not self._connection.poll(seconds + compiling - (time.monotonic() - start)):
                raise self._timed_out()
            message = channel.receive(self._connection)
            if "event" not in message:
                return message, compiling
            self.announce(message["event"])
            if message["compiling"]:
                begin = time.monotonic()
                if not self._connection.poll(START_SECONDS):
                    raise self._timed_out()
                compiling += time.monotonic() - begin

    def _timed_out(self) -> CodeError:
        assert self._child
        self._child.send_signal(signal.SIGUSR1)
        time.sleep(0.2)  # for the line where it is
        self._left = 0
        places = self._fault()
        self.close()
        return TimedOutError(f"it took longer than {self.seconds:g} seconds", places=places)

    def _died(self) -> Exception:
        assert self._child
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = 0
        ready, places = self._ready, self._fault()
        self.close()
        if not ready:
            return EnvironmentBrokenError("MAX does not start; `tutor doctor` tells what is wrong")
        if code < 0:
            return CodeError(f"killed by {signal.Signals(-code).name}", places=places)
        return CodeError(f"the process was ended, with exit code {code}", places=places)

    def _fault(self) -> list[Place]:
        """Where the main thread was when it was hit by a signal, outermost first."""
        self._faults.seek(0)
        text = self._faults.read().decode(errors="replace")
        folder = self.root / self.tree
        found = re.findall(r'File "(.+)", line (\d+) in (\S+)', text)
        return [
            Place(Path(file).name, int(line), function, read_line(Path(file), int(line)))
            for file, line, function in reversed(found)
            if Path(file).parent == folder
        ]


def read_line(file: Path, number: int) -> str:
    """A line of a file, or nothing if there is none."""
    try:
        return file.read_text().splitlines()[number - 1].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        return ""


def as_exception(type: str, message: str, where: list[list[Any]]) -> CodeError:  # noqa: A002
    """The exception that the worker describes."""
    places = [Place(*place) for place in where]
    if type == "NotImplementedError":
        return NotStartedError(type, message, places)
    if type == "ContractError":
        return ContractError(type, message, places)
    return CodeError(type, message, places)
