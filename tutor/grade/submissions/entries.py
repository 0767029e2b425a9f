"""A file of a submission, the files in a folder, and the limits on reading them.

Nothing is run; what is huge, leads elsewhere or is no plain file is not read.
"""

import contextlib
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from tutor.processes import mapped

SKIPPED = {"node_modules", "site-packages", "__pycache__", "__MACOSX"}  # and what starts with a dot

NO_RIGHTS = "cannot be read; check its rights"

LARGEST_FILE = 2**20  # bytes of a Python file; the longest solution has 9,000
MOST_MEMORY = 2**30  # bytes that reading a submission may map
MOST_SECONDS = 60  # that reading it may take


class UnreadableError(Exception):
    """A submission that cannot be graded, and why."""


@dataclass(frozen=True)
class Entry:
    """A file in a submission: where it lies, and how to read so many bytes of it at most."""

    path: PurePosixPath
    read: Callable[[int], bytes]
    fault: str = ""  # why it is not read


def is_skipped(name: str) -> bool:
    """Whether no steps are looked for in a folder of this name."""
    return name in SKIPPED or name.startswith(".")


def spelled(text: str) -> str:
    """A name that can be shown anywhere: what is no letter, sign or blank is escaped.

    So is a backslash, so that no two names are spelled alike.
    """
    plain = {letter for letter in text if letter.isprintable() and letter != "\\"}
    return "".join(letter if letter in plain else ascii(letter)[1:-1] for letter in text)


@contextlib.contextmanager
def within_limits() -> Iterator[None]:
    """Bound memory and time. Raises UnreadableError or MemoryError for what takes more.

    A few bytes can ask a library for much: a header full of digits, say, costs tarfile hours.
    """

    def give_up(*_: object) -> NoReturn:
        raise UnreadableError(f"it takes more than {MOST_SECONDS} seconds to read")

    before, memory = signal.signal(signal.SIGALRM, give_up), resource.getrlimit(resource.RLIMIT_AS)
    if now := mapped():
        most = [now + MOST_MEMORY, *(each for each in memory if each != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(most), memory[1]))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, memory)
        signal.signal(signal.SIGALRM, before)


def in_folder(place: Path, members: Iterable[PurePosixPath] = ()) -> Iterator[Entry]:
    """The files of a folder, or of these members of it; links are not followed, but told of."""
    for top in [place / member for member in members] or [place]:
        if not top.is_dir() or (top != place and top.is_symlink()):
            yield in_place(top, place)
            continue
        closed: list[OSError] = []  # folders that cannot be looked into
        for folder, inner, names in os.walk(top, onerror=closed.append):
            seen = sorted(name for name in inner if not is_skipped(name))
            links = [name for name in seen if Path(folder, name).is_symlink()]
            inner[:] = [name for name in seen if name not in links]
            yield from (in_place(Path(folder, name), place) for name in sorted([*names, *links]))
        for error in closed:
            path = PurePosixPath(Path(error.filename).relative_to(place))
            yield Entry(path, limited(Path(error.filename)), NO_RIGHTS)


def in_place(file: Path, place: Path) -> Entry:
    """A file in a folder."""
    is_plain = stat.S_ISREG(file.lstat().st_mode)
    path = PurePosixPath(file.relative_to(place))
    return Entry(path, limited(file), "" if is_plain else "is a link or no plain file")


def limited(file: Path) -> Callable[[int], bytes]:
    """How to read a file that may have become a link or a pipe meanwhile."""

    def read(most: int) -> bytes:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            return opened.read(most)

    return read
