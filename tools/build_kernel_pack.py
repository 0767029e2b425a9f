"""Build the kernel pack for this platform: everything that MAX would compile for a learner.

    python tools/build_kernel_pack.py

Run it after a change of MAX or of a solution's graph. Kernels of eager operations are kept
between runs, so an interrupted run goes on where it stopped; graphs are compiled anew.

    python tools/build_kernel_pack.py --add

On some machines MAX looks for the same kernels under other keys. Run there, this adds to the pack
that is there what it lacks.
"""

import argparse
import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
from rich.progress import track

from tutor import ROOT, kernels, runtime
from tutor.checkpoint import BUNDLED_MODEL
from tutor.loops import CompiledModel

TARGET = "x86-64-v3"
LARGEST = 3_000_000  # bytes, of the archive in the repository
LARGEST_ERROR = 1e-4  # rounding makes 1e-6; a mistake in a graph makes 0.1 and more


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the kernel pack for this platform.")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "kernels")
    parser.add_argument("--output", type=Path, default=kernels.PACKS)
    parser.add_argument("--add", action="store_true", help="to the pack that is there")
    options = parser.parse_args()

    if not kernels.pack_name().endswith("linux-x86_64"):
        raise SystemExit("packs are built on Linux on x86-64 only, so far")
    cache = options.cache.resolve()
    compile_eager_operations(cache)
    for name in track(graphs(), "Compiling graphs", total=2):
        print(f"{name}: compiled, and equal to eager")
    if options.add:
        unpack(options.output, cache)
    size = write_pack(cache, options.output)
    print(f"{size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"the pack is larger than {LARGEST:,} bytes; leave out a family")


def compile_eager_operations(cache: Path) -> None:
    """Compile the families for the packs' CPU; drop the graphs that an earlier run left."""
    runtime.trap_interrupts()
    os.environ[runtime.CACHE_VARIABLE] = str(cache)
    from max.driver import set_virtual_cpu_target

    set_virtual_cpu_target(TARGET)
    kernels.PACKS = cache  # where no pack is, so that nothing comes from an earlier one
    runtime.activate()
    record = cache / "families.json"
    if not record.exists():
        record.write_text(json.dumps(sorted(entries(cache))))
    for path in entries(cache) - set(json.loads(record.read_text())):
        (cache / path).unlink()


def graphs() -> Iterator[str]:
    """Compile what `tutor generate` compiles, and compare it with what is computed eagerly.

    The weights are no part of a graph, so that random ones serve.
    """
    from max.driver import CPU
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor, default_device

    from solutions.bonus_02 import BatchModel, left_pad
    from solutions.bonus_03 import CachedModel
    from solutions.solution_01 import GPT2Config
    from solutions.solution_10 import MaxGPT2LMHeadModel
    from tutor.quantization import quantize

    settings = json.loads((BUNDLED_MODEL / "config.json").read_text())
    bundled = {field.name: settings[field.name] for field in fields(GPT2Config)}
    for name, config in (("bundled", GPT2Config(**bundled)), ("gpt2", GPT2Config())):
        rng = np.random.default_rng(0)
        with F.lazy(), default_device(CPU()):
            model = MaxGPT2LMHeadModel(config)
        shapes = {key: [int(size) for size in p.shape] for key, p in model.parameters}
        model.load_state_dict(
            {key: rng.normal(0, 0.2, shape).astype(np.float32) for key, shape in shapes.items()}
        )
        ids = rng.integers(config.vocab_size, size=(2, 9))
        padded, start = left_pad([ids[0].tolist(), ids[1, 5:].tolist()])
        whole = CompiledModel(model, CPU())(Tensor.from_dlpack(ids)).to_numpy()
        batch, cached = BatchModel(model), CachedModel(model)
        cached(padded[:, :6], start)
        found = {
            "a whole model": whole[0, -1],
            "a batch": batch(padded, start)[0],
            "a padded row": batch(padded, start)[1],
            "a cached batch": cached(padded, start)[0],
            "a cached padded row": cached(padded, start)[1],
        }
        for what, logits in found.items():
            row = ids[1:, 5:] if "padded" in what else ids[:1]
            eager = model(Tensor.from_dlpack(np.ascontiguousarray(row))).to_numpy()[0, -1]
            error = np.abs(logits - eager).max() / np.abs(eager).max()
            if not error < LARGEST_ERROR:
                raise SystemExit(f"{what} of {name} is off by {error:.1e} of its largest logit")
        quantize(model)
        CachedModel(model)  # the tests say how far its logits are from those in float32
        yield name


def unpack(packs: Path, cache: Path) -> None:
    """Put what a pack holds beside what is in the cache."""
    kernels.PACKS = packs
    pack = kernels.find_pack()
    for path, content in kernels.read_entries(pack) if pack else []:
        (cache / path).write_bytes(content)


def entries(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.glob("mof/**/*") if path.is_file()}


def write_pack(cache: Path, output: Path) -> int:
    """Write archive and manifest; the same entries make the same bytes."""
    output.mkdir(parents=True, exist_ok=True)
    manifest = output / f"{kernels.pack_name()}.json"
    files, buffer = [], io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        # By size: what is nearly the same lies side by side, where the compressor sees it.
        for path in sorted(entries(cache), key=lambda path: ((cache / path).stat().st_size, path)):
            content = (cache / path).read_bytes()
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            files.append([path, len(content), hashlib.sha256(content).hexdigest()])
    packed = lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    manifest.with_suffix(".tar.xz").write_bytes(packed)
    lines = ",\n".join(f"    {json.dumps(file)}" for file in files)
    manifest.write_text(f'{{\n  "cpu": "{TARGET}",\n  "files": [\n{lines}\n  ]\n}}\n')
    return len(packed)


if __name__ == "__main__":
    main()
