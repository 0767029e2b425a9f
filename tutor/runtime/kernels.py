"""Packs of what MAX compiles: eager operations, a family at a time, and the graphs of generation.

A pack is a folder of compressed artifacts and a manifest with their digests. MAX loads an artifact
from its bytes, whatever the CPU; nothing is unpacked or written. What is damaged is not used.
`tools/kernels/build_pack.py` makes packs.
"""

import functools
import hashlib
import io
import lzma
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from max.engine import CompiledModel

PACKS = Path(__file__).parent / "packs"
MANIFEST = "manifest.json"
SUFFIX = ".mef.xz"  # MAX's engine format, compressed

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

# The artifact of the kernels that most steps use, of all families: so these load in one go.
USUAL = "usual"

# What a CPU must offer for a target that packs are built for, as Linux names it.
AVX2 = {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
CPU_FLAGS = {
    "x86-64-v3": AVX2,
    "x86-64-v4": AVX2 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
}

# A pack of graphs alone, beside that of its platform, for CPUs with AVX-512: there their products
# take two thirds of the time.
WIDE = "linux-x86_64-v4"

VARIABLE = "TUTOR_KERNELS"  # of the environment: overrides what computes
NUMPY = "numpy"  # NumPy, although a pack may fit
COMPILE = "compile"  # what no pack has is compiled, however long that takes
TRUSTED = "trusted"  # the pack without a trial: whoever sets this has seen it pass


RESTORE = "`git checkout tutor/runtime/packs` restores it."


class DamagedPackError(Exception):
    """A pack that is not what its manifest says."""


class MustCompileError(RuntimeError):
    """Something that only MAX's compiler could compute, where it is not asked to."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; set {VARIABLE}={COMPILE} to have MAX compile it, which takes minutes"
        )


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where an artifact is: in a file, from a byte of its content on, and how long it is."""

    file: str
    start: int
    size: int


class Manifest(msgspec.Struct, frozen=True):
    """What a pack holds."""

    max: str  # the version of MAX that compiled it
    target: str  # the CPU that it is compiled for, as MAX names it
    files: dict[str, str]  # the SHA-256 of each, compressed
    artifacts: dict[str, Place]
    graphs: dict[str, str]  # the artifact of a graph, by its fingerprint


@dataclass(frozen=True)
class Pack:
    """A folder of files with artifacts; those that are alike share one, and compress better."""

    folder: Path
    manifest: Manifest

    def read(self, artifact: str) -> bytes:
        """An artifact as MAX wrote it. Raises DamagedPackError if it cannot be read."""
        place = self.manifest.artifacts.get(artifact)
        if place is None:
            raise DamagedPackError(f"{self.folder.name}/{MANIFEST} has no {artifact}")
        file = self.folder / f"{place.file}{SUFFIX}"
        try:
            packed = file.read_bytes()
        except OSError as error:
            raise DamagedPackError(f"{self.folder.name}/{file.name}: {error.strerror}") from None
        if hashlib.sha256(packed).hexdigest() != self.manifest.files.get(place.file):
            raise DamagedPackError(
                f"{self.folder.name}/{file.name} has changed since it was packed"
            )
        content = lzma.LZMADecompressor().decompress(packed, max_length=place.start + place.size)
        return content[place.start :]


@dataclass(frozen=True)
class Means:
    """What computes here, and how to tell the user."""

    pack: Pack | None  # without one, NumPy computes
    may_compile: bool  # whether MAX may compile what is found nowhere
    compiling: Callable[[str], AbstractContextManager[None]]  # told what, for as long as it takes
    warn: Callable[[str], None]


def find_pack(name: str = "") -> Pack | None:
    """The pack for this platform, CPU and version of MAX, or None if there is none.

    Raises DamagedPackError for a manifest that cannot be read.
    """
    folder = PACKS / (name or this_platform())
    if not (folder / MANIFEST).is_file():
        return None
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, ValueError) as error:
        raise DamagedPackError(f"{folder.name}/{MANIFEST} is damaged: {error}") from None
    if manifest.max != version("max") or not cpu_flags() >= CPU_FLAGS.get(manifest.target, set()):
        return None
    return Pack(folder, manifest)


def find_wide_pack() -> Pack | None:
    """The pack of graphs for AVX-512, where the system and the CPU are its own.

    An emulated CPU of another architecture can have the flags of the one beneath it.
    """
    return find_pack(WIDE) if WIDE.startswith(this_platform()) else None


def this_platform() -> str:
    """How the packs call this system and architecture."""
    return f"{platform.system()}-{platform.machine()}".lower()


@functools.cache
def cpu_flags() -> frozenset[str]:
    """What this CPU offers, in Linux's words; nothing where that cannot be asked."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = (line.split()[2:] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(found, ()))


def read_artifact(content: bytes) -> "CompiledModel":
    """An artifact as MAX's engine takes it, to be initialized with weights."""
    from max import engine

    return engine.read(io.BytesIO(content))
