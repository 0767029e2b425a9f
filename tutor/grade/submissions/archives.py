"""The files in an archive, and in those that are in it, without unpacking any."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from tutor.grade.submissions.entries import Entry, UnreadableError, spelled
from tutor.grade.submissions.names import ARCHIVE, leads_out, path_of

MOST_BYTES = 2**28  # of an archive, as it is, and of all that comes out of it
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
FOREIGN = {b"Rar!\x1a\x07": "RAR", b"7z\xbc\xaf\x27\x1c": "7z", b"\x28\xb5\x2f\xfd": "Zstandard"}
PACKED: dict[bytes, Callable[[Any], Any]] = {  # all of them read bytes
    b"\x1f\x8b": lambda opened: gzip.GzipFile(fileobj=opened),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


class Meter:
    """Counts the bytes that come out of an archive, and out of those in it."""

    def __init__(self) -> None:
        self.left = MOST_BYTES

    def take(self, data: bytes) -> bytes:
        """The data, unless there is too much of it."""
        self.left -= len(data)
        if self.left < 0:
            raise UnreadableError(f"unpacked, it has more than {MOST_BYTES:,} bytes")
        return data


class Bounded:
    """A stream that ends in an error when more is read from it than there may be."""

    def __init__(self, stream: BinaryIO, meter: Meter) -> None:
        self.stream, self.meter = stream, meter

    def read(self, size: int) -> bytes:
        return self.meter.take(self.stream.read(min(size, self.meter.left + 1)))


def in_archive(place: Path, meter: Meter) -> Iterator[Entry]:
    """The files of an archive, of whichever kind it really is."""
    if place.stat().st_size > MOST_BYTES:
        raise UnreadableError(f"it has more than {MOST_BYTES:,} bytes; unpack it into a folder")
    with place.open("rb") as opened:
        yield from in_opened(opened, meter)


def in_opened(opened: BinaryIO, meter: Meter) -> Iterator[Entry]:
    """The files of an archive that is open."""
    magic = opened.read(6)
    for first, kind in FOREIGN.items():
        if magic.startswith(first):
            raise ValueError(f"it is a {kind} archive, whatever its name says; ask for a zip")
    if zipfile.is_zipfile(opened):
        yield from in_zip(opened, meter)
        return
    opened.seek(0)
    unpack = next((PACKED[first] for first in PACKED if magic.startswith(first)), None)
    stream: Any = Bounded(unpack(opened) if unpack else opened, meter)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        yield from in_tar(archive)


def in_tar(archive: tarfile.TarFile) -> Iterator[Entry]:
    """The members of a tar archive that is a stream, each to be read before the next."""
    for member in archive:
        path = path_of(member.name)

        def read(most: int, member: tarfile.TarInfo = member) -> bytes:
            content = archive.extractfile(member)
            return content.read(most) if content else b""

        if not member.isdir():
            yield Entry(path, read, fault_of_member(path, member.isreg()))


def in_zip(opened: BinaryIO, meter: Meter) -> Iterator[Entry]:
    """The members of a zip archive."""
    with zipfile.ZipFile(opened) as archive:
        for member in archive.infolist():
            path, mode = path_of(member.filename), member.external_attr >> 16

            def read(most: int, member: zipfile.ZipInfo = member) -> bytes:
                with archive.open(member) as content:
                    return meter.take(content.read(min(most, meter.left + 1)))

            if not member.filename.endswith(("/", "\\")):
                is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG)
                secret = "is encrypted: ask for one without a password" * (member.flag_bits & 1)
                yield Entry(path, read, fault_of_member(path, is_plain) or secret)


def fault_of_member(path: PurePosixPath, is_plain: bool) -> str:
    """Why a member of an archive is not read, if it is not."""
    if leads_out(path):
        return "leads out of the archive"
    return "" if is_plain else "is a link or no plain file"


def unpacked(entries: Iterable[Entry], meter: Meter) -> Iterator[Entry]:
    """The same, where archives among them are folders; one that is in such a one is not opened."""
    for entry in entries:
        if entry.fault or not ARCHIVE.search(entry.path.name):
            yield entry
            continue
        try:
            content = io.BytesIO(meter.take(entry.read(meter.left + 1)))
            for inner in in_opened(content, meter):
                yield Entry(entry.path / inner.path, inner.read, inner.fault)
        except DAMAGED as error:
            why = f"cannot be read: {spelled(str(error)) or type(error).__name__}"
            yield Entry(entry.path, entry.read, why)
