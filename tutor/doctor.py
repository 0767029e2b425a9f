"""What the course finds on this machine, and what of it stops the course from working."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from tutor.check.sandbox.isolation import find_bubblewrap
from tutor.engine import checkpoint, drafts
from tutor.errors import EnvironmentBrokenError, InputError
from tutor.runtime import choice, kernels, own

NEEDED_PYTHON = (3, 11)
NEEDED_MAX = "26.7."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; what is not ok has to be fixed."""

    name: str
    text: str
    ok: bool = True


def examine() -> Iterator[Finding]:
    """Look at everything; nothing is compiled or fixed."""
    yield python()
    yield max_version()
    yield Finding("Platform", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    yield kernel_pack()
    yield compiled_models()
    yield memory()
    yield from map(bundled_model, checkpoint.BUNDLED)
    yield namespaces()


def compile_kernels() -> None:
    """Have MAX compile on this machine, unless a pack fits; says how long that takes."""
    from rich.console import Console

    from tutor.engine import compiling

    console = Console(stderr=True, highlight=False)
    if choice.choose_pack().pack:
        console.print(
            "The course's compiled kernels fit this machine, so there is nothing to compile."
        )
        return
    try:
        compiling.compile_now(console)
    except RuntimeError as error:
        raise EnvironmentBrokenError(f"{error}; NumPy still computes") from None


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


def kernel_pack() -> Finding:
    """What computes: MAX's kernels, from a pack or compiled here, or NumPy, which is no failure."""
    try:
        if found := kernels.find_pack():
            for artifact in found.manifest.artifacts:
                found.read(artifact)
    except PackageNotFoundError:
        return Finding("Kernels", "none without MAX", ok=False)
    except kernels.DamagedPackError as error:
        return Finding("Kernels", f"{error}. {kernels.RESTORE}", ok=False)
    chosen = choice.choose_pack()
    if chosen.pack:
        manifest = chosen.pack.manifest
        text = f"MAX's, compiled for {manifest.target}; {len(manifest.files)} files intact"
        return Finding("Kernels", text)
    if own.read(own.OPERATIONS):
        text = f"compiled on this machine; NumPy computes the rest: {chosen.why}"
    else:
        text = f"NumPy computes: {chosen.why}; `tutor doctor --compile` compiles MAX's own"
    return Finding("Kernels", text)


def compiled_models() -> Finding:
    """Where models go that MAX compiles on this machine; without a place, NumPy runs them."""
    folder = own.cache_folder()
    unusable = "" if is_writable(folder) else " cannot be written to; NumPy runs other models"
    if own.is_foreign(folder):
        unusable = " is not yours alone; NumPy runs other models"
    return Finding("Compiled", f"{folder}{unusable}")


def memory() -> Finding:
    """What is free, and what of it a draft needs, without which a model writes more slowly."""
    free = psutil.virtual_memory().available / 1e9
    needed = f"{drafts.BYTES * drafts.ROOM:g} bytes of it for each parameter of a large model"
    return Finding("Memory", f"{free:.1f} GB free; speculative decoding needs {needed}")


def is_writable(folder: Path) -> bool:
    """Whether something could be written there; the folder need not be there yet."""
    return os.access(next(place for place in (folder, *folder.parents) if place.exists()), os.W_OK)


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
        if not (folder / file).is_file():
            text = f"{folder} has no {file}; `git checkout models` restores it"
            return Finding("Bundled model", text, ok=False)
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
            text = f"{file} is damaged; `git checkout models` restores it"
            return Finding("Bundled model", text, ok=False)
    return Finding("Bundled model", f"{folder.name}, {len(sums)} files intact")
