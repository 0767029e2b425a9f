"""Finds the submissions in what an instructor names: one of them, or all those of a class.

Whatever lies in the folder or archive of a class becomes a submission, also what cannot be one, and
that says why. So nobody is left out without a word.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from tutor.errors import InputError
from tutor.grade.submissions.archives import DAMAGED, Meter, in_archive
from tutor.grade.submissions.entries import (
    UnreadableError,
    in_folder,
    spelled,
    within_limits,
)
from tutor.grade.submissions.names import ARCHIVE, OTHER, owner_of
from tutor.grade.submissions.read import MOST_ENTRIES, Source
from tutor.grade.submissions.tops import (
    HIDDEN,
    LINK,
    NO_FILE,
    Top,
    by_learner,
    is_class,
    is_litter,
)

KINDS = "a folder with steps, a zip or tar archive, a git repository, or a folder of these"
RESULTS = ("points.csv", "results.csv")  # in a folder that `tutor grade` has written
DEPTH = 3  # of folders in which steps are looked for, to tell a learner's folder from a class
MOST_SEEN = 5_000  # files of a folder that are looked at for that


def find(names: Sequence[str], output: Path | None = None) -> list[Source]:
    """The submissions that these names stand for, and what among them is none.

    A name is a folder with steps, an archive, a git repository, or a folder or archive full of
    these. The folder of the results is none. Raises InputError for a name that is none of these.
    """
    joined: dict[tuple[object, ...], Source] = {}
    for name in names:
        for each in expand(name, output, is_alone=len(names) == 1):
            is_part = bool(each.members)
            key = each.path, each.kind, (each.learner, each.number) if is_part else None
            members = (*joined[key].members, *each.members) if key in joined else each.members
            joined[key] = replace(each, members=tuple(dict.fromkeys(members)))
    sources = list(joined.values())
    learners = [each.learner for each in sources]
    return [
        replace(each, learner=told_apart(each)) if learners.count(each.learner) > 1 else each
        for each in sources
    ]


def told_apart(source: Source) -> str:
    """What a submission is called whose learner has the name of another."""
    return f"{source.learner} ({source.number})" if source.number else spelled(str(source.path))


def expand(name: str, output: Path | None = None, *, is_alone: bool = True) -> list[Source]:
    """The submission that a name stands for, or all that lie in the folder or archive."""
    url = urlsplit(name) if "://" in name else None
    if url and (url.scheme, url.netloc) != ("file", ""):
        raise InputError(f"{spelled(name)} is not on this machine; clone it, and name the clone")
    path = Path(unquote(url.path) if url else name).resolve()
    try:
        path.stat()
        if is_repository(path) or url:
            place = path if is_repository(path) else path / ".git"
            learner, number = learner_of(path)
            return [Source(spelled(learner), place, "repository", number)]
        found = divide(path, output) if path.is_dir() or ARCHIVE.search(path.name) else [lone(path)]
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise InputError(f"{spelled(name)} {why}; check its name and rights") from None
    if is_alone and all(each.problem == OTHER for each in found):
        raise InputError(f"{spelled(name)} is not {KINDS}; name one that is")
    if is_alone and path.is_file() and found[0].problem:
        raise InputError(f"{spelled(name)} {found[0].problem}")
    return found


def is_repository(path: Path) -> bool:
    """Whether a folder is a git repository without a working tree."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def learner_of(path: Path) -> tuple[str, str]:
    """Whose a submission is by its name, and the number that a service has for them."""
    place = path.parent if path.name.lower() == "steps" and path.parent.name else path
    return Top(PurePosixPath(place.name), place.is_dir(), tuple).learner


def lone(path: Path) -> Source:
    """A file by itself, which is a step, or nothing that can be graded."""
    member = PurePosixPath(path.name)
    top = Top(member, is_folder=False, look=tuple)
    learner, number = top.learner if top.learner[0] else learner_of(path.parent)
    if top.problem and not top.is_bare:
        return Source(spelled(path.name), path, "none", problem=top.problem)
    return Source(spelled(learner), path.parent, "folder", number, (member,))


def divide(path: Path, output: Path | None) -> list[Source]:
    """The submissions in a folder or archive, or the one that it is."""
    kind: Literal["folder", "archive"] = "folder" if path.is_dir() else "archive"
    tops = in_this_folder(path, output) if path.is_dir() else in_this_archive(path)
    if owner_of(path.name) or not tops:
        learner, number = learner_of(path)
        return [Source(spelled(learner), path, kind, number)]
    found = [
        Source(spelled(top.name), path / top.path, "none", problem=top.problem)
        for top in tops
        if top.problem
    ]
    for (learner, number, _), theirs in by_learner(top for top in tops if not top.problem).items():
        members = tuple(top.path for top in theirs)
        whole = path / members[0]
        if (
            kind == "archive"
            or len(members) > 1
            or not (theirs[0].is_folder or theirs[0].is_archive)
        ):
            found.append(Source(spelled(learner), path, kind, number, members))
        elif theirs[0].is_repository:
            found.append(Source(spelled(learner), whole, "repository", number))
        else:
            is_folder = theirs[0].is_folder
            found.append(
                Source(spelled(learner), whole, "folder" if is_folder else "archive", number)
            )
    return sorted(found, key=lambda source: source.learner)


def in_this_folder(path: Path, output: Path | None) -> list[Top]:
    """What lies in the folder of a class; nothing, if it is one submission."""
    entries = sorted(path.iterdir())
    tops = [top for entry in entries if (top := seen(entry, output))]
    if not tops:
        raise InputError(f"{spelled(str(path))} holds no submission; name {KINDS}")
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
        inside = [each.relative_to(root) for each in paths if each.is_relative_to(root)]
        names = dict.fromkeys(each.parts[0] for each in inside)
        named = [top_of(root, name, inside) for name in names if not is_litter(name)]
        tops = [top for each in named if (top := without_hidden(each))]
        if is_class(tops, names, is_folder=False):
            return tops
        if len(tops) != 1 or not tops[0].is_folder:
            break
        root = tops[0].path
    return []


def top_of(root: PurePosixPath, name: str, inside: Iterable[PurePosixPath]) -> Top:
    """A file or folder on top of an archive, or of a folder in it."""
    below = [PurePosixPath(*path.parts[1:]) for path in inside if path.parts[0] == name]
    is_folder = any(path.parts for path in below)
    return Top(root / name, is_folder, lambda: below if is_folder else [])
