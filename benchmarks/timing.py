"""What the benchmarks share: how long a command takes, what memory, and what it leaves behind."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import psutil

from tutor import ROOT
from tutor.runtime import kernels

TUTOR = [sys.executable, "-c", "from tutor.__main__ import main; main()"]
INTERVAL = 0.05  # seconds between two looks at the memory

# What engines use of a CPU, as Linux names it; ratios between engines move with these.
UNITS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-VNNI": "avx_vnni",
    "AVX-512 VNNI": "avx512_vnni",
    "AMX": "amx_tile",
    "NEON": "asimd",
}


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


def describe_cpu() -> str:
    """Cores and name of this CPU, and which of the vector units it has that engines use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    units = [unit for unit, flag in UNITS.items() if flag in kernels.cpu_flags()]
    return f"{os.cpu_count()} cores of {name or platform.machine()} with {', '.join(units)}"


def files_in(home: str) -> int:
    """How many files a command has left in a home that was empty."""
    return sum(path.is_file() for path in Path(home).rglob("*"))


def median(times: Collection[float]) -> str:
    """The median, as tables have it."""
    return f"{statistics.median(times):.2f}"
