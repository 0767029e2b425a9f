"""What is kept of the last check of each step; a check finds all of it out again."""

import contextlib
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import ROOT, keeping, stubs
from tutor.course import NUMBERS, file_name, find_number, load_step, step_name

if TYPE_CHECKING:
    from tutor.grading.results import Result

FOLDER = ROOT / ".tutor"


def record_file(number: int) -> Path:
    """Where the record of a step is kept."""
    return FOLDER / f"{step_name(number)}.json"


def load(number: int) -> dict[str, Any]:
    """What was kept, or nothing if it cannot be read, or has not the form that it is kept in."""
    try:
        record = json.loads(record_file(number).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if is_sound(record) else {}


def is_sound(record: Any) -> bool:
    """Whether this has the form of a record; a step that was not checked has no verdict yet."""
    if not isinstance(record, dict) or ("verdict" in record) != ({"checks", "files"} <= {*record}):
        return False
    rungs, culprits = record.get("hints", {}), record.get("culprits", [])
    return (
        all(isinstance(record.get(name, ""), str) for name in ("verdict", "opened"))
        and isinstance(record.get("mistake"), str | None)
        and all(is_map_of(str, record.get(name, {})) for name in ("checks", "files"))
        and is_map_of(int, rungs)
        and min(rungs.values(), default=0) >= 0
        and isinstance(culprits, list)
        and all(number in NUMBERS for number in culprits)
    )


def is_map_of(kind: type, value: Any) -> bool:
    """Whether this is a dictionary with such values."""
    return isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())


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
        culprits=result.culprits,
        verdict=str(result.verdict),
        files=result.files,
    )


def open_solution(number: int) -> None:
    """Keep when the solution of a step was looked at before the step had passed."""
    update(number, opened=datetime.now().astimezone().isoformat(timespec="seconds"))


def digests(number: int, root: Path = ROOT) -> dict[str, str]:
    """A digest of each text that the verdict on a learner's step rests on, by its name.

    That is the suite, the step, and the earlier ones that it imports, or their references as long
    as these stand in for them.
    """
    step = load_step(number)
    texts = {"suite": b"".join((ROOT / name).read_bytes() for name in (step.suite, step.registry))}
    for each, text in sources(number, root).items():
        stands_in = each != number and stubs.unfinished(root / file_name("steps", each))
        reference = ROOT / file_name("solutions", each)
        texts[step_name(each)] = reference.read_bytes() if stands_in else text
    return {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}


def sources(number: int, root: Path = ROOT) -> dict[int, bytes]:
    """The text of a learner's step, and of the earlier ones that it imports; empty if not there."""
    waiting, texts = [number], dict[int, bytes]()
    while waiting:
        each = waiting.pop()
        texts[each] = b""
        with contextlib.suppress(OSError):  # it may be on its way, as when an editor replaces it
            texts[each] = (root / file_name("steps", each)).read_bytes()
        imported = re.findall(rb"^from steps\.(\w+) import", texts[each], re.MULTILINE)
        waiting += {find_number(name.decode()) for name in imported} - {0, *texts}
    return texts
