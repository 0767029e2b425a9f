"""The files in a folder or an archive, one after the other.

Nothing is run or unpacked; what is huge, leads elsewhere or is no plain file is not read.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import resource
import signal
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn

SKIPPED = {"node_modules", "site-packages", "__pycache__", "__MACOSX"}  # and what starts with a dot

LARGEST_FILE = 2**20  # bytes of a Python file; the longest solution has 9,000
MOST_BYTES = 2**28  # of an archive, as it is and unpacked
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
    statm = Path("/proc/self/statm")
    if statm.exists():
        mapped = int(statm.read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        most = [mapped + MOST_MEMORY, *(each for each in memory if each != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(most), memory[1]))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, memory)
        signal.signal(signal.SIGALRM, before)


def in_folder(place: Path) -> Iterator[Entry]:
    """The files of a folder; links are not followed."""
    for folder, inner, names in os.walk(place):
        inner[:] = sorted(name for name in inner if not is_skipped(name))
        for name in sorted(names):
            file = Path(folder, name)
            relative = PurePosixPath(file.relative_to(place))
            is_plain = stat.S_ISREG(file.lstat().st_mode)
            yield Entry(relative, limited(file), "" if is_plain else "is a link or no plain file")


def limited(file: Path) -> Callable[[int], bytes]:
    """How to read a file that may have become a link or a pipe meanwhile."""

    def read(most: int) -> bytes:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            return opened.read(most)

    return read


def in_archive(place: Path) -> Iterator[Entry]:
    """The files of an archive, of whichever kind it really is."""
    if place.stat().st_size > MOST_BYTES:
        raise UnreadableError(f"it has more than {MOST_BYTES:,} bytes")
    if zipfile.is_zipfile(place):
        yield from in_zip(place)
        return
    with place.open("rb") as start:
        magic = start.read(6)
    openers: dict[bytes, Callable[[Path], Any]] = {  # all of them read bytes
        b"\x1f\x8b": gzip.GzipFile,
        b"BZh": bz2.BZ2File,
        b"\xfd7zXZ\0": lzma.LZMAFile,
    }
    unpack = next((openers[first] for first in openers if magic.startswith(first)), io.FileIO)
    with unpack(place) as stream:
        bounded: Any = Bounded(stream)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            yield from in_tar(archive)


class Bounded:
    """A stream that ends in an error when more is read from it than an archive may hold."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.left = stream, MOST_BYTES

    def read(self, size: int) -> bytes:
        data = self.stream.read(min(size, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise UnreadableError(f"unpacked, it has more than {MOST_BYTES:,} bytes")
        return data


def in_tar(archive: tarfile.TarFile) -> Iterator[Entry]:
    """The members of a tar archive that is a stream, each to be read before the next."""
    for member in archive:
        path = PurePosixPath(member.name)

        def read(most: int, member: tarfile.TarInfo = member) -> bytes:
            content = archive.extractfile(member)
            return content.read(most) if content else b""

        if not member.isdir():
            yield Entry(path, read, fault_of_member(path, member.isreg()))


def in_zip(place: Path) -> Iterator[Entry]:
    """The members of a zip archive."""
    with zipfile.ZipFile(place) as archive:
        for member in archive.infolist():
            path, mode = PurePosixPath(member.filename), member.external_attr >> 16

            def read(most: int, member: zipfile.ZipInfo = member) -> bytes:
                with archive.open(member) as content:
                    return content.read(most)

            if not member.is_dir():
                is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG)
                yield Entry(path, read, fault_of_member(path, is_plain))


def fault_of_member(path: PurePosixPath, is_plain: bool) -> str:
    """Why a member of an archive is not read, if it is not."""
    if path.is_absolute() or ".." in path.parts:
        return "leads out of the archive"
    return "" if is_plain else "is a link or no plain file"
