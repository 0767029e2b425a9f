"""What the course finds on this machine, and what of it stops the course from working."""

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tutor import checkpoint, kernels, runtime
from tutor.errors import InputError
from tutor.grading.isolation import find_bubblewrap

NEEDED_PYTHON = (3, 11)
NEEDED_MAX = "26.7."
NEEDED_DISK = 0.7e9  # bytes; the unpacked kernels take 0.31e9, a new MAX version as much again


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; what is not ok has to be mended."""

    name: str
    text: str
    ok: bool = True


def examine() -> Iterator[Finding]:
    """Look at everything; nothing is compiled, unpacked or mended."""
    yield python()
    yield max_version()
    yield Finding("Platform", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    cache = runtime.cache_folder()
    yield kernel_pack(cache)
    yield writable_cache(cache)
    yield free_disk(cache)
    yield bundled_model(checkpoint.BUNDLED_MODEL)
    yield namespaces()


def python() -> Finding:
    """Whether this Python is new enough."""
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < NEEDED_PYTHON:
        return Finding("Python", f"{text}; the course needs 3.11 or newer", ok=False)
    return Finding("Python", text)


def max_version() -> Finding:
    """Whether MAX is there, in the version that the course is written for."""
    try:
        found = version("max")
    except PackageNotFoundError:
        return Finding("MAX", "not installed; run `uv sync` or `pip install -e .`", ok=False)
    if not found.startswith(NEEDED_MAX):
        return Finding("MAX", f"{found}, but the course needs {NEEDED_MAX}*", ok=False)
    return Finding("MAX", found)


def kernel_pack(cache: Path) -> Finding:
    """A missing pack is no failure: MAX compiles its kernels once, in minutes."""
    try:
        pack = kernels.find_pack()
        if pack is None:
            return Finding("Kernel pack", "miss: none fits; the first run compiles for 10 minutes")
        entries = sum(1 for _ in kernels.read_entries(pack))
    except PackageNotFoundError:
        return Finding("Kernel pack", "none without MAX", ok=False)
    except (kernels.DamagedPackError, OSError) as error:
        text = f"damaged: {error}; `git checkout tutor/packs` restores it"
        return Finding("Kernel pack", text, ok=False)
    state = "unpacked" if kernels.is_installed(pack, cache) else "unpacked at the first run"
    return Finding("Kernel pack", f"hit: {entries} entries for {pack.cpu}, {state}")


def writable_cache(cache: Path) -> Finding:
    """Whether kernels can be kept from one run to the next."""
    if runtime.is_writable(cache):
        return Finding("Kernel cache", str(cache))
    return Finding("Kernel cache", f"{cache} cannot be written; change its owner", ok=False)


def free_disk(cache: Path) -> Finding:
    """Whether the kernels have room."""
    free = shutil.disk_usage(next(p for p in (cache, *cache.parents) if p.exists())).free
    text = f"{free / 1e9:.1f} GB free beside the kernel cache"
    if free < NEEDED_DISK:
        return Finding("Disk", f"{text}; {NEEDED_DISK / 1e9} GB are needed", ok=False)
    return Finding("Disk", text)


def namespaces() -> Finding:
    """Whether `tutor grade` can keep code apart that is not trusted; nothing else needs it."""
    bubblewrap, obstacle = find_bubblewrap()
    found = "user namespaces" if bubblewrap else f"no user namespaces, for tutor grade: {obstacle}"
    return Finding("Isolation", found)


def bundled_model(folder: Path) -> Finding:
    """Whether every file of the model is what was committed."""
    try:
        checkpoint.check_folder(folder)
    except InputError as error:
        return Finding("Bundled model", f"{error}; `git checkout models` restores it", ok=False)
    sums = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
    for file, digest in sums.items():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            text = f"{file} is damaged; `git checkout models` restores it"
            return Finding("Bundled model", text, ok=False)
    return Finding("Bundled model", f"{folder.name}, {len(sums)} files intact")
