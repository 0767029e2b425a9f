"""Time `tutor grade` on a class: right submissions, and one with a known mistake in each step.

    python benchmarks/grading.py
    python benchmarks/grading.py --submissions 100

Each run is a whole command on a new folder of results, with as many jobs as there are processors.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from checking import TUTOR, memory_of
from rich.console import Console
from rich.table import Table

from tutor import ROOT
from tutor.course.registry import CORE, file_name, load_step, solution_source
from tutor.grade import grades


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the grading of a class.")
    parser.add_argument("--submissions", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()

    table = Table("class", "seconds", "seconds each", "10 minutes grade", "memory MB per job")
    for name, is_right in (("all right", True), ("a mistake in each step", False)):
        with tempfile.TemporaryDirectory() as folder:
            make_class(Path(folder) / "class", options.submissions, is_right=is_right)
            seconds, memory = measure(Path(folder), options.jobs)
            points = [grades.load(file).points() for file in Path(folder).glob("out/results/*")]
            if len(points) != options.submissions or (is_right and set(points) != {100}):
                raise RuntimeError(f"the points are {points}")
        each = seconds / options.submissions
        row = f"{seconds:.1f}", f"{each:.2f}", f"{600 / each:.0f}", f"{memory / 1e6:.0f}"
        table.add_row(name, *row)
    Console().print(table)


def make_class(folder: Path, count: int, *, is_right: bool) -> None:
    """Submissions of all twelve steps; the wrong ones have another mistake each."""
    for learner in range(count):
        (folder / f"learner{learner:03}" / "steps").mkdir(parents=True)
        for number in CORE:
            source, mistakes = solution_source(number, "steps"), load_step(number).mistakes
            if not is_right:
                source = mistakes[learner % len(mistakes)].apply(source)
            (folder / f"learner{learner:03}" / file_name("steps", number)).write_text(source)


def measure(folder: Path, jobs: int) -> tuple[float, int]:
    """Wall-clock seconds of a run, and the peak memory, in bytes, of one job and its children."""
    command = [*TUTOR, "grade", str(folder / "class"), "--output", str(folder / "out")]
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(
        [*command, "--jobs", str(jobs)], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            for job in psutil.Process(process.pid).children():
                peak = max(peak, memory_of(job))
            time.sleep(0.05)
    if process.returncode not in (0, 1):
        sys.exit(process.returncode)
    return time.perf_counter() - start, peak


if __name__ == "__main__":
    main()
