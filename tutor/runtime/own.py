"""What MAX has compiled on this machine, kept by name in the user's cache, for its CPU alone."""

import functools
import hashlib
import lzma
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from tutor import files
from tutor.runtime import kernels

CACHE_VARIABLE = "MODULAR_MAX_CACHE_DIR"
OPERATIONS = "operations"  # the artifact of eager operations that `tutor doctor --compile` makes
FAILED = ".failed"  # of a text that says why MAX could not compile a graph


def cache_folder() -> Path:
    """Where compiled code is kept: as the environment says, or in the user's cache."""
    from platformdirs import user_cache_path

    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_path("gpt2-from-scratch"))


def folder() -> Path:
    """Where the artifacts for this CPU and this version of MAX are."""
    return cache_folder() / f"compiled-{version('max')}-{cpu()}"


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
    if os.environ.get(kernels.VARIABLE) == kernels.NUMPY:
        return None
    try:
        return lzma.decompress((folder() / f"{artifact}{kernels.SUFFIX}").read_bytes())
    except (OSError, lzma.LZMAError):
        return None


def keep(artifact: str, content: bytes) -> None:
    """Keep an artifact. Raises OSError if there is no place for it."""
    files.write(folder() / f"{artifact}{kernels.SUFFIX}", lzma.compress(content, preset=1))


def failure(artifact: str) -> str:
    """Why MAX could not compile it, if that was tried."""
    try:
        return (folder() / f"{artifact}{FAILED}").read_text(encoding="utf-8")
    except OSError:
        return ""


def keep_failure(artifact: str, why: str) -> None:
    """Keep why MAX could not compile it, so that it is not tried at every start."""
    files.write(folder() / f"{artifact}{FAILED}", why.encode())
