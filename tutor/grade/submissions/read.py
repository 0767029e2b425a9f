"""Reads the steps of a submission, which may be anything that people hand in.

Nothing is run or unpacked. The Python files beside the steps are read, with a limit on each and on
all, and written under checked names into a folder of the course's own. So links, paths that lead
out of an archive, and what only unpacks to something huge come to nothing.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tutor import ROOT
from tutor.course.names import Name
from tutor.grade.submissions.archives import DAMAGED, Meter, in_archive, unpacked
from tutor.grade.submissions.choosing import (
    Found,
    bounded,
    choose_folders,
    choose_steps,
    is_importable,
    shown,
    tell_of_others,
)
from tutor.grade.submissions.encodings import as_utf8
from tutor.grade.submissions.entries import (
    LARGEST_FILE,
    NO_RIGHTS,
    Entry,
    UnreadableError,
    in_folder,
    is_skipped,
    spelled,
    within_limits,
)
from tutor.grade.submissions.names import ARCHIVE, owner_of, step_of
from tutor.grade.submissions.repositories import in_repository

MOST_ENTRIES = 50_000  # files and folders that a submission may hold
MOST_FILES = 100  # Python files beside the steps
MOST_PYTHON = 2**25  # bytes of all Python files together
CANNOT_BE_IMPORTED = "has a name that cannot be imported"


@dataclass(frozen=True)
class Source:
    """Where a submission lies."""

    learner: str
    path: Path
    kind: Literal["folder", "archive", "repository", "none"]
    number: str = ""  # the learner's, in Moodle or Canvas
    members: tuple[PurePosixPath, ...] = ()  # the files and folders in it that are theirs, if some
    problem: str = ""  # why it is none

    def entries(self, meter: Meter, notes: list[str]) -> Iterator[Entry]:
        """The files that it holds; what there is to be said of it comes to the notes."""
        if self.kind == "none":
            raise UnreadableError(f"it {self.problem}")
        if self.kind == "repository":
            return in_repository(self.path, notes)
        if self.kind == "archive":
            return filter(self.is_theirs, in_archive(self.path, meter))
        return in_folder(self.path, self.members)

    @property
    def places(self) -> list[Path]:
        """The files and folders that it consists of."""
        return [self.path / member for member in self.members] or [self.path]

    def is_theirs(self, entry: Entry) -> bool:
        """Whether a file in the archive of a class belongs to this learner."""
        return not self.members or any(map(entry.path.is_relative_to, self.members))


@dataclass(frozen=True)
class Submission:
    """What is graded: the text of each Python file beside the steps, by its path from there."""

    files: dict[str, bytes]
    notes: list[str]  # sentences on what was left out, or read in another way than it was written

    @property
    def digest(self) -> str:
        """SHA-256 of all that is graded."""
        total = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        return total.hexdigest()

    def lay_out(self, root: Path) -> None:
        """Write the steps below a new folder, with the course's own __init__.py."""
        ours = {"__init__.py": (ROOT / "steps" / "__init__.py").read_bytes()}
        for name, content in (self.files | ours).items():
            file = root / "steps" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def read(source: Source) -> Submission:
    """The steps of a submission. Raises UnreadableError if there are none to be graded."""
    try:
        with within_limits():
            return read_at_length(source)
    except DAMAGED as error:
        why = spelled(str(error)) or type(error).__name__
        raise UnreadableError(f"it cannot be read: {why}") from None


def read_at_length(source: Source) -> Submission:
    """The same, however long it takes."""
    notes: list[str] = []
    found = collect(source, notes)
    if not found.steps and any(ARCHIVE.search(path.name) for path in found.others):
        found = collect(source, notes, is_opened=True)
    folders = choose_folders(found, notes)
    beside = {
        path.relative_to(folder): path
        for folder in reversed(folders)
        for path in found.python
        if path.is_relative_to(folder)
    }
    if len(beside) > MOST_FILES:
        raise UnreadableError(f"it has more than {MOST_FILES} Python files beside its steps")
    steps = choose_steps(beside, notes)
    tell_of_others(found, folders, steps, notes)
    unread = [path for path in source.members if path in found.others and is_theirs(path.name)]
    notes += [f"{shown(path)} was not read, since there are steps beside it." for path in unread]
    files: dict[str, bytes] = {}
    for short, path in beside.items():
        names, fault = names_of(short, steps), found.faults[path]
        is_told = len(short.parts) == 1 and step_of(path.name)  # why it was not chosen
        if not (names or is_told or is_importable(short)):
            fault = fault or CANNOT_BE_IMPORTED
        text, remark = as_utf8(found.python[path])
        if fault:
            notes.append(f"{shown(path)} {fault}; it was left out.")
        else:
            notes += [f"{shown(path)} {remark}."] * bool(remark and names)
            files |= dict.fromkeys(names, text)
    return Submission(files, bounded(notes))


def is_theirs(name: str) -> bool:
    """Whether a file that is no step is a learner's, and not what a service says of one."""
    owner = owner_of(name)
    return not step_of(name) and not (owner and owner.rest == name)


def names_of(path: PurePosixPath, steps: Mapping[PurePosixPath, Name]) -> list[str]:
    """The names under which a file is graded: as its step, and as others may import it."""
    names = [f"{steps[path]}.py"] if path in steps else []
    is_free = str(path).lower() not in {f"{step}.py" for step in steps.values()}
    return [*names, str(path)] if is_free and is_importable(path) else names


def collect(source: Source, notes: list[str], *, is_opened: bool = False) -> Found:
    """What a submission holds; also what is in the archives in it, if these are opened."""
    found, size, meter = Found({}, {}, {}), 0, Meter()
    entries = source.entries(meter, notes)
    for count, entry in enumerate(unpacked(entries, meter) if is_opened else entries):
        if count == MOST_ENTRIES:
            raise UnreadableError(f"it holds more than {MOST_ENTRIES:,} files")
        if any(map(is_skipped, entry.path.parts)):
            continue
        named = step_of(entry.path.name)
        if not (named.is_python if named else entry.path.suffix == ".py"):
            found.others[entry.path] = entry.fault
            continue
        content, fault = b"", entry.fault
        try:
            content = b"" if fault else entry.read(LARGEST_FILE + 1)
        except PermissionError:
            fault = NO_RIGHTS
        is_large = len(content) > LARGEST_FILE
        found.python[entry.path] = content
        found.faults[entry.path] = fault or is_large * f"has more than {LARGEST_FILE:,} bytes"
        size += len(content)
        if size > MOST_PYTHON:
            raise UnreadableError(f"it has more than {MOST_PYTHON:,} bytes of Python")
    return found
