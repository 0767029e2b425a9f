"""Time what a newcomer waits for: the commands' start, and the first story with empty caches.

    python benchmarks/startup.py

Prints a table of medians, and beside the first story how many files it left in the home.
"""

import argparse
import sys
import tempfile

from rich.console import Console
from rich.table import Table
from timing import TUTOR, files_in, median, seconds

from tutor import ROOT

STORY = [*TUTOR, "generate", "Once upon a time", "--max-new-tokens", "40", "--seed", "0"]
TESTS = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests")]
COMMANDS = {
    "import tutor": [sys.executable, "-c", "import tutor"],
    "tutor --help": [*TUTOR, "--help"],
    "tutor doctor": [*TUTOR, "doctor"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the course's start-up.")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs

    table = Table("command", "median s", "max s", "files written")
    for name, command in COMMANDS.items():
        add_row(table, name, [seconds(command) for _ in range(runs)])
    first, again, written = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as home:
            first.append(seconds(STORY, home))
            again.append(seconds(STORY, home))
            written.append(files_in(home))
    add_row(table, "first story, empty caches", first, str(max(written)))
    add_row(table, "the next story", again)
    add_row(table, "all tests, once", [seconds(TESTS)])
    Console().print(table)


def add_row(table: Table, name: str, times: list[float], written: str = "") -> None:
    table.add_row(name, median(times), f"{max(times):.2f}", written)


if __name__ == "__main__":
    main()
