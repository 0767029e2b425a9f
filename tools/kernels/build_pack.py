"""Build a kernel pack: everything that MAX would compile for a learner, for one platform.

    python -m tools.kernels.build_pack linux-x86_64

Run it after a change of MAX or of a solution's graph. Packs for other platforms are compiled here,
too. What is compiled stays in build/packs, so that an interrupted run goes on where it stopped, and
what the pack in the repository has is taken from there: only graphs that have changed are compiled
anew. `tools/kernels/test_pack.py` tests a pack.
"""

import argparse
import hashlib
import json
import lzma
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from rich.progress import track

from tutor import ROOT, files, runtime
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.runtime import eager, graphs, kernels, own

TARGETS = {
    "linux-x86_64": "x86-64-v3",
    kernels.WIDE: "x86-64-v4",
    "linux-aarch64": "triple=aarch64-unknown-linux-gnu;cpu=generic",
    "darwin-arm64": "triple=arm64-apple-macosx14.0.0;cpu=apple-m1",
}

# The kernels that most steps use, in their many ways of being written.
USUAL = (
    "band_part_cpu_0_uint32",
    "binary_*_cpu_0_float32",
    "binary_*_cpu_0_int64",
    "cast_cpu_0_bool_float32",
    "cast_cpu_0_float32_*32",
    "cast_cpu_0_int64_*32",
    "data_movement_*_uint32",
    "data_movement_*_uint64",
    "data_movement_BroadcastToOp_cpu_0_uint8",
    "gather_GatherOp_cpu_0_uint32_int64",
    "layer_norm_cpu_0_float32",
    "matmul_cpu_0_DType.float32",
    "range_cpu_0_*64",
    "range_cpu_0_float32",
    "rearrange_ConcatOp_cpu_0_uint*",
    "rearrange_SliceOp_cpu_0_uint32_r[1-4]",
    "rearrange_SliceOp_cpu_0_uint64_r[12]",
    "rearrange_SplitOp_cpu_0_uint32",
    "reduce_Reduce*_cpu_0_float32",
    "select_cpu_0_DType.float32",
    "unary_*_cpu_0_float32",
    "unary_NotOp_cpu_0_bool",
)
LARGEST = 4_000_000  # bytes, of a pack in the repository


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the kernel pack of a platform.")
    parser.add_argument("platform", choices=TARGETS)
    parser.add_argument("--output", type=Path, default=kernels.PACKS)
    options = parser.parse_args()

    target = TARGETS[options.platform]
    folder = ROOT / "build" / "packs" / f"{version('max')}-{options.platform}"
    unpack(kernels.PACKS / options.platform, target, folder)
    start_compiler(folder, target)
    kernel_artifacts: list[str] = []
    if options.platform != kernels.WIDE:
        compile_families(folder)
        compile_usual(folder)
        kernel_artifacts = [kernels.USUAL, *kernels.FAMILIES]
    compiled = compile_graphs(folder, target)
    names = [*kernel_artifacts, *compiled.values()]
    size = write_pack(folder, names, compiled, target, options.output / options.platform)
    print(f"{options.platform}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"the pack is larger than {LARGEST:,} bytes; leave out a family")


def unpack(place: Path, target: str, folder: Path) -> None:
    """Take what a pack has for this target and this MAX, as if it had been compiled here."""
    manifest_file = place / kernels.MANIFEST
    if not manifest_file.exists():
        return
    manifest = msgspec.json.decode(manifest_file.read_bytes(), type=kernels.Manifest)
    if (manifest.max, manifest.target) != (version("max"), target):
        return
    pack = kernels.Pack(place, manifest)
    for artifact in manifest.artifacts:
        file = folder / f"{artifact}.mef"
        if not file.exists():
            files.write(file, pack.read(artifact))
    record = folder / "graphs.json"
    if not record.exists():
        record.write_text(json.dumps(manifest.graphs))


def start_compiler(folder: Path, target: str) -> None:
    """Have MAX compile for a target, which may be another machine's: so NumPy computes."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[own.CACHE_VARIABLE] = str(folder / "cache")
    os.environ[kernels.VARIABLE] = kernels.NUMPY
    runtime.activate()
    from max.driver import set_virtual_cpu_target

    set_virtual_cpu_target(target)


def compile_families(folder: Path) -> None:
    """Compile the families of eager operations that are not there yet."""
    from max import engine
    from max._interpreter_ops import GC_FAMILIES

    families = {family.name: family for family in GC_FAMILIES}
    for name in track(kernels.FAMILIES, "Families"):
        file = folder / f"{name}.mef"
        if not file.exists():
            family = families[name]
            session = engine.InferenceSession(devices=family.sweep_devices())
            export(session.compile(family.build_sweep_module()), file)


def compile_usual(folder: Path) -> None:
    """Compile the usual kernels, if their artifact is not there yet."""
    from max import engine
    from max._interpreter_ops import gc_compile

    file = folder / f"{kernels.USUAL}.mef"
    if not file.exists():
        session = engine.InferenceSession(devices=gc_compile.DISCOVERED_DEVICES)
        module = eager.build_module(lambda name: any(fnmatchcase(name, each) for each in USUAL))
        export(session.compile(module), file)


def compile_graphs(folder: Path, target: str) -> dict[str, str]:
    """Compile the graphs that are not there yet; their artifacts by their fingerprints."""
    from max.driver import CPU
    from max.engine import InferenceSession

    record = folder / "graphs.json"
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    found: dict[str, str] = {}

    def compile_and_export(_: Any, graph: Any, **__: Any) -> None:
        fingerprint, file = graphs.fingerprint(graph), folder / f"{names.pop(0)}.mef"
        if known.get(fingerprint) != file.stem or not file.exists():
            session = InferenceSession(devices=[CPU()])  # one that is used again exports all it has
            export(session.compile(graph), file)
        found[fingerprint] = file.stem
        record.write_text(json.dumps(known | found))

    with mock.patch.multiple(
        InferenceSession, compile_reusing_mefs=compile_and_export, init=lambda *_, **__: None
    ):
        for size, make in track(list(sizes()), "Graphs"):
            for made, compile_them in MODELS.items():
                names = [f"{size}-{name}" for name in made.split()]
                if not LEFT_OUT & {(made, size), (made, target), (size, target)}:
                    compile_them(make())
    return found


def export(compiled: Any, file: Path) -> None:
    """Write an artifact whole or not at all."""
    files.write(file, graphs.export(compiled))


def sizes() -> Iterator[tuple[str, Callable[[], Any]]]:
    """The models whose graphs are packed, with random weights, which are no part of a graph."""
    from max.driver import CPU
    from max.experimental import functional as F
    from max.experimental.tensor import default_device

    from solutions.solution_01 import GPT2Config
    from solutions.solution_10 import MaxGPT2LMHeadModel

    settings = json.loads((BUNDLED_MODEL / "config.json").read_text(encoding="utf-8"))
    bundled = {field.name: settings[field.name] for field in fields(GPT2Config)}
    for name, config in (("bundled", GPT2Config(**bundled)), ("gpt2", GPT2Config())):

        def make(config: GPT2Config = config) -> MaxGPT2LMHeadModel:
            rng = np.random.default_rng(0)
            with F.lazy(), default_device(CPU()):
                model = MaxGPT2LMHeadModel(config)
            shapes = {key: [int(size) for size in p.shape] for key, p in model.parameters}
            model.load_state_dict(
                {
                    key: 0.2 * rng.standard_normal(shape, dtype=np.float32)
                    for key, shape in shapes.items()
                }
            )
            return model

        yield name, make


def compile_quantized(model: Any) -> None:
    from solutions.engine_04 import CachedModel
    from tutor.engine.quantization import quantize

    quantize(model)
    CachedModel(model)


def compile_whole(model: Any) -> None:
    from tutor.engine.loops import CompiledModel

    CompiledModel(model)


def compile_heads(model: Any) -> None:
    from solutions import engine_01

    engine_01.compile_heads(model)


def compile_batch(model: Any) -> None:
    from solutions.engine_03 import BatchModel

    BatchModel(model)


def compile_cached(model: Any) -> None:
    from solutions.engine_04 import CachedModel

    CachedModel(model)


HEADS = "sampler greedy"
CACHED = "cached cached-column"  # for any columns, and for a single one
QUANTIZED = "cached-q4_0 cached-q4_0-column"

# Of a model or for a target: a learner waits for the heads of the bundled model alone, whose other
# products are too small to gain by AVX-512; and for Arm MAX's compiler takes more than 24 GB for
# products with four-bit weights.
LEFT_OUT = {
    (HEADS, "gpt2"),
    (QUANTIZED, TARGETS["linux-aarch64"]),
    ("bundled", TARGETS[kernels.WIDE]),
    *((made, TARGETS[kernels.WIDE]) for made in ("whole", HEADS)),
}

# The artifacts, and what compiles their graphs, in this order; what is used most is read first.
MODELS: dict[str, Callable[[Any], None]] = {
    CACHED: compile_cached,
    QUANTIZED: compile_quantized,
    "batch": compile_batch,
    "whole": compile_whole,
    HEADS: compile_heads,
}


def write_pack(
    folder: Path, names: Iterable[str], compiled: dict[str, str], target: str, output: Path
) -> int:
    """Write files and manifest; the same artifacts make the same bytes."""
    contents: dict[str, bytes] = {}
    artifacts: dict[str, kernels.Place] = {}
    for name in names:
        file = name.partition("-")[0]  # a family has a file, and so have all graphs of a model
        before, content = contents.get(file, b""), (folder / f"{name}.mef").read_bytes()
        artifacts[name] = kernels.Place(file, len(before), len(content))
        contents[file] = before + content
    with ThreadPoolExecutor() as pool:
        packed = dict(zip(contents, pool.map(compress, contents.values()), strict=True))
    output.mkdir(parents=True, exist_ok=True)
    for old in output.iterdir():
        old.unlink()
    for file, content in packed.items():
        (output / f"{file}{kernels.SUFFIX}").write_bytes(content)
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in packed.items()}
    manifest = kernels.Manifest(version("max"), target, digests, artifacts, compiled)
    text = msgspec.json.format(msgspec.json.encode(manifest))
    (output / kernels.MANIFEST).write_bytes(text + b"\n")
    return sum(map(len, packed.values()))


def compress(content: bytes) -> bytes:
    """The same bytes, in a window that spans all of them."""
    window = 1 << max(20, len(content).bit_length())
    preset = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}
    return lzma.compress(content, filters=[preset])


if __name__ == "__main__":
    main()
