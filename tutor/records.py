"""What is kept of the last check of each step, for hints; losing it loses no progress."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import ROOT
from tutor.course import Check, Step, step_name

if TYPE_CHECKING:
    from tutor.grading.results import Result

FOLDER = ROOT / ".tutor"


def record_file(number: int) -> Path:
    """Where the record of a step is kept."""
    return FOLDER / f"{step_name(number)}.json"


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
    mistake = result.mistake.says if result.mistake else None
    write(number, {**load(number), "checks": verdicts, "mistake": mistake})


@dataclass(frozen=True)
class Hint:
    """A hint for the check that failed first; `rung` counts from 1."""

    check: Check
    rung: int
    mistake: str | None  # that was recognized there, which is the best hint of all

    @property
    def text(self) -> str:
        return self.check.hints[self.rung - 1]


def next_hint(step: Step) -> Hint | None:
    """The next hint, or the last one again; None if the step passed its last check."""
    record = load(step.number)
    verdicts = record.get("checks", {})
    failed = [check for check in step.checks if verdicts.get(check.name) != "passed"]
    if not failed:
        return None
    check = failed[0]
    hints = record.setdefault("hints", {})
    hints[check.name] = min(hints.get(check.name, 0) + 1, len(check.hints))
    write(step.number, record)
    return Hint(check, hints[check.name], record.get("mistake"))
