"""What a worker of a cluster does, called through Dask: it says what it is, grades, and stops."""

import asyncio
import contextlib
import fcntl
import functools
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from platform import python_version_tuple

import msgspec

from tutor.check.sandbox.isolation import Isolation
from tutor.errors import EnvironmentBrokenError
from tutor.grade.here import Processes, make_ready, temporary_folder
from tutor.grade.marking import Paper, course_digest, pack, unpack

_processes: dict[str, Processes] = defaultdict(Processes)  # by the run that they belong to
find = functools.cache(make_ready)


def versions() -> dict[str, str]:
    """What has to be the same on all machines that grade a class."""
    python = ".".join(python_version_tuple()[:2])
    return {"course": course_digest(), "MAX": version("max"), "Python": python}


async def look(megabytes: int, *, run_as_root: bool) -> dict[str, str]:
    """The versions of this worker, and how it keeps code apart; or why it cannot grade."""
    try:
        isolation = await asyncio.to_thread(find, megabytes, run_as_root=run_as_root)
    except EnvironmentBrokenError as error:
        return versions() | {"problem": str(error)}
    weakness = "" if isolation.bubblewrap else f"{isolation.weakness} ({isolation.obstacle})"
    return versions() | {"isolation": isolation.name, "weakness": weakness}


def mark(
    message: bytes, number: int, run: str, megabytes: int, *, run_as_root: bool
) -> tuple[bytes, str]:
    """The grade of a submission, as JSON, or what was said where there is none."""
    try:
        isolation, paper = find(megabytes, run_as_root=run_as_root), unpack(message, Paper)
        order = msgspec.structs.replace(paper.order, isolation=isolation.of(number))
        message = pack(msgspec.structs.replace(paper, order=order))
        with alone(isolation), temporary_folder() as folder:
            file = Path(folder) / "grade.json"
            said = _processes[run].run("main_of_worker", message, folder, str(file))
            return (file.read_bytes(), "") if said is None else (b"", said)
    except (OSError, EnvironmentBrokenError, KeyboardInterrupt) as error:
        return b"", str(error)


@contextlib.contextmanager
def alone(isolation: Isolation) -> Iterator[None]:
    """Without namespaces, be the only one on this machine: submissions could reach each other."""
    if isolation.bubblewrap:
        yield
        return
    lock = Path(tempfile.gettempdir()) / f"tutor-grade-{os.getuid()}.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def stop(run: str) -> None:
    """End what is being graded for a run, and start nothing more for it."""
    _processes[run].end()
