"""Record which checks each known mistake fails, in tutor/exercises/failing_checks.json.

    python -m tools.record_failures [N …]     all steps, or these, as in 7 or e1; takes two minutes

A learner's failures are compared first with the mistakes that fail the same checks. The tests say
when this has to run again.
"""

import argparse
import json

from rich.console import Console
from rich.progress import track

from tests.project.suites import run_tests
from tutor.course import EXERCISES, NUMBERS, find_number, load_step, solution_source, step_name
from tutor.grading.results import Result
from tutor.grading.workbench import Workbench

FILE = EXERCISES / "failing_checks.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Record which checks each known mistake fails.")
    parser.add_argument("steps", type=find_number, nargs="*", metavar="N")
    numbers = parser.parse_args().steps or NUMBERS
    table = json.loads(FILE.read_text()) if FILE.exists() else {}
    bench = Workbench("solutions")
    try:
        for number in numbers:
            table[step_name(number)] = failing_checks(number, bench)
            FILE.write_text(
                json.dumps(dict(sorted(table.items())), indent=1, ensure_ascii=False) + "\n"
            )
    finally:
        bench.close()


def failing_checks(number: int, bench: Workbench) -> dict[str, list[str]]:
    """By mistake of a step, the names of the checks that it fails."""
    step, found = load_step(number), {}
    for mistake in track(step.mistakes, step.label, console=Console(stderr=True)):
        result = Result(step, "solutions", {})
        run_tests(result, bench, mistake.apply(solution_source(number)))
        found[mistake.name] = [outcome.check.name for outcome in result.failures]
    return found


if __name__ == "__main__":
    main()
