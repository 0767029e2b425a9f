"""The process of the code under check, as the one that started it sees it."""

import contextlib
import functools
import multiprocessing
import os
import re
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from tutor.check.sandbox import channel
from tutor.check.sandbox.errors import (
    CodeError,
    ContractError,
    DiedError,
    NotStartedError,
    Place,
    TimedOutError,
)
from tutor.check.sandbox.isolation import Isolation
from tutor.errors import EnvironmentBrokenError
from tutor.processes import command

START_SECONDS = 1800.0  # for MAX to get ready, or to compile what no pack has
SIGNALLED = 128  # what a shell and bubblewrap add to the number of the signal that ended a process
PATIENCE = 10.0  # seconds after which MAX is said to be still at it, again and again
MESSAGE_SECONDS = 5.0  # for a message to arrive whole, once it has begun
MOST_OUTPUT = 4000  # characters that the code printed, kept for each check
MOST_FAULTS = 2**16  # bytes that are read of where a signal hit the code
MOST_TEXT = 4000  # characters of an error's message, and of a line
MOST_PLACES = 100  # lines of the code that an error has passed
FIRST_TO_GO = "1000"  # the most that there can be in /proc/…/oom_score_adj

WORKER = "from tutor.check.sandbox.worker import main; main()"


@dataclass
class Clock:
    """The seconds that a step and all its checks may take, and those that are left of them.

    Where the machine is busy with other things, the process that is awaited gets its seconds of a
    CPU, in up to `patience` times as many by the clock on the wall.
    """

    seconds: float
    patience: float = 1.0
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.seconds

    @contextlib.contextmanager
    def wait(
        self,
        connection: Connection,
        still_waiting: Callable[[float], None],
        cpu_seconds: Callable[[], float] = time.monotonic,
    ) -> Iterator[None]:
        """Wait for something to come, and count what it takes to read that.

        `still_waiting` hears now and then how many seconds it has been. Raises TimeoutError if
        there is no time left.
        """
        start, cpu_start = time.monotonic(), cpu_seconds()

        def spent() -> float:
            wall = time.monotonic() - start
            return min(wall, max(cpu_seconds() - cpu_start, wall / self.patience))

        try:
            if self.left <= 0:
                raise TimeoutError
            while not connection.poll(min(self.left - spent(), PATIENCE)):
                if spent() >= self.left:
                    raise TimeoutError
                still_waiting(time.monotonic() - start)
            yield
        finally:
            self.left -= spent()


class CodeProcess:
    """A worker for one tree: it is asked, and its answer is awaited while there is time.

    The seconds for what MAX compiles are counted apart.
    """

    def __init__(
        self,
        root: Path,
        tree: str,
        announce: Callable[[str], None],
        compiling: Clock,
        isolation: Isolation | None = None,
    ) -> None:
        self._folder, self._announce, self._compiling = root / tree, announce, compiling
        self._isolation = isolation
        self._connection, other = multiprocessing.Pipe()
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 (both live as long as the process)
        self._faults = tempfile.TemporaryFile()  # noqa: SIM115
        self._is_ready, self._read, self._used = False, 0, 0.0
        descriptors = [self._output.fileno(), self._faults.fileno()]
        # Command lines can be read by all; the rest comes by way of the connection.
        worker = command(WORKER, str(other.fileno()))
        self._child, self._pid = start(worker, [other.fileno(), *descriptors], isolation, root)
        other.close()
        rules = isolation.rules(home_of(root), root, given()) if isolation else None
        settings = {"root": root, "tree": tree, "descriptors": descriptors, "rules": rules}
        with contextlib.suppress(OSError):  # it has ended already, which is told when it is asked
            channel.send(self._connection, settings)

    def ask(self, request: dict[str, Any], clock: Clock) -> Any:
        """The result of a request. Compiling does not count on the clock.

        Raises CodeError or EnvironmentBrokenError; after some of them the process has ended.
        """
        # What the code under check has made up before it is asked does not have this.
        token = secrets.token_hex(8)
        try:
            if not self._is_ready:
                self._await_start()
            if self._isolation and self._isolation.user is not None:
                let_read(given())
            self._send(request | {"token": token}, clock)
            answer = self._answer(clock)
            if answer.get("token") != token:
                raise ValueError("an answer to nothing that was asked")
            error = as_exception(**answer["error"]) if "error" in answer else None
            result = None if error else answer["result"]
        except TimeoutError:
            raise self._timed_out(clock) from None
        except EnvironmentBrokenError:
            raise
        except Exception:  # the code under check may have said anything
            raise self._died() from None
        if error:
            raise error
        return result

    def has_ended(self) -> bool:
        """Whether another process is needed to go on."""
        return self._connection.closed

    def output(self) -> str:
        """What the code has printed since this was asked before; the middle of much is left out."""
        try:
            self._output.seek(self._read)
            text = self._output.read(2**20).decode(errors="replace")
            self._read = self._output.seek(0, os.SEEK_END)
        except OSError:  # the code may have changed how its output can be read
            return ""
        if len(text) > MOST_OUTPUT:
            text = f"{text[: MOST_OUTPUT // 2]}\n[…]\n{text[-MOST_OUTPUT // 2 :]}"
        return text

    def discard(self) -> None:
        """End the process, and forget what its code has printed."""
        self.close()
        self._output.close()
        self._faults.close()

    def close(self) -> None:
        """End the process and all that it started."""
        if self.has_ended():
            return  # its number may be another's by now
        self._kill()
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
        usual = clock, "" if self._is_ready else "starting"
        running, doing = usual
        while True:
            report = functools.partial(self._report, doing)
            with running.wait(self._connection, report, self._cpu_seconds):
                message = self._receive()
            if "event" not in message:
                return message
            self._announce(str(message["event"]))
            running, doing = (self._compiling, "compiling") if message.get("compiling") else usual

    def _cpu_seconds(self) -> float:
        """What the process has had of the CPUs; once it has ended, no more than that."""
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(self._pid).cpu_times()
            self._used = times.user + times.system
        return self._used

    def _report(self, doing: str, seconds: float) -> None:
        """Say that MAX is still at it; what the code under check does has a clock instead."""
        if doing:
            self._announce(f"MAX is still {doing}: {seconds:.0f} s")

    def _send(self, message: dict[str, Any], clock: Clock) -> None:
        """Send a message. Raises TimeoutError if the code under check keeps it from being read."""
        start = time.monotonic()
        timer = threading.Timer(max(clock.left, 0), self._kill)
        timer.start()
        try:
            channel.send(self._connection, message)
        except OSError:
            if time.monotonic() - start >= clock.left:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            clock.left -= time.monotonic() - start

    def _receive(self) -> dict[str, Any]:
        """The message that has come. One that does not come whole is the last of its process."""
        timer = threading.Timer(MESSAGE_SECONDS, self._kill)
        timer.start()
        try:
            return channel.receive(self._connection)
        finally:
            timer.cancel()

    def _kill(self) -> None:
        for kill, number in ((os.kill, self._pid), (os.killpg, self._child.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(number, signal.SIGKILL)

    def _timed_out(self, clock: Clock) -> CodeError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGQUIT)
        time.sleep(0.2)  # for the worker to write where it is
        places = self._places()
        self.close()
        if self._compiling.left <= 0:
            what = f"MAX compiled for more than {self._compiling.seconds:g} seconds."
        else:
            what = f"It took longer than {clock.seconds:g} seconds."
        return TimedOutError(what, places=places)

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
        number = -code if code < 0 else code - SIGNALLED
        if number in list(signal.Signals):
            name = signal.Signals(number).name
            return DiedError(f"Its process was killed by {name}.", places=places)
        return DiedError(f"It ended its process, with exit code {code}.", places=places)

    def _places(self) -> list[Place]:
        """Where the code was when a signal hit it, outermost first."""
        self._faults.seek(0)
        text = self._faults.read(MOST_FAULTS).decode("unicode_escape", errors="replace")
        found = re.findall(r'^  File "(.+)", line (\d{1,9}) in (\S+)$', text, re.MULTILINE)
        return [
            Place(Path(file).name, int(line), function, read_line(Path(file), int(line)))
            for file, line, function in reversed(found)
            if Path(file).parent == self._folder
        ]


def start(
    worker: list[str], descriptors: list[int], isolation: Isolation | None, root: Path
) -> "tuple[subprocess.Popen[bytes], int]":
    """Start a worker, which inherits these descriptors; the process, and which one to signal."""
    if not (isolation and isolation.bubblewrap):
        child = popen(worker, descriptors, *surroundings(isolation, root))
        sacrifice(child.pid)
        return child, child.pid
    listen, tell = os.pipe()
    outer = isolation.command(worker, tell, root, given())
    child, told = popen(outer, [*descriptors, tell], isolation.environment(given())), b""
    os.close(tell)
    with os.fdopen(listen, "rb", buffering=0) as pipe:
        while not told.endswith(b"}\n") and (more := pipe.read(4096)):
            told += more
    found = re.search(rb'"child-pid": (\d+)', told)
    inner = int(found[1]) if found else child.pid
    sacrifice(child.pid, inner)
    return child, inner


def given() -> Path:
    """The folder of temporary files: what a suite writes there is for the code to read."""
    return Path(tempfile.gettempdir())


def home_of(root: Path) -> Path:
    """The home of the code under check, without namespaces."""
    return root.parent / "home"


def sacrifice(*processes: int) -> None:
    """Have Linux end these before others when memory is short."""
    for number in processes:
        with contextlib.suppress(OSError):  # it has ended, or there is no such file
            Path(f"/proc/{number}/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")


def surroundings(isolation: Isolation | None, root: Path) -> tuple[dict[str, str], int | None]:
    """Environment and user of a worker without namespaces."""
    if isolation is None:
        return dict(os.environ), None  # MAX changes the environment behind it
    home = home_of(root)
    if not home.exists():  # later it is the code's, with whatever links it has put there
        isolation.make_home(home)
    return isolation.environment(home), isolation.user


def popen(
    worker: list[str],
    descriptors: list[int],
    environment: dict[str, str],
    user: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a worker with this environment, as another user if need be, and without input."""
    return subprocess.Popen(  # noqa: S603 (a command of ours)
        worker,
        env=environment,
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )


def let_read(folder: Path) -> None:
    """Let other users read what is in a folder."""
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)


def read_line(file: Path, number: int) -> str:
    """A line of a file, or nothing if there is none."""
    try:
        return file.read_text(encoding="utf-8").splitlines()[number - 1].strip()[:MOST_TEXT]
    except (OSError, ValueError, IndexError):
        return ""


def as_exception(types: list[str], message: str, where: list[list[Any]], kind: str) -> CodeError:
    """The exception that the worker describes, which can have made up all of it."""
    types, message = [str(name)[:MOST_TEXT] for name in types], str(message)[:MOST_TEXT]
    places = [
        Place(str(file)[:MOST_TEXT], int(line), str(name)[:MOST_TEXT], str(text)[:MOST_TEXT])
        for file, line, name, text in where[-MOST_PLACES:]
    ]
    if kind == "contract":
        return ContractError(message, places)
    error = NotStartedError if kind == "stub" else CodeError
    return error(types[0], message, places, types)
