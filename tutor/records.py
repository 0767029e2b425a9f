"""What is kept of the last check of each step, for hints; losing it loses no progress."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import ROOT
from tutor.course import Check, Step

if TYPE_CHECKING:
    from tutor.grading.results import Result

FOLDER = ROOT / ".tutor"


def record_file(number: int) -> Path:
    """Where the record of a step is kept."""
    return FOLDER / f"step_{number:02}.json"


def load(number: int) -> dict[str, Any]:
    """What was kept, or nothing."""
    try:
        record = json.loads(record_file(number).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write(number: int, record: dict[str, Any]) -> None:
    """Keep it; a folder that cannot be written is no obstacle to checking."""
    try:
        FOLDER.mkdir(exist_ok=True)
        record_file(number).write_text(json.dumps(record, indent=2))
    except OSError:
        return


def save(result: "Result") -> None:
    """Keep the verdicts of a check of the learner's own step."""
    number = result.step.number
    verdicts = {name: str(outcome.verdict) for name, outcome in result.outcomes.items()}
    write(number, {**load(number), "checks": verdicts})


def next_hint(step: Step) -> tuple[Check, int]:
    """The check that failed first, and which of its hints comes next: 1, 2, 3, and 3 again."""
    record = load(step.number)
    verdicts = record.get("checks", {})
    check = next(
        (check for check in step.checks if verdicts.get(check.name) != "passed"), step.checks[-1]
    )
    hints = record.setdefault("hints", {})
    hints[check.name] = min(hints.get(check.name, 0) + 1, len(check.hints))
    write(step.number, record)
    return check, hints[check.name]
