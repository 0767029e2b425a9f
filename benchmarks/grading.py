"""Time `tutor grade` on a class: right submissions, and one with a known mistake in each step.

    python benchmarks/grading.py
    python benchmarks/grading.py --submissions 100

Each run is a whole command on a new folder of results, with as many jobs as there are processors.
"""

import argparse
import os
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from timing import TUTOR, measure, memory_of

from tutor.course import sources
from tutor.course.registry import all_steps
from tutor.course.tracks import STEPS
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
            command = [*TUTOR, "grade", f"{folder}/class", "--output", f"{folder}/out"]
            command += ["--jobs", str(options.jobs)]
            seconds, memory = measure(command, codes=[0, 1], memory=memory_of_largest_job)
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
        for step in all_steps(STEPS):
            source = sources.reference(step, "steps")
            if not is_right:
                source = step.mistakes[learner % len(step.mistakes)].apply(source)
            (folder / f"learner{learner:03}" / step.file("steps")).write_text(source)


def memory_of_largest_job(process: psutil.Process) -> int:
    """Bytes of memory that one job has in use, of those which the command has started."""
    return max(map(memory_of, process.children()), default=0)


if __name__ == "__main__":
    main()
