"""Looks at what lies on top of the folder or archive of a class, without reading any of it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from tutor.grade.submissions.archives import DAMAGED, Meter, in_archive
from tutor.grade.submissions.entries import UnreadableError, in_folder, within_limits
from tutor.grade.submissions.names import ARCHIVE
from tutor.grade.submissions.read import MOST_ENTRIES
from tutor.grade.submissions.tops import HIDDEN, LINK, NO_FILE, Top, is_class, is_litter

RESULTS = ("points.csv", "results.csv")  # in a folder that `tutor grade` has written
DEPTH = 3  # of folders in which steps are looked for, to tell a learner's folder from a class
MOST_SEEN = 5_000  # files of a folder that are looked at for that


def is_repository(path: Path) -> bool:
    """Whether a folder is a git repository without a working tree."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def in_this_folder(path: Path, output: Path | None) -> list[Top]:
    """What lies in the folder of a class; nothing, if it is one submission."""
    entries = sorted(path.iterdir())
    tops = [top for entry in entries if (top := seen(entry, output))]
    return tops if is_class(tops, [entry.name for entry in entries], is_folder=True) else []


def seen(entry: Path, output: Path | None) -> Top | None:
    """Something in the folder of a class, unless it is nobody's."""
    member = PurePosixPath(entry.name)
    nothing = Top(member, is_folder=False, look=tuple)
    if is_litter(entry.name):
        return None
    try:
        if entry.is_symlink():
            return replace(nothing, fault=LINK)
        if entry.is_dir():
            next(entry.iterdir(), None)  # whether it can be read
            look = partial(paths_in, entry)
            top = Top(member, is_folder=True, look=look, is_repository=is_repository(entry))
            return None if is_of_results(entry, top, output) else without_hidden(top)
        if entry.is_file():
            return without_hidden(replace(nothing, look=partial(listing, entry)))
    except OSError as error:
        return replace(nothing, fault=f"cannot be read: {error.strerror}; check its rights")
    return replace(nothing, fault=NO_FILE)


def is_of_results(entry: Path, top: Top, output: Path | None) -> bool:
    """Whether a folder is that of the results, leads to it, or is one of another time."""
    if output and output.resolve().is_relative_to(entry):
        return output.resolve() == entry or not top.has_work
    return all((entry / name).is_file() for name in RESULTS)


def without_hidden(top: Top) -> Top | None:
    """The same; if it is hidden, only to say so, and only if it looks like a submission."""
    if not top.name.startswith("."):
        return top
    return replace(top, fault=HIDDEN) if top.has_work or top.has_steps else None


def paths_in(folder: Path) -> Iterator[PurePosixPath]:
    """The first files of a folder that do not lie deep in it."""
    try:
        for entry in itertools.islice(in_folder(folder), MOST_SEEN):
            if len(entry.path.parts) <= DEPTH:
                yield entry.path
    except OSError:  # who reads it later says so
        return


def listing(archive: Path) -> list[PurePosixPath]:
    """The files in an archive; none where it cannot be read, which is told later."""
    if not ARCHIVE.search(archive.name):
        return []
    try:
        with within_limits():
            entries = itertools.islice(in_archive(archive, Meter()), MOST_ENTRIES)
            return [entry.path for entry in entries if not entry.fault]
    except (*DAMAGED, UnreadableError):
        return []


def in_this_archive(path: Path) -> list[Top]:
    """What lies in the archive of a class, or in the one folder in it; or nothing."""
    paths, root = listing(path), PurePosixPath()
    for _ in range(DEPTH):
        inside: dict[str, list[PurePosixPath]] = {}
        for each in (each.relative_to(root) for each in paths if each.is_relative_to(root)):
            inside.setdefault(each.parts[0], []).append(PurePosixPath(*each.parts[1:]))
        names = list(inside)
        named = [top_of(root / name, inside[name]) for name in names if not is_litter(name)]
        tops = [top for each in named if (top := without_hidden(each))]
        if is_class(tops, names, is_folder=False):
            return tops
        if len(tops) != 1 or not tops[0].is_folder:
            break
        root = tops[0].path
    return []


def top_of(path: PurePosixPath, below: Sequence[PurePosixPath]) -> Top:
    """A file or folder on top of an archive, or of a folder in it."""
    is_folder = any(each.parts for each in below)
    return Top(path, is_folder, lambda: below if is_folder else [])
