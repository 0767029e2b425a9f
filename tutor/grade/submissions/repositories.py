"""The files in a git repository, which may have been made to attack whoever reads it.

Its settings can name programs for git to start, and its files can stand for those of others. So git
never sees the repository itself: it reads the objects by way of an empty one of ours, into which
the names of branches and commits are copied. What borrows objects is refused.
"""

import contextlib
import os
import re
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from tutor.grade.submissions.archives import fault_of_member
from tutor.grade.submissions.entries import (
    LARGEST_FILE,
    Entry,
    UnreadableError,
    limited,
    spelled,
)
from tutor.grade.submissions.names import step_of

LONGEST = 2**24  # bytes of the list of all files; a few nested folders can make it endless
MOST_NAMES = 2**24  # bytes of all the names of branches and commits
MOST_BRANCHES = 50  # that are looked through for steps, where there is no HEAD
SECONDS = 10  # that git may take for one thing
BORROWED = "it takes objects from another repository; clone it anew, without --shared"
SUBMODULE = "160000"  # the mode of one
NO_COMMIT = "it has no commit yet; its owner has to commit, and to push"
NAMES = ("HEAD", "packed-refs", "refs", "reftable")  # of all that git says of branches
STORAGE = ("objectformat", "refstorage")  # that say how objects and names are stored


def in_repository(place: Path, notes: list[str]) -> Iterator[Entry]:
    """The files of the last commit."""
    check_whole(place)
    with tempfile.TemporaryDirectory(prefix="tutor-") as name:
        where = {"GIT_DIR": name, "GIT_OBJECT_DIRECTORY": str(place / "objects")}
        copy_names(place, Path(name))
        commit = find_commit(where, notes)
        for line in git(where, "ls-tree", "-r", "-z", "-l", commit).split(b"\0"):
            if line:
                yield entry(where, line)


def check_whole(place: Path) -> None:
    """Refuse a repository whose files are somewhere else, or are no files."""
    objects = place / "objects"
    if place.is_file():
        raise UnreadableError("it is a worktree of another repository; name its folder, as no URL")
    if not objects.exists():
        raise UnreadableError("it is no git repository")
    if not place.is_dir() or place.is_symlink() or (place / "commondir").exists():
        raise UnreadableError(BORROWED)
    for folder, inner, names in os.walk(objects):
        found = [Path(folder, name) for name in (*inner, *names)]
        if any(map(Path.is_symlink, (objects, *found))) or objects / "info/alternates" in found:
            raise UnreadableError(BORROWED)
        if not all(stat.S_ISREG(Path(folder, name).stat().st_mode) for name in names):
            raise UnreadableError("its objects are no plain files; clone it anew")


def copy_names(place: Path, ours: Path) -> None:
    """Make a repository that has the names of another, and of its settings those for storage."""
    (ours / "refs").mkdir()
    (ours / "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
    total = 0
    for file in files_of_names(place):
        content = contents(file)
        total += len(content)
        if total > MOST_NAMES:
            raise UnreadableError(f"its branches take more than {MOST_NAMES:,} bytes")
        copy = ours / file.relative_to(place)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
    settings = contents(place / "config").decode(errors="replace")
    found = {name: re.search(rf"(?im)^\s*{name}\s*=\s*(\w+)", settings) for name in STORAGE}
    lines = ["[core]", "repositoryformatversion = 1", "bare = true", "[extensions]"]
    lines += [f"{name} = {each[1]}" for name, each in found.items() if each and each[1] != "files"]
    (ours / "config").write_text("\n".join([*lines, ""]), encoding="utf-8")


def files_of_names(place: Path) -> Iterator[Path]:
    """The files with the names of branches and commits; no links among them."""
    for top in NAMES:
        if not (place / top).is_symlink():
            yield from [place / top] * (place / top).is_file()
            for folder, _, names in os.walk(place / top):
                yield from (Path(folder, name) for name in names)


def contents(file: Path) -> bytes:
    """The beginning of a file; nothing, if it is a link, a pipe or not there."""
    is_plain = file.exists() and stat.S_ISREG(file.lstat().st_mode)
    return limited(file)(MOST_NAMES + 1) if is_plain else b""


def find_commit(where: Mapping[str, str], notes: list[str]) -> str:
    """The commit that HEAD names, or else that of the last branch that has steps."""
    with contextlib.suppress(UnreadableError):
        return git(where, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
    order = (
        "--sort=-committerdate",
        f"--count={MOST_BRANCHES}",
        "--format=%(objectname) %(refname)",
    )
    listed = git(where, "for-each-ref", *order, "refs/heads").decode(errors="replace").splitlines()
    for line in listed:
        commit, _, branch = line.partition(" ")
        paths = git(where, "ls-tree", "-r", "-z", "--name-only", commit).split(b"\0")
        if any(step_of(os.fsdecode(path).rpartition("/")[2]) for path in paths):
            short = spelled(branch.removeprefix("refs/heads/"))
            notes.append(f"HEAD names no commit; the branch {short} was graded.")
            return commit
    raise UnreadableError(
        "its HEAD names no commit, and no branch has steps" if listed else NO_COMMIT
    )


def entry(where: Mapping[str, str], line: bytes) -> Entry:
    """A file from a line of the list."""
    fields, _, name = line.partition(b"\t")
    mode, _, digest, size = fields.decode().split()
    path = PurePosixPath(os.fsdecode(name))
    fault = fault_of_member(path, stat.S_ISREG(int(mode, 8)))
    if mode == SUBMODULE:
        fault = "is another repository, a submodule; ask for that"
    if not fault and not size.isdecimal():
        fault = "is missing in the repository"
    if not fault and int(size) > LARGEST_FILE:
        fault = f"has more than {LARGEST_FILE:,} bytes"
    return Entry(path, lambda most: git(where, "cat-file", "blob", digest)[:most], fault)


def git(where: Mapping[str, str], *command: str) -> bytes:
    """What git says; no setting of this user's or this machine's counts, and it fetches nothing."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
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
    if process.returncode < 0:
        raise UnreadableError(f"git takes more than {SECONDS} seconds to read it")
    if process.returncode:
        raise UnreadableError(f"git refuses it: {spelled((reasons or ['without a reason'])[-1])}")
    return listed


def read_at_most(process: "subprocess.Popen[bytes]", most: int) -> bytes:
    """What a process writes, or somewhat more than so many bytes of it; then it has ended."""
    assert process.stdout
    clock = threading.Timer(SECONDS, process.kill)
    clock.start()
    with contextlib.closing(process.stdout) as pipe:
        try:
            written = pipe.read(most + 1)
            if len(written) <= most:
                process.wait()
        finally:
            clock.cancel()
            process.kill()
            process.wait()
    return written
