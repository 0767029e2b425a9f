"""What the benchmarks share: how long a command takes, what memory, and what it leaves behind."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import psutil

from tutor import ROOT

TUTOR = [sys.executable, "-c", "from tutor.__main__ import main; main()"]
INTERVAL = 0.05  # seconds between two looks at the memory


def seconds(command: Sequence[str], home: str | None = None, **variables: str) -> float:
    """Wall-clock seconds of a whole process that has to succeed."""
    start = time.perf_counter()
    subprocess.run(command, env=environment(home) | variables, check=True, capture_output=True)
    return time.perf_counter() - start


def memory_of(process: psutil.Process) -> int:
    """Bytes of memory that a process and all that it has started have in use."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def measure(
    command: Sequence[str],
    course: Path = ROOT,
    home: str | None = None,
    codes: Collection[int] = (0,),
    memory: Callable[[psutil.Process], int] = memory_of,
) -> tuple[float, int]:
    """Wall-clock seconds and the peak memory, in bytes, of a command that ends with such a code."""
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(
        command, cwd=course, env=environment(home, course), stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid)))
            time.sleep(INTERVAL)
    if process.returncode not in codes:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - start, peak


def environment(home: str | None, course: Path = ROOT) -> dict[str, str]:
    """What a command finds there; with a home of its own, which is new, nothing is cached."""
    kept = {"PATH": os.environ["PATH"], "HOME": home} if home else dict(os.environ)
    return kept | {"PYTHONPATH": str(course)}


def files_in(home: str) -> int:
    """How many files a command has left in a home that was empty."""
    return sum(path.is_file() for path in Path(home).rglob("*"))


def median(times: Collection[float]) -> str:
    """The median, as tables have it."""
    return f"{statistics.median(times):.2f}"
