"""Submissions: the steps in a learner's folder, archive or git repository.

Nothing is run or unpacked. The Python files beside the steps are read, with a limit on each and on
all, and written under checked names into a folder of the course's own. So links, paths that lead
out of an archive, and what only unpacks to something huge come to nothing.
"""

import hashlib
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from tutor import ROOT
from tutor.course.names import find_name
from tutor.errors import InputError
from tutor.grade.submissions.entries import (
    LARGEST_FILE,
    Entry,
    UnreadableError,
    in_archive,
    in_folder,
    is_skipped,
    spelled,
    within_limits,
)
from tutor.grade.submissions.repositories import in_repository

ARCHIVE = re.compile(r"\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
MOST_ENTRIES = 50_000  # files and folders that a submission may hold
MOST_FILES = 100  # Python files beside the steps
MOST_PYTHON = 2**25  # bytes of all Python files together
LONGEST_NAME = 200  # bytes, from the folder with the steps

CANNOT_BE_IMPORTED = "has a name that cannot be imported"
DAMAGED = (
    OSError,
    EOFError,
    MemoryError,
    RuntimeError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


@dataclass(frozen=True)
class Source:
    """Where a submission lies."""

    learner: str
    path: Path
    kind: Literal["folder", "archive", "repository"]

    def entries(self) -> Iterator[Entry]:
        """The files that it holds."""
        return {"folder": in_folder, "archive": in_archive, "repository": in_repository}[self.kind](
            self.path
        )


@dataclass(frozen=True)
class Submission:
    """What is graded: the text of each Python file beside the steps, by its path from there."""

    files: dict[str, bytes]
    left_out: list[str]

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


def find(names: Iterable[str]) -> list[Source]:
    """The submissions that these names stand for.

    A name is a folder with steps, an archive, a git repository, or a folder full of these. Raises
    InputError for one that is none of them.
    """
    sources = {each.path: each for name in names for each in expand(name)}.values()
    learners = [each.learner for each in sources]
    return [
        each
        if learners.count(each.learner) == 1
        else Source(spelled(str(each.path)), each.path, each.kind)
        for each in sources
    ]


def expand(name: str) -> list[Source]:
    """The submission that a name stands for, or all that lie in the folder of that name."""
    url = urlsplit(name) if "://" in name else None
    if url and (url.scheme, url.netloc) != ("file", ""):
        raise InputError(f"{spelled(name)} is not on this machine; clone it, and name the clone")
    path = Path(unquote(url.path) if url else name).resolve()
    try:
        if found := recognize(path, is_url=bool(url)):
            return [found]
        inside = sorted(path.iterdir()) if path.is_dir() else []
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise InputError(f"{spelled(name)} {why}; check its name and rights") from None
    visible = [entry for entry in inside if not entry.name.startswith(".")]
    sources = [recognize_or_fail(entry) for entry in visible]
    if found_inside := [source for source in sources if source]:
        return found_inside
    kinds = "a folder with steps, a zip or tar archive, a git repository, or a folder of these"
    raise InputError(f"{spelled(name)} is not {kinds}; name one that is")


def recognize(path: Path, *, is_url: bool = False) -> Source | None:
    """A submission that is one at first sight."""
    path.stat()
    name = path.parent.name if path.name == "steps" else path.name
    learner = spelled(ARCHIVE.sub("", name).removesuffix(".git") or name)
    if path.is_file():
        return Source(learner, path, "archive") if ARCHIVE.search(path.name) else None
    if (path / "HEAD").is_file() and (path / "objects").is_dir():
        return Source(learner, path, "repository")
    if is_url:
        return Source(learner, path / ".git", "repository")
    holds = path.is_dir() and (any(map(is_step, path.iterdir())) or (path / "steps").is_dir())
    return Source(learner, path, "folder") if holds else None


def recognize_or_fail(path: Path) -> Source | None:
    """A submission in the folder of a class, which any folder is; also one that cannot be read."""
    other = Source(spelled(path.name), path, "folder")
    try:
        return recognize(path) or (other if path.is_dir() else None)
    except OSError:
        return other


def is_step(path: PurePosixPath | Path) -> bool:
    """Whether a file has the name of a step."""
    return path.suffix == ".py" and "_" in path.stem and bool(find_name(path.stem))


def read(source: Source) -> Submission:
    """The steps of a submission. Raises UnreadableError if there are none to be graded."""
    try:
        with within_limits():
            found, faults = read_python(source)
    except DAMAGED as error:
        why = spelled(str(error)) or type(error).__name__
        raise UnreadableError(f"it cannot be read: {why}") from None
    steps = choose_folder(found)
    beside = {path.relative_to(steps): path for path in found if path.is_relative_to(steps)}
    if len(beside) > MOST_FILES:
        raise UnreadableError(f"it has more than {MOST_FILES} Python files beside its steps")
    names = {short: "" if is_importable(short) else CANNOT_BE_IMPORTED for short in beside}
    left_out = {short: faults.get(path) or names[short] for short, path in beside.items()}
    return Submission(
        {str(short): found[path] for short, path in beside.items() if not left_out[short]},
        [f"{spelled(str(beside[short]))} {why}" for short, why in left_out.items() if why],
    )


def read_python(source: Source) -> tuple[dict[PurePosixPath, bytes], dict[PurePosixPath, str]]:
    """All Python files of a submission, and why some of them are left out."""
    found: dict[PurePosixPath, bytes] = {}
    faults: dict[PurePosixPath, str] = {}
    size = 0
    for count, entry in enumerate(source.entries()):
        if count == MOST_ENTRIES:
            raise UnreadableError(f"it holds more than {MOST_ENTRIES:,} files")
        if entry.path.suffix != ".py" or any(map(is_skipped, entry.path.parts[:-1])):
            continue
        content = b"" if entry.fault else entry.read(LARGEST_FILE + 1)
        is_large = len(content) > LARGEST_FILE
        found[entry.path] = content
        faults[entry.path] = entry.fault or is_large * f"has more than {LARGEST_FILE:,} bytes"
        size += len(content)
        if size > MOST_PYTHON:
            raise UnreadableError(f"it has more than {MOST_PYTHON:,} bytes of Python")
    return found, faults


def is_importable(path: PurePosixPath) -> bool:
    """Whether a path from the folder with the steps is that of a module; any system can hold it."""
    parts = path.with_suffix("").parts
    return all(map(str.isidentifier, parts)) and len(str(path).encode()) <= LONGEST_NAME


def choose_folder(paths: Iterable[PurePosixPath]) -> PurePosixPath:
    """The folder with the steps: one of that name, or else the one that lies highest."""
    folders = {path.parent for path in paths if is_step(path)}
    ranked = sorted(folders, key=lambda place: (place.name != "steps", len(place.parts), place))
    if not ranked:
        raise UnreadableError("it holds no file named like a step, such as steps/step_01.py")
    same = [
        place
        for place in ranked
        if (place.name, len(place.parts)) == (ranked[0].name, len(ranked[0].parts))
    ]
    if len(same) > 1:
        names = " and ".join(spelled(str(place)) for place in same[:2])
        raise UnreadableError(f"it holds steps in {names}; one of them has to go")
    return ranked[0]
