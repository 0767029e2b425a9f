"""Try wrong solutions that the registry does not have: how many are refused, and named.

python -m tools.course.try_corpus [STEPS] [--show]    STEPS as in 3,7-9; all that have a corpus
"""

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from tests.project.suites import as_written, run_suite, tests_of
from tutor import ROOT
from tutor.check import report
from tutor.check.expectations import MismatchError
from tutor.check.results import Result
from tutor.check.sandbox.errors import CodeError
from tutor.check.sandbox.workbench import Workbench
from tutor.check.slips import slip
from tutor.course import sources
from tutor.course.names import find_names
from tutor.course.registry import Step, load_step
from tutor.course.verdicts import Verdict

CORPUS = ROOT / "tests" / "corpus"
KINDS = ("mistake", "edit", "likeness", "slip", "plain", "unnamed", "passed")


def main() -> None:
    parser = argparse.ArgumentParser(description="Try the corpus of wrong solutions.")
    parser.add_argument("steps", nargs="?", default="1-12,m1-m9")
    parser.add_argument(
        "--show", action="store_true", help="what is wrong with each, and what is said"
    )
    options = parser.parse_args()

    console, total = Console(width=120), Counter[str]()
    table = Table("step", *KINDS)
    bench = Workbench("solutions", announce=lambda _: None)
    for step in map(load_step, find_names(options.steps)):
        counts = Counter[str]()
        for name, means, kind, said in tried(step, bench):
            counts[kind] += 1
            if options.show:
                console.print(f"{step.short:>3} {kind:9} {name}: {means}", markup=False)
                console.print(f"{'':13} {said}", style="yellow", markup=False)
        table.add_row(step.name, *(str(counts[kind]) for kind in KINDS))
        total += counts
    bench.close()
    table.add_row("all", *(str(total[kind]) for kind in KINDS))
    console.print(table)


def tried(step: Step, bench: Workbench) -> Iterator[tuple[str, str, str, str]]:
    """Each wrong solution of a step: name, what is wrong, how it was explained, in which words."""
    file = CORPUS / f"{step.name}.toml"
    entries = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    tests = tests_of(step)
    for name, entry in entries.items():
        source = sources.reference(step)
        for old, new in entry["edits"]:
            if source.count(old) != 1:
                raise ValueError(f"{step.name}, {name}: {old!r} is there {source.count(old)}×")
            source = source.replace(old, new)
        yield name, entry["means"], *explained(run_suite(step, bench, source, tests), source)


def explained(result: Result, source: str) -> tuple[str, str]:
    """What a learner with this text is told beyond what was expected and what came."""
    if result.verdict is Verdict.PASSED:
        return "passed", ""
    if result.mistake:
        return "mistake", result.mistake.says
    if result.said:
        return "edit", result.said
    first = result.failures[0]
    error = first.error
    if like := report.looks_like(first):
        return ("plain" if isinstance(error, MismatchError) and error.says else "likeness"), like
    if isinstance(error, CodeError):
        if said := slip(as_written(error, result.step, source), sources.reference(result.step)):
            return "slip", said
        if error.kind == "ContractError" or "NotImplementedError" in error.bases:
            return "plain", error.message  # a sentence of ours already
    return "unnamed", str(error)


if __name__ == "__main__":
    main()
