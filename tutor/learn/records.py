"""What is kept of the last check of each step; a check finds all of it out again."""

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tutor import ROOT, files
from tutor.course.names import Name, find_name
from tutor.course.verdicts import Verdict

FOLDER = ROOT / ".tutor"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a step; of one that was not checked there is no verdict yet."""

    verdict: Verdict | None = None
    checks: dict[str, Verdict] = {}
    files: dict[str, str] = {}  # the digests that the verdict rests on
    mistake: str | None = None  # what it says
    culprits: list[str] = []  # the names of other steps that the failure comes from
    hints: dict[str, Annotated[int, Meta(ge=0)]] = {}  # how many of a check's were given
    opened: str | None = None  # when the solution was looked at, before the step had passed

    def __post_init__(self) -> None:
        if bool(self.verdict) != bool(self.checks and self.files):
            raise ValueError("a verdict rests on checks and files")
        if not all(map(find_name, self.culprits)):
            raise ValueError("a culprit is no step")


def record_file(step: Name) -> Path:
    """Where the record of a step is kept."""
    return FOLDER / f"{step.name}.json"


def load(step: Name) -> Record:
    """What was kept, or nothing if it cannot be read, or has not the form that it is kept in."""
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(record_file(step).read_bytes(), type=Record)
    return Record()


def update(step: Name, **entries: Any) -> None:
    """Keep these as well; a folder that cannot be written is no obstacle to checking."""
    record = msgspec.structs.replace(load(step), **entries)
    with contextlib.suppress(OSError):
        files.write(record_file(step), msgspec.json.format(msgspec.json.encode(record)))


def open_solution(step: Name) -> None:
    """Keep when the solution of a step was looked at before the step had passed."""
    update(step, opened=datetime.now().astimezone().isoformat(timespec="seconds"))
