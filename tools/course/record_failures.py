"""Record which checks each known mistake fails, in tutor/exercises/recorded/failing_checks.json.

    python -m tools.course.record_failures             all steps; takes two minutes
    python -m tools.course.record_failures 3,e1        these

A learner's failures are compared first with the mistakes that fail the same checks. The tests say
when this has to run again.
"""

import argparse
import json

from rich.console import Console
from rich.progress import track

from tests.project.suites import run_tests
from tutor.check.results import Result
from tutor.check.sandbox.workbench import Workbench
from tutor.course import sources
from tutor.course.names import NAMES, find_names
from tutor.course.registry import EXERCISES, Step, load_step

FILE = EXERCISES / "recorded" / "failing_checks.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Record which checks each known mistake fails.")
    parser.add_argument("steps", type=find_names, nargs="?", default=NAMES, help="as in 3,7-9")
    steps = map(load_step, parser.parse_args().steps)
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    table = {name.name: known.get(name.name, {}) for name in NAMES}
    bench = Workbench("solutions")
    try:
        for step in steps:
            table[step.name] = failing_checks(step, bench)
            FILE.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    finally:
        bench.close()


def failing_checks(step: Step, bench: Workbench) -> dict[str, list[str]]:
    """By mistake of a step, the names of the checks that it fails."""
    found = {}
    for mistake in track(step.mistakes, step.label, console=Console(stderr=True)):
        result = Result(step, "solutions", {})
        run_tests(result, bench, mistake.apply(sources.reference(step)))
        found[mistake.name] = [outcome.check.name for outcome in result.failures]
    return found


if __name__ == "__main__":
    main()
