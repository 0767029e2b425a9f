"""Processes of this very Python that run this very course, whichever is installed."""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from tutor import ROOT

PR_SET_PDEATHSIG = 1  # as linux/prctl.h has it
FOR_CORES = (os.cpu_count() or 1) * 2**27  # bytes that libraries map for their threads

# The course is found in the folder that comes first, in which nothing else is to be imported.
BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); import tutor; del sys.path[0]; "


def command(code: str, *arguments: str) -> list[str]:
    """A command that runs Python code of the course; `arguments` are its sys.argv[1:]."""
    return [sys.executable, "-P", "-u", "-c", BOOT + code, str(ROOT), *arguments]


def end_with_parent(parent: int | None = None) -> None:
    """Have Linux kill this process with the one that started it, even in the middle of C code.

    End it now if the parent, of that number, is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent not in (None, os.getppid()):
        raise SystemExit("what started this process is gone")


def mapped() -> int | None:
    """How many bytes of memory this process has mapped, where the system tells."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    return int(statm.read_text(encoding="utf-8").split()[0]) * resource.getpagesize()


def limit_memory(more: int) -> None:
    """Let this process map so many bytes more at most; what it starts can undo that."""
    now, (_, hard) = mapped(), resource.getrlimit(resource.RLIMIT_AS)
    if now is not None:
        most = now + more + FOR_CORES
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def unlimit_memory() -> None:
    """Undo that in a process that one of these has started."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
