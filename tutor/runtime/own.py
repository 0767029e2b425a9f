"""What MAX has compiled on this machine, kept by name in the user's cache, for its CPU alone."""

import functools
import hashlib
import lzma
import os
import platform
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from tutor import files
from tutor.runtime import kernels

CACHE_VARIABLE = "MODULAR_MAX_CACHE_DIR"
OPERATIONS = "operations"  # the artifact of eager operations that `tutor doctor --compile` makes
FAILED = ".failed"  # of a text that says why MAX could not compile a graph


_refuge: "tempfile.TemporaryDirectory[str] | None" = None  # of this process, in place of another's


def cache_folder() -> Path:
    """Where compiled code is kept: as the environment says, or in the user's cache."""
    from platformdirs import user_cache_path

    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_path("gpt2-from-scratch"))


def folder() -> Path:
    """Where the artifacts for this CPU and this version of MAX are."""
    return cache_folder() / f"compiled-{version('max')}-{cpu()}"


def is_foreign(place: Path) -> bool:
    """Whether another user could have put something there, which would then run as this one."""
    try:
        found = place.stat()
    except OSError:
        return False
    return found.st_uid not in (0, os.geteuid()) or bool(found.st_mode & stat.S_IWOTH)


def leave_foreign() -> str:
    """Leave a cache that is not this user's alone, for as long as this process lives.

    Returns what to tell of that, or nothing. MAX reads compiled code from there by itself.
    """
    global _refuge
    found = next(filter(is_foreign, (cache_folder(), folder())), None)
    if found is None:
        return ""
    _refuge = tempfile.TemporaryDirectory(prefix="tutor-")
    os.environ[CACHE_VARIABLE] = _refuge.name
    return f"{found} is not yours alone, so nothing compiled is taken from there, or kept."


def make_folder() -> None:
    """Make a place for artifacts. Raises OSError if there can be none."""
    if _refuge:
        raise PermissionError("the folder for them is not yours alone")
    folder().mkdir(parents=True, exist_ok=True)


@functools.cache
def cpu() -> str:
    """A short name for what this CPU can do, since native code runs on no other kind."""
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        features = asked.stdout
    else:
        features = " ".join(sorted(kernels.cpu_flags()))
    name = f"{kernels.this_platform()} {features}"
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def read(artifact: str) -> bytes | None:
    """An artifact as MAX wrote it, or None if there is none that is whole, or none is wanted."""
    file = folder() / f"{artifact}{kernels.SUFFIX}"
    if os.environ.get(kernels.VARIABLE) == kernels.NUMPY or is_foreign(file):
        return None
    try:
        return lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError):
        return None


def keep(artifact: str, content: bytes) -> None:
    """Keep an artifact. Raises OSError if there is no place for it."""
    files.write(folder() / f"{artifact}{kernels.SUFFIX}", lzma.compress(content, preset=1))


def kept() -> dict[str, int]:
    """The artifacts that are kept, and when each was written."""
    return {file.name: file.stat().st_mtime_ns for file in folder().glob(f"*{kernels.SUFFIX}")}


def compiled_by_max() -> set[Path]:
    """What MAX itself keeps of what it has compiled; it comes back to that without a word."""
    return {file for file in (cache_folder() / "mof").rglob("*") if file.is_file()}


def failure(artifact: str) -> str:
    """Why MAX could not compile it, if that was tried."""
    try:
        return (folder() / f"{artifact}{FAILED}").read_text(encoding="utf-8")
    except OSError:
        return ""


def keep_failure(artifact: str, why: str) -> None:
    """Keep why MAX could not compile it, so that it is not tried at every start."""
    files.write(folder() / f"{artifact}{FAILED}", why.encode())
