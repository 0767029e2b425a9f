"""The files in a folder, an archive or a git repository, one after the other.

Nothing is run or unpacked; what is huge, leads elsewhere or is no plain file is not read.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

SKIPPED = {"node_modules", "site-packages", "__pycache__", "__MACOSX"}  # and what starts with a dot

LARGEST_FILE = 2**20  # bytes of a Python file; the longest solution has 9,000
MOST_BYTES = 2**28  # of an archive, as it is and unpacked
GIT_SECONDS = 60


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
    """A name that can be shown anywhere: what is no letter, sign or blank is escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


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


def in_repository(place: Path) -> Iterator[Entry]:
    """The files of the last commit of a git repository, without its filters and hooks."""
    for line in git(place, "ls-tree", "-r", "-z", "-l", "HEAD").split(b"\0"):
        if not line:
            continue
        fields, _, name = line.partition(b"\t")
        mode, _, digest, size = fields.decode().split()
        path = PurePosixPath(os.fsdecode(name))

        def read(most: int, digest: str = digest) -> bytes:
            return git(place, "cat-file", "blob", digest)[:most]

        is_plain = mode in ("100644", "100755")
        is_large = is_plain and int(size) > LARGEST_FILE
        too_large = f"has more than {LARGEST_FILE:,} bytes" if is_large else ""
        yield Entry(path, read, too_large or fault_of_member(path, is_plain))


def git(repository: Path, *command: str) -> bytes:
    """What git says of a repository; only what is in it counts, no setting of anybody's."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
    }
    safe = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *safe, f"--git-dir={repository}", *command],  # noqa: S607
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except FileNotFoundError:
        raise UnreadableError("git is not here to read it; install git") from None
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"git needs more than {GIT_SECONDS} seconds to read it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["without a reason"]
        raise UnreadableError(f"git refuses it: {spelled(said[-1])}") from None
    return done.stdout
