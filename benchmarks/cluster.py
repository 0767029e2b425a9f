"""Measure what a submission costs on a cluster: its worker, the client and the scheduler.

    uv run --extra cluster --extra benchmark python benchmarks/cluster.py --submissions 10

A scheduler, a worker and the client are started here, on a class that is right in every step. What
is measured is time of processors, which is the same however busy a machine is. It is written to
`cluster.json`, and how long a class takes is computed from it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
from grading import make_class
from rich.console import Console
from rich.table import Table
from timing import INTERVAL, TUTOR, describe_cpu, environment

from tutor.grade import grades

FILE = Path(__file__).with_suffix(".json")
CLASS = 10_000  # submissions
WORKERS = (1, 10, 50, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a submission costs on a cluster.")
    parser.add_argument("--submissions", type=int, default=10)
    count = parser.parse_args().submissions
    with tempfile.TemporaryDirectory() as folder:
        before, after = measure(Path(folder), 0), measure(Path(folder), count)
    costs = {name: round((after[name] - before[name]) / count, 4) for name in after}
    FILE.write_text(json.dumps({"submissions": count, "seconds": costs}, indent=2) + "\n")
    console, table = Console(), Table("part", "seconds of a processor for a submission")
    for name, seconds in costs.items():
        table.add_row(name, f"{seconds:.3f}")
    console.print(describe_cpu(), table)
    table = Table("workers", f"hours for {CLASS:,} submissions", "processors of the client")
    for workers in WORKERS:
        each = costs["worker"] / workers
        table.add_row(str(workers), f"{CLASS * each / 3600:.1f}", f"{costs['client'] / each:.2f}")
    console.print(table)


def measure(folder: Path, count: int) -> dict[str, float]:
    """Seconds of a processor that each part takes for a class of so many submissions, and one."""
    place = folder / str(count)
    make_class(place / "class", count + 1, is_right=True)
    with ExitStack() as stack:

        def start(kind: str, *options: str) -> int:
            dask = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", file]
            process = subprocess.Popen([*dask, "--no-dashboard", *options], env=environment(None))
            stack.callback(process.kill)
            return process.pid

        file = str(place / "scheduler.json")
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0")
        while not Path(file).exists():
            time.sleep(0.1)
        worker = start("worker", "--no-nanny", "--nthreads", "1")
        given = f"{place}/class", "--output", f"{place}/out", "--scheduler", file
        client = [*TUTOR, "grade", *given, "--timeout", "3600"]
        with Watch(worker) as watch:
            status, used = run(client)
        found = [grades.load(each) for each in place.glob("out/results/*")]
        if status or {grade.points() for grade in found} != {100} or len(found) != count + 1:
            raise RuntimeError(f"the client ended with {status}: {found}")
        return {
            "worker": watch.seconds(),
            "client": used,
            "scheduler": sum(psutil.Process(scheduler).cpu_times()[:2]),
        }


class Watch(threading.Thread):
    """Looks at a process and all below it, whose time is lost when a namespace ends with them."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.found = psutil.Process(process), dict[psutil.Process, float]()
        self.is_over = threading.Event()

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()

    def run(self) -> None:
        while not self.is_over.wait(INTERVAL):
            for process in (self.process, *self.process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    self.found[process] = sum(process.cpu_times()[:2])

    def seconds(self) -> float:
        """Seconds of a processor of all that was seen, but for the last moment of each."""
        return sum(self.found.values())


def run(command: list[str]) -> tuple[int, float]:
    """How a command ends, and the seconds of a processor that it takes, with all that it starts."""
    process = subprocess.Popen(command, env=environment(None))
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    return status, used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
