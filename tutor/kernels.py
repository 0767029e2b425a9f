"""Kernels that need no compiling: whole families of eager operations, packed per platform.

A pack is made by `tools/build_kernel_pack.py`: the entries of MAX's own cache, each under a
key of what it was compiled from. So a pack that does not fit costs a compile, and is never a
wrong result; one that is damaged is not used at all.
"""

import hashlib
import json
import lzma
import os
import platform
import tarfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKS = Path(__file__).parent / "packs"

# The families of MAX's eager operations that GPT-2, in any way of writing it, can need.
FAMILIES = (
    "band_part",
    "binary",
    "cast",
    "data_movement",
    "gather",
    "layer_norm",
    "matmul",
    "nonzero",
    "random",
    "range",
    "reduce_axis",
    "rms_norm",
    "scatter",
    "scatter_nd",
    "select",
    "shape_rearrange",
    "topk",
    "unary",
)

# What a CPU must offer for each target that packs are built for, as Linux names it.
CPU_FLAGS = {
    "x86-64-v3": {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"},
}


class DamagedPackError(Exception):
    """An archive that is not what its manifest says."""


@dataclass(frozen=True)
class Pack:
    """An archive of cache entries, and for each in its order: path, size in bytes, SHA-256."""

    archive: Path
    cpu: str
    files: dict[str, tuple[int, str]]


def find_pack() -> Pack | None:
    """The pack for this MAX and this machine, or None if there is none that fits.

    Raises DamagedPackError for a manifest that cannot be read.
    """
    manifest = PACKS / f"{pack_name()}.json"
    if not manifest.is_file():
        return None
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        needed = CPU_FLAGS[entries["cpu"]]
        files = {path: (int(size), str(digest)) for path, size, digest in entries["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPackError(f"{manifest.name} is damaged: {error!r}") from None
    if not cpu_flags() >= needed:
        return None
    return Pack(manifest.with_suffix(".tar.xz"), entries["cpu"], files)


def pack_name() -> str:
    """What a pack is bound to: the MAX version, the system and the architecture."""
    return f"max-{version('max')}-{platform.system()}-{platform.machine()}".lower()


def cpu_flags() -> set[str]:
    """What this CPU offers, in Linux's words; nothing where that cannot be asked."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.split()[2:]) for line in lines if line.startswith("flags")), set())


def is_installed(pack: Pack, cache: Path) -> bool:
    """Whether every entry lies in the cache, with its size."""
    try:
        return all((cache / path).stat().st_size == size for path, (size, _) in pack.files.items())
    except OSError:
        return False


def are_ready(cache: Path) -> bool:
    """Whether a cache holds what would be unpacked, or else compiled."""
    try:
        pack = find_pack()
    except DamagedPackError:
        return False
    return is_installed(pack, cache) if pack else record_of_compiling(cache).exists()


def ready_files(cache: Path) -> list[Path]:
    """The files of a cache that is ready: those of the pack, or else all."""
    pack = find_pack()
    if pack:
        return [cache / path for path in pack.files]
    return sorted(path for path in cache.rglob("*") if path.is_file())


def record_of_compiling(cache: Path) -> Path:
    """The file that says that all families are compiled."""
    return cache / f"families-{version('max')}-compiled"


def install(cache: Path) -> Pack | None:
    """Unpack into MAX's cache what is not there yet; the pack, if one fits and is whole.

    Each entry appears whole or not at all, so that processes may do this at the same time.
    """
    try:
        pack = find_pack()
        if pack and not is_installed(pack, cache):
            for path, content in read_entries(pack):
                write_atomically(cache / path, content)
    except (DamagedPackError, OSError) as error:
        warnings.warn(
            f"the kernel pack is not used ({error}); MAX compiles its kernels, which takes minutes",
            stacklevel=2,
        )
        return None
    return pack


def read_entries(pack: Pack) -> Iterator[tuple[str, bytes]]:
    """Path and content of every entry, each checked before it is handed out."""
    try:
        with tarfile.open(pack.archive, "r|xz") as archive:
            for path, (_, digest) in pack.files.items():
                member = archive.next()
                file = archive.extractfile(member) if member else None
                content = file.read() if file else b""
                if hashlib.sha256(content).hexdigest() != digest:
                    raise DamagedPackError(f"{path} is not what was packed")
                yield path, content
    except (EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise DamagedPackError(f"{pack.archive.name} is damaged: {error}") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def adopt(compiling: Callable[[str], AbstractContextManager[None]]) -> None:
    """Have MAX serve eager operations from whole families, and say so when it cannot.

    MAX does this by itself after `max warm-interpreter-cache`, for all families at once.
    """
    from max._interpreter_ops import GC_FAMILIES, gc_compile
    from max.driver import DeviceSpec, load_devices

    gc_compile.DISCOVERED_DEVICES[:] = load_devices([DeviceSpec.cpu()])
    gc_compile.warm_stamp_matches = lambda: True
    for family in GC_FAMILIES:
        family.swept = family.name not in FAMILIES

    compile_single_target = gc_compile.compile_single_target

    def compile_and_say_so(family: Any, key: str, device: Any, build_graph: Any) -> Any:
        with compiling(f"MAX's kernel {key}, once; this takes about 15 seconds"):
            return compile_single_target(family, key, device, build_graph)

    gc_compile.compile_single_target = compile_and_say_so


def compile_families() -> Iterator[str]:
    """Compile all families, or find them in MAX's cache; yields the name of each that is done."""
    from max._interpreter_ops import GC_FAMILIES

    for family in GC_FAMILIES:
        if family.name in FAMILIES:
            family.compile_sweep()
            yield family.name


def compile_once(cache: Path) -> None:
    """Compile all families with a progress bar, where no pack fits; the next time, nothing."""
    done = record_of_compiling(cache)
    if done.exists():
        return
    from rich.console import Console
    from rich.progress import track

    console, start = Console(stderr=True), time.perf_counter()
    console.print("No kernel pack fits this machine. MAX compiles its kernels, once: 10 minutes.")
    for _ in track(compile_families(), "Compiling kernels", total=len(FAMILIES), console=console):
        pass
    console.print(f"Compiled them in {(time.perf_counter() - start) / 60:.0f} minutes.")
    write_atomically(done, b"")
