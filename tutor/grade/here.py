"""Submissions graded on this machine, each in a process of its own; and what a cluster shares."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from tutor import ROOT
from tutor.check.sandbox import seal
from tutor.check.sandbox.isolation import MEGABYTE, Isolation, Limits, find_isolation
from tutor.check.sandbox.workbench import Workbench
from tutor.course.registry import step_that
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade import grades
from tutor.grade.grades import Grade
from tutor.grade.marking import Paper, Task, blank, pack
from tutor.grade.submissions.read import Submission
from tutor.processes import command

MINUTES = 60  # that a submission may take at the very most, whatever it is waiting for


class Executor(Protocol):
    """Where submissions are graded."""

    at_once: int  # submissions that are under way side by side
    isolation: Isolation
    kept_apart: str  # what a grade says of the isolation

    @property
    def status(self) -> str:
        """What is going on, while it does."""

    def mark(self, task: Task, number: int, temporary: str) -> Grade:
        """Grade a submission, the one of that number, with temporary files in that folder."""

    def end(self) -> None:
        """Have nothing of it go on."""


class Here:
    """The processors of this machine."""

    def __init__(self, isolation: Isolation, jobs: int) -> None:
        self.isolation, self.kept_apart = isolation, isolation.name
        self.at_once, self.status = jobs, "Grading"
        self._processes = Processes()

    def mark(self, task: Task, number: int, temporary: str) -> Grade:
        order = msgspec.structs.replace(task.order, isolation=self.isolation.of(number))
        said = self._processes.run("main", pack(Task(order, task.source)), temporary)
        if said is None:
            with contextlib.suppress(InputError, OSError):
                return grades.load(task.file)
        return failed(task, said or "its grade cannot be read")

    def end(self) -> None:
        self._processes.end()


def make_ready(megabytes: int, *, run_as_root: bool = False) -> Isolation:
    """Have MAX start once, so that what keeps it from that is told before anything is graded.

    Raises EnvironmentBrokenError if it does not, or nothing would keep code apart from root.
    """
    seal.close()
    isolation = find_isolation(Limits(memory=megabytes * MEGABYTE), run_as_root=run_as_root)
    bench = Workbench("solutions", announce=lambda said: print(said, file=sys.stderr))
    try:
        bench.select(step_that("sizes"))
        bench.config()
    finally:
        bench.close()
    return isolation


class Processes:
    """Processes for submissions, which run side by side and can be ended together."""

    def __init__(self) -> None:
        self.is_over = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, main: str, message: bytes, temporary: str, *arguments: str) -> str | None:
        """Run a main of `marking` on a message; what it said, if it did not end well."""
        process = self._start(main, temporary, *arguments)
        try:
            _, said = process.communicate(message, timeout=60 * MINUTES)
        except subprocess.TimeoutExpired:
            said = f"it took more than {MINUTES} minutes".encode()
        finally:
            kill(process)
            process.wait()
            with self._lock:
                self._running.discard(process)
        if self.is_over:
            raise KeyboardInterrupt
        return None if process.returncode == 0 else said.decode(errors="replace")

    def _start(self, main: str, temporary: str, *arguments: str) -> "subprocess.Popen[bytes]":
        code = f"from tutor import processes; processes.end_with_parent({os.getpid()}); "
        code += f"from tutor.grade import marking; marking.{main}()"
        with self._lock:
            if self.is_over:
                raise KeyboardInterrupt
            process = subprocess.Popen(  # noqa: S603 (this very Python, on our own module)
                command(code, *arguments),
                cwd=ROOT,
                env={**os.environ, "TMPDIR": temporary},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def end(self) -> None:
        """Have nothing of it go on."""
        with self._lock:
            self.is_over = True
            for process in self._running:
                kill(process)


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder for all temporary files, since a process that is killed leaves its own behind."""
    with tempfile.TemporaryDirectory(prefix="tutor-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)  # another user may run the code under check, in a folder of it
        yield name


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Have a process end, and what it has started with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def failed(task: Task, said: str) -> Grade:
    """The grade of a submission whose grading itself has failed; it is kept, to be told."""
    last = (said.strip().splitlines() or ["its process was killed"])[-1]
    problem = f"It was not graded, for no fault of its own: {last}."
    source = task.source
    start = blank(Paper(task.order, source.learner, source.number, Submission({}, []), problem))
    steps = [msgspec.structs.replace(step, verdict=Verdict.BROKEN) for step in start.steps]
    grade = msgspec.structs.replace(start, steps=steps)
    grades.save(grade, task.file)
    return grade
