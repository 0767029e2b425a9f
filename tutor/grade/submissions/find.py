"""Finds the submissions in what an instructor names: one of them, or all those of a class.

Whatever lies in the folder or archive of a class becomes a submission, also what cannot be one, and
that says why. So nobody is left out without a word.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from tutor.errors import InputError
from tutor.grade.submissions.entries import spelled
from tutor.grade.submissions.looking import (
    in_this_archive,
    in_this_folder,
    is_repository,
    seen,
)
from tutor.grade.submissions.names import ARCHIVE, OTHER, owner_of
from tutor.grade.submissions.read import Source
from tutor.grade.submissions.tops import Top, by_learner

MOST_IN_NAME = 300  # characters of a learner's name; a folder's has 255, and some are escaped
DIGEST = 32  # hexadecimal digits: 128 bits
MOST_IN_CLASS = 2_000  # that an archive may hold, since some files are written for each
KINDS = "a folder with steps, a zip or tar archive, a git repository, or a folder of these"


def find(names: Sequence[str], output: Path | None = None) -> list[Source]:
    """The submissions that these names stand for, and what among them is none.

    A name is a folder with steps, an archive, a git repository, or a folder or archive full of
    these. The folder of the results is none; what is hidden is one if it is named itself. Raises
    InputError for a name that is none of these.
    """
    joined: dict[tuple[object, ...], Source] = {}
    for name in names:
        for each in expand(name, output, is_alone=len(names) == 1):
            is_part = bool(each.members)
            key = each.path, each.kind, (each.learner, each.number) if is_part else None
            members = (*joined[key].members, *each.members) if key in joined else each.members
            joined[key] = replace(each, members=tuple(dict.fromkeys(members)))
    named = {place for each in joined.values() if each.kind != "none" for place in each.places}
    sources = [each for each in joined.values() if each.kind != "none" or each.path not in named]
    count = Counter(each.learner for each in sources)
    return [
        replace(each, learner=short(told_apart(each) if count[each.learner] > 1 else each.learner))
        for each in sources
    ]


def short(learner: str) -> str:
    """A name that can stand in every line; a long one ends in a digest, so that no two are one."""
    if len(learner) <= MOST_IN_NAME:
        return learner
    digest = hashlib.sha256(learner.encode()).hexdigest()[:DIGEST]
    return f"{learner[: MOST_IN_NAME - DIGEST]}…{digest}"


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
        if path.is_dir() or (ARCHIVE.search(path.name) and is_alone):
            found = divide(path, output)
        elif ARCHIVE.search(path.name):
            found = [whole(path, "archive")]
        else:
            found = [lone(path)]
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise InputError(f"{spelled(name)} {why}; check its name and rights") from None
    if is_alone and all(each.problem == OTHER for each in found):
        raise InputError(f"{spelled(name)} is not {KINDS}; name one that is")
    if is_alone and found[0].problem and found[0].path == path:
        raise InputError(f"{spelled(name)} {found[0].problem}")
    return found


def learner_of(path: Path) -> tuple[str, str]:
    """Whose a submission is by its name, and the number that a service has for them."""
    place = path.parent if path.name.lower() in ("steps", ".git") and path.parent.name else path
    return Top(PurePosixPath(place.name), place.is_dir(), tuple).learner


def lone(path: Path) -> Source:
    """A file by itself, which is a step, or nothing that can be graded."""
    member = PurePosixPath(path.name)
    top = Top(member, is_folder=False, look=tuple)
    learner, number = top.learner if top.learner[0] else learner_of(path.parent)
    if top.problem and not top.is_bare:
        return Source(spelled(path.name), path, "none", problem=top.problem)
    return Source(spelled(learner), path.parent, "folder", number, (member,))


def whole(path: Path, kind: Literal["folder", "archive"]) -> Source:
    """A folder or archive that is one submission."""
    learner, number = learner_of(path)
    return Source(spelled(learner), path, kind, number)


def divide(path: Path, output: Path | None) -> list[Source]:
    """The submissions in a folder or archive, or the one that it is."""
    kind: Literal["folder", "archive"] = "folder" if path.is_dir() else "archive"
    tops = in_this_folder(path, output) if path.is_dir() else in_this_archive(path)
    if path.is_dir() and not any(seen(entry, output) for entry in path.iterdir()):
        raise InputError(f"{spelled(str(path))} holds no submission; name {KINDS}")
    if owner_of(path.name) or not tops:
        return [whole(path, kind)]
    if kind == "archive" and len(tops) > MOST_IN_CLASS:
        most = f"{MOST_IN_CLASS:,} files and folders on top"
        raise InputError(f"{spelled(str(path))} has more than {most}; unpack it, if it is a class")
    found = [
        Source(spelled(top.name), path / top.path, "none", problem=top.problem)
        for top in tops
        if top.problem
    ]
    for (learner, number, _), theirs in by_learner(top for top in tops if not top.problem).items():
        first, members = theirs[0], tuple(top.path for top in theirs)
        if path.is_dir() and len(theirs) == 1 and first.kind != "file":
            found.append(Source(spelled(learner), path / first.path, first.kind, number))
        else:
            found.append(Source(spelled(learner), path, kind, number, members))
    return sorted(found, key=lambda source: source.learner)
