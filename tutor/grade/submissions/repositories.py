"""The files in a git repository, which may have been made to attack whoever reads it.

Its settings can name programs for git to start, and its files can stand for those of others. So git
reads its objects by way of an empty repository of ours, and what borrows objects is refused.
"""

import contextlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tutor.grade.submissions.entries import (
    LARGEST_FILE,
    Entry,
    UnreadableError,
    fault_of_member,
    spelled,
)

LONGEST = 2**24  # bytes of the list of all files; a few nested folders can make it endless
BORROWED = "it takes objects from another repository; clone it anew, without --shared"


def in_repository(place: Path) -> Iterator[Entry]:
    """The files of the last commit."""
    check_whole(place)
    head = git({"GIT_DIR": str(place)}, "rev-parse", "--verify", "HEAD").decode().strip()
    with tempfile.TemporaryDirectory(prefix="tutor-") as name:
        ours = {"GIT_DIR": name, "GIT_OBJECT_DIRECTORY": str(place / "objects")}
        Path(name, "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
        Path(name, "refs").mkdir()
        for line in git(ours, "ls-tree", "-r", "-z", "-l", head).split(b"\0"):
            if line:
                yield entry(ours, line)


def check_whole(place: Path) -> None:
    """Refuse a repository whose files are somewhere else."""
    objects = place / "objects"
    if not place.is_dir() or place.is_symlink() or (place / "commondir").exists():
        raise UnreadableError(BORROWED)
    for folder, inner, names in os.walk(objects):
        found = [Path(folder, name) for name in (*inner, *names)]
        if any(map(Path.is_symlink, (objects, *found))) or objects / "info/alternates" in found:
            raise UnreadableError(BORROWED)


def entry(ours: Mapping[str, str], line: bytes) -> Entry:
    """A file from a line of the list."""
    fields, _, name = line.partition(b"\t")
    mode, _, digest, size = fields.decode().split()
    path = PurePosixPath(os.fsdecode(name))
    fault = fault_of_member(path, stat.S_ISREG(int(mode, 8)))
    if not fault and not size.isdecimal():
        fault = "is missing in the repository"
    if not fault and int(size) > LARGEST_FILE:
        fault = f"has more than {LARGEST_FILE:,} bytes"
    return Entry(path, lambda most: git(ours, "cat-file", "blob", digest)[:most], fault)


def git(where: Mapping[str, str], *command: str) -> bytes:
    """What git says; no setting of this user's or this machine's counts, and it fetches nothing."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",  # what versions obey that do not know the line above
        **where,
    }
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603
                ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *command],  # noqa: S607
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        except FileNotFoundError:
            raise UnreadableError("git is not here to read it; install git") from None
        listed = read_at_most(process, LONGEST)
        said.seek(0)
        reasons = said.read(2**16).decode(errors="replace").strip().splitlines()
    if len(listed) > LONGEST:
        raise UnreadableError(f"git lists more than {LONGEST:,} bytes of it")
    if process.returncode:
        raise UnreadableError(f"git refuses it: {spelled((reasons or ['without a reason'])[-1])}")
    return listed


def read_at_most(process: "subprocess.Popen[bytes]", most: int) -> bytes:
    """What a process writes, or somewhat more than so many bytes of it; then it has ended."""
    assert process.stdout
    with contextlib.closing(process.stdout) as pipe:
        try:
            written = pipe.read(most + 1)
            if len(written) <= most:
                process.wait()
        finally:
            process.kill()
            process.wait()
    return written
