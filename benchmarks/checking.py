"""Time what a learner waits for: the checks of every step, right, wrong and in a fresh clone.

    python benchmarks/checking.py

Each run is a whole `tutor check N` on a copy of the course. A wrong step is the reference with
one of the known mistakes in it, which has to be named. "Fresh" is with empty caches.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table
from startup import files_in

from tutor import ROOT
from tutor.course.registry import all_steps, solution_source

TUTOR = [sys.executable, "-c", "from tutor.__main__ import main; main()"]
COPIED = ("tutor", "tests", "steps", "solutions", "pyproject.toml")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the checks of all steps.")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs

    table = Table("step", "passes", "wrong", "fresh", "memory MB", "files written")
    columns: list[list[float]] = [[], [], []]
    with tempfile.TemporaryDirectory() as folder:
        course = copy_course(Path(folder))
        for step in track(all_steps(), console=Console(stderr=True)):
            file, solution = course / step.file("steps"), solution_source(step.number, "steps")
            command = [*TUTOR, "check", step.short]
            file.write_text(solution)
            passes, memory = zip(*(measure(command, course) for _ in range(runs)), strict=True)
            with tempfile.TemporaryDirectory() as home:
                fresh, _ = measure(command, course, home)
                written = files_in(Path(home))
            wrong = []
            for mistake in step.mistakes[:runs]:
                file.write_text(mistake.apply(solution))
                wrong.append(measure(command, course, expected=1)[0])
            file.write_text(solution)
            times = statistics.median(passes), statistics.median(wrong), fresh
            for column, seconds in zip(columns, times, strict=True):
                column.append(seconds)
            cells = [f"{seconds:.2f}" for seconds in times]
            table.add_row(step.short, *cells, f"{max(memory) / 1e6:.0f}", str(written))
        table.add_section()
        table.add_row("median", *(f"{statistics.median(column):.2f}" for column in columns), "", "")
        table.add_row("slowest", *(f"{max(column):.2f}" for column in columns), "", "")
        everything = [*TUTOR, "check", "--all", "--tree", "solutions"]
        seconds, memory_of_all = zip(
            *(measure(everything, course) for _ in range(runs)), strict=True
        )
        median, most = statistics.median(seconds), max(memory_of_all) / 1e6
        table.add_row("--all", f"{median:.2f}", "", "", f"{most:.0f}", "")
    Console().print(table)


def copy_course(folder: Path) -> Path:
    """A copy of what a check needs, to be changed at will."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder)
    return folder


def measure(
    command: list[str], course: Path, home: str | None = None, expected: int = 0
) -> tuple[float, int]:
    """Wall-clock seconds and the peak memory, in bytes, of a command and its children."""
    environment = os.environ | {"PYTHONPATH": str(course)}
    if home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(course)}
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(
        command, cwd=course, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, memory_of(psutil.Process(process.pid)))
            time.sleep(0.05)
    if process.returncode != expected:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - start, peak


def memory_of(process: psutil.Process) -> int:
    """Bytes of memory that a process and its children have in use."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


if __name__ == "__main__":
    main()
