"""`tutor check`: what it prints, and what it keeps of the learner's own steps."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tutor import ROOT
from tutor.check.results import Result
from tutor.check.running import run_suites
from tutor.check.sandbox.workbench import Workbench
from tutor.course.registry import Step
from tutor.course.tracks import STEPS, TRACKS
from tutor.course.verdicts import Verdict
from tutor.learn import progress, records
from tutor.terminal.console import OpenConsole


def check_steps(
    steps: Collection[Step], tree: str, seconds: float, root: Path = ROOT
) -> list[Verdict]:
    """Check steps of a tree one after the other, and print what comes of it; their verdicts."""
    console = OpenConsole(highlight=False)

    def announce(message: str) -> None:
        Console(stderr=True, highlight=False).print(Text(message, style="dim"))

    bench = Workbench(tree, root=root, seconds=seconds, announce=announce)
    bench.start(steps)  # it gets ready while pytest is imported
    try:
        results = run_suites(steps, bench, console)
    finally:
        bench.close()
    is_own = tree == "steps" and root == ROOT
    if is_own:
        for result in results:
            if result.verdict is not Verdict.BROKEN:  # which says nothing of the step
                records.update(result.step, **kept(result))
    if len(results) > 1:
        console.print(f"\nIn all: {total(results)}.")
    elif is_own and results[0].verdict is Verdict.PASSED:
        console.print(f"So far: {progress.total(progress.standings())}.")
    return [result.verdict for result in results]


def kept(result: Result) -> dict[str, Any]:
    """What is kept of a check of the learner's own step."""
    return {
        "checks": {name: outcome.verdict for name, outcome in result.outcomes.items()},
        "mistake": result.explanation or None,
        "culprits": [step.name for step in result.culprits],
        "verdict": result.verdict,
        "files": result.files,
    }


def total(results: Collection[Result]) -> str:
    """The points of these steps, as far as they came; each track is counted apart."""
    counts = []
    for track in TRACKS:
        found = [result for result in results if result.step.track == track]
        if found:
            reached = sum(result.points for result in found)
            most = sum(result.step.points for result in found)
            where = "" if track == STEPS else f" in the {track.name} track"
            counts.append(f"{reached} of {most} points{where}")
    return " and ".join(counts)
