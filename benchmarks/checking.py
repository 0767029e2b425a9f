"""Time what a learner waits for: the checks of every step, right, wrong and in a fresh clone.

    python benchmarks/checking.py

Each run is a whole `tutor check N` on a copy of the course. A wrong step is the reference with
one of the known mistakes in it, which has to be named. "Fresh" is with empty caches.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import TUTOR, files_in, measure, median

from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import all_steps

COPIED = ("tutor", "tests", "steps", "solutions", "pyproject.toml")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the checks of all steps.")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs

    table = Table("step", "passes", "wrong", "fresh", "memory MB", "files written")
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        course = copy_course(Path(folder))
        for step in track(all_steps(), console=Console(stderr=True)):
            file, solution = course / step.file("steps"), sources.reference(step, "steps")
            command = [*TUTOR, "check", step.short]
            file.write_text(solution)
            passes, memory = zip(*(measure(command, course) for _ in range(runs)), strict=True)
            with tempfile.TemporaryDirectory() as home:
                fresh, _ = measure(command, course, home)
                written = files_in(home)
            wrong = []
            for mistake in step.mistakes[:runs]:
                file.write_text(mistake.apply(solution))
                wrong.append(measure(command, course, codes=[1])[0])
            file.write_text(solution)
            rows.append([statistics.median(passes), statistics.median(wrong), fresh])
            cells = [f"{seconds:.2f}" for seconds in rows[-1]]
            table.add_row(step.short, *cells, f"{max(memory) / 1e6:.0f}", str(written))
        table.add_section()
        columns = list(zip(*rows, strict=True))
        table.add_row("median", *map(median, columns), "", "")
        table.add_row("slowest", *(f"{max(column):.2f}" for column in columns), "", "")
        everything = [*TUTOR, "check", "--all", "--tree", "solutions"]
        times, memory = zip(*(measure(everything, course) for _ in range(runs)), strict=True)
        table.add_row("--all", median(times), "", "", f"{max(memory) / 1e6:.0f}", "")
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


if __name__ == "__main__":
    main()
