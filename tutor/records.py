"""What is kept of the last check of each step; a check finds all of it out again."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import ROOT, keeping
from tutor.course import Check, Step, file_name, find_number, load_step, step_name

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


def update(number: int, **entries: Any) -> None:
    """Keep these as well; a folder that cannot be written is no obstacle to checking."""
    try:
        FOLDER.mkdir(exist_ok=True)
        keeping.write(record_file(number), json.dumps(load(number) | entries, indent=2).encode())
    except OSError:
        return


def save(result: "Result") -> None:
    """Keep the verdicts of a check of the learner's own step, and what was checked."""
    update(
        result.step.number,
        checks={name: str(outcome.verdict) for name, outcome in result.outcomes.items()},
        mistake=result.mistake.says if result.mistake else None,
        verdict=str(result.verdict),
        fingerprint=result.fingerprint,
    )


def fingerprint(number: int, root: Path = ROOT) -> str:
    """A digest of all that the verdict on a learner's step rests on.

    That is the suite, and the step with the earlier ones that it imports.
    """
    step = load_step(number)
    texts = [(ROOT / name).read_bytes() for name in (step.suite, step.registry)]
    texts += sources(number, root).values()
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def sources(number: int, root: Path = ROOT) -> dict[int, bytes]:
    """The text of a learner's step, and of the earlier ones that it imports; b"" if not there."""
    waiting, texts = [number], dict[int, bytes]()
    while waiting:
        each = waiting.pop()
        file = root / file_name("steps", each)
        texts[each] = file.read_bytes() if file.is_file() else b""
        imported = re.findall(rb"^from steps\.(\w+) import", texts[each], re.MULTILINE)
        waiting += {find_number(name.decode()) for name in imported} - {0, *texts}
    return texts


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
    hints = record.get("hints", {})
    rung = min(hints.get(check.name, 0) + 1, len(check.hints))
    update(step.number, hints={**hints, check.name: rung})
    return Hint(check, rung, record.get("mistake"))
