"""Reads the steps of a submission, which may be anything that people hand in.

Nothing is run or unpacked. The Python files beside the steps are read, with a limit on each and on
all, and written under checked names into a folder of the course's own. So links, paths that lead
out of an archive, and what only unpacks to something huge come to nothing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tutor import ROOT
from tutor.course.names import Name
from tutor.grade.submissions.archives import DAMAGED, Meter, in_archive, unpacked
from tutor.grade.submissions.encodings import as_utf8
from tutor.grade.submissions.entries import (
    LARGEST_FILE,
    Entry,
    UnreadableError,
    in_folder,
    is_skipped,
    spelled,
    within_limits,
)
from tutor.grade.submissions.names import (
    ARCHIVE,
    OTHER,
    Spelling,
    age_of,
    owner_of,
    stem_of,
    step_of,
    why_not,
)
from tutor.grade.submissions.repositories import in_repository

MOST_ENTRIES = 50_000  # files and folders that a submission may hold
MOST_FILES = 100  # Python files beside the steps
MOST_PYTHON = 2**25  # bytes of all Python files together
MOST_TOLD = 4  # of the files that are none, where there is no step
LONGEST_NAME = 200  # bytes, from the folder with the steps
SOLUTIONS = ("solutions", "tests")  # folders of the course, whose files are named like steps, too
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


@dataclass(frozen=True)
class Found:
    """What a submission holds: Python files, what keeps one from being read, and what is none."""

    python: dict[PurePosixPath, bytes]
    faults: dict[PurePosixPath, str]
    others: dict[PurePosixPath, str]

    @property
    def steps(self) -> dict[PurePosixPath, Spelling]:
        """The files that are named like a step; those that cannot be read only if all are such."""
        found = {path: named for path in self.python if (named := step_of(path.name))}
        return {path: found[path] for path in found if not self.faults[path]} or found


def read(source: Source) -> Submission:
    """The steps of a submission. Raises UnreadableError if there are none to be graded."""
    notes: list[str] = []
    try:
        with within_limits():
            found = collect(source, notes)
            if not found.steps and any(ARCHIVE.search(path.name) for path in found.others):
                found = collect(source, notes, is_opened=True)
            texts = {path: as_utf8(content) for path, content in found.python.items()}
    except DAMAGED as error:
        why = spelled(str(error)) or type(error).__name__
        raise UnreadableError(f"it cannot be read: {why}") from None
    folders = choose_folders(found, notes)
    beside = {
        path.relative_to(folder): path
        for folder in reversed(folders)
        for path in texts
        if path.is_relative_to(folder)
    }
    if len(beside) > MOST_FILES:
        raise UnreadableError(f"it has more than {MOST_FILES} Python files beside its steps")
    steps = choose_steps(beside, notes)
    tell_of_others(found, folders, steps, notes)
    files: dict[str, bytes] = {}
    taken = {f"{step}.py" for step in steps.values()}
    for short, path in beside.items():
        text, remark = texts[path]
        names = {f"{steps[short]}.py"} if short in steps else set[str]()
        if is_importable(short) and str(short).lower() not in taken:
            names.add(str(short))  # under which the other steps may import it
        fault = found.faults[path]
        is_told = len(short.parts) == 1 and step_of(path.name)  # why it was not chosen
        if not (names or is_told or is_importable(short)):
            fault = fault or CANNOT_BE_IMPORTED
        if fault or remark:
            left_out = "; it was left out" * bool(fault)
            notes.append(f"{spelled(str(path))} {fault or remark}{left_out}.")
        files |= {} if fault else dict.fromkeys(names, text)
    return Submission(files, notes)


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
        content = b"" if entry.fault else entry.read(LARGEST_FILE + 1)
        is_large = len(content) > LARGEST_FILE
        found.python[entry.path] = content
        found.faults[entry.path] = entry.fault or is_large * f"has more than {LARGEST_FILE:,} bytes"
        size += len(content)
        if size > MOST_PYTHON:
            raise UnreadableError(f"it has more than {MOST_PYTHON:,} bytes of Python")
    return found


def is_importable(path: PurePosixPath) -> bool:
    """Whether a path from the folder with the steps is that of a module; any system can hold it."""
    parts = path.with_suffix("").parts
    is_module = path.suffix == ".py" and all(map(str.isidentifier, parts))
    return is_module and len(str(path).encode()) <= LONGEST_NAME


def choose_folders(found: Found, notes: list[str]) -> list[PurePosixPath]:
    """The folder with the steps: one of that name, or else the one that lies highest.

    Several, if each has other steps; of archives of one name, the one that was handed in last.
    """
    folders: dict[PurePosixPath, set[Name]] = defaultdict(set)
    for path, named in found.steps.items():
        folders[path.parent].add(named.step)
    if not folders:
        raise UnreadableError(without_steps(found))
    ranks = {place: (place.name.lower() != "steps", len(place.parts)) for place in folders}
    best = sorted(place for place in folders if ranks[place] == min(ranks.values()))
    if sum(len(folders[place]) for place in best) == len({s for p in best for s in folders[p]}):
        return best
    archives = {place: [part for part in place.parts if ARCHIVE.search(part)] for place in best}
    ages = {place: [age_of(part) for part in archives[place]] for place in best}
    newest = max(best, key=lambda place: ages[place])
    names = {tuple(map(stem_of, archives[place])) for place in best}
    if len(names) == 1 and list(ages.values()).count(ages[newest]) == 1:
        older = [place for place in best if place != newest]
        notes += [f"{shown(newest)} was graded, and not the older {shown(old)}." for old in older]
        return [newest]
    both = " and ".join(map(shown, best[:2]))
    raise UnreadableError(
        f"it holds steps in {both}; one of them has to go, or, if these are a class, name it alone"
    )


def without_steps(found: Found) -> str:
    """Why there is nothing to grade, and what there is instead."""
    whys = {path: why or why_not(path.name) for path, why in found.others.items()}
    whys |= {path: why_not(path.name) for path in found.python}
    known = [f"{shown(path)} {why}" for path, why in sorted(whys.items()) if why != OTHER]
    return "; ".join(
        ["it holds no file named like a step, such as steps/step_01.py", *known[:MOST_TOLD]]
    )


def choose_steps(
    beside: Mapping[PurePosixPath, PurePosixPath], notes: list[str]
) -> dict[PurePosixPath, Name]:
    """Which file is which step; of several of one step the newest, by what their names say."""
    candidates: dict[Name, dict[PurePosixPath, Spelling]] = defaultdict(dict)
    for path in beside:
        if len(path.parts) == 1 and (named := step_of(path.name)):
            candidates[named.step][path] = named
    chosen: dict[PurePosixPath, Name] = {}
    for step, files in candidates.items():
        plain = {path: files[path] for path in files if not files[path].before} or files
        last = max(named.age for named in plain.values())
        newest = [path for path in plain if plain[path].age == last]
        exact = [path for path in newest if path.name == f"{step}.py"] or newest
        if len({named.before for named in plain.values()}) > 1 or len(exact) > 1:
            names = " and ".join(shown(beside[path]) for path in sorted(plain))
            notes.append(f"{step.label.capitalize()} is there as {names}; keep one, as {step}.py.")
            continue
        (path,) = exact
        chosen[path] = step
        name = shown(beside[path])
        others = [shown(beside[other]) for other in sorted(plain.keys() - {path})]
        notes += [f"{name} was graded, and not {other}." for other in others]
        if plain[path].is_late:
            notes.append(f"{name} was handed in late.")
        elif path.name != f"{step}.py" and not owner_of(path.name):
            notes.append(f"{name} was read as {step}.py.")
    return chosen


def tell_of_others(
    found: Found,
    folders: Iterable[PurePosixPath],
    steps: Mapping[PurePosixPath, Name],
    notes: list[str],
) -> None:
    """Note what is named like a step that is not graded, and what it would take."""
    for path in sorted([*found.others, *found.python]):
        named = step_of(path.name)
        if not named or named.step in steps.values() or path.parent.name in SOLUTIONS:
            continue
        if path in found.others and path.parent in folders:
            why = found.others[path] or why_not(path.name)
            why = f"is no Python file; save it as {named.step}.py" if why == OTHER else why
            notes.append(f"{shown(path)} {why}.")
        elif path in found.python and not any(map(path.is_relative_to, folders)):
            why = found.faults[path] or "lies apart from the other steps"
            notes.append(f"{shown(path)} {why}; it was left out.")


def shown(path: PurePosixPath) -> str:
    """A path that can be part of a line."""
    return spelled(str(path))
