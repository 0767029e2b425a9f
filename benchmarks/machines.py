"""Time a first check, all checks and a story on this machine, and on CPUs that QEMU emulates.

    python benchmarks/machines.py
    python benchmarks/machines.py --emulated Haswell neoverse-n1

Each row begins with an empty home, and ends with the number of files that were left there. Only the
rows without a name of a CPU are as fast as a machine: QEMU takes ten times as long and more.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track
from rich.table import Table
from timing import files_in, median, seconds

from tools.kernels.emulate import python_on
from tutor.runtime import kernels

STORY = ["generate", "Once upon a time", "--max-new-tokens", "40", "--seed", "0"]
COMMANDS = {
    "check 7": ["check", "7", "--tree", "solutions"],
    "check 7 again": ["check", "7", "--tree", "solutions"],
    "check --all": ["check", "--all", "--tree", "solutions"],
    "engine steps": ["check", "--track", "engine", "--tree", "solutions"],
    "story": STORY,
    "story again": STORY,
}


@dataclass(frozen=True)
class Machine:
    """A kind of machine: a program that is Python on it, and what the environment says."""

    name: str
    python: str
    variables: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the course on several machines.")
    parser.add_argument("--emulated", nargs="*", default=[], metavar="CPU")
    parser.add_argument("--runs", type=int, default=3, help="of the machines that are not emulated")
    options = parser.parse_args()

    machines = [
        Machine("this machine", sys.executable, {}),
        Machine("NumPy alone", sys.executable, {kernels.VARIABLE: kernels.NUMPY}),
        *(Machine(cpu, str(python_on(cpu)), {}) for cpu in options.emulated),
    ]
    table = Table("machine", *COMMANDS, "files written")
    for machine in track(machines, console=Console(stderr=True)):
        runs = options.runs if machine.python == sys.executable else 1
        table.add_row(machine.name, *measure(machine, runs))
    Console().print(table)


def measure(machine: Machine, runs: int) -> list[str]:
    """Median seconds of each command, each run in a home of its own, and what was written there."""
    times: list[list[float]] = []
    written = 0
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as home:
            tutor = [machine.python, "-c", "from tutor.__main__ import main; main()"]
            times.append(
                [seconds([*tutor, *each], home, **machine.variables) for each in COMMANDS.values()]
            )
            written = max(written, files_in(home))
    return [*(median(column) for column in zip(*times, strict=True)), str(written)]


if __name__ == "__main__":
    main()
