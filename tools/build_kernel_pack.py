"""Build the kernel pack for this platform: everything that MAX would compile for a learner.

    python tools/build_kernel_pack.py

Run it after a change of MAX or of a solution's graph. Kernels of eager operations are kept
between runs, so an interrupted run goes on where it stopped; graphs are compiled anew.
"""

import argparse
import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import Progress

from tutor import ROOT, kernels, runtime
from tutor.generation import BUNDLED_MODEL, CompiledModel

TARGET = "x86-64-v3"
LARGEST = 3_000_000  # bytes, of the archive in the repository


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the kernel pack for this platform.")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "kernels")
    parser.add_argument("--output", type=Path, default=kernels.PACKS)
    options = parser.parse_args()

    cache = options.cache.resolve()
    prepare(cache)
    with Progress() as progress:
        for task, steps in (("eager operations", eager_operations(cache)), ("graphs", graphs())):
            bar = progress.add_task(task, total=None)
            for name in steps:
                progress.update(bar, advance=1, description=f"{task}: {name}")
            progress.update(bar, total=progress.tasks[bar].completed, description=task)
    size = write_pack(cache, options.output)
    print(f"{size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"the pack is larger than {LARGEST:,} bytes; leave out a family")


def prepare(cache: Path) -> None:
    """Point MAX at an own cache and at the packs' CPU, before it compiles anything."""
    runtime.trap_interrupts()
    os.environ[runtime.CACHE_VARIABLE] = str(cache)
    cache.mkdir(parents=True, exist_ok=True)
    from max.driver import set_virtual_cpu_target

    set_virtual_cpu_target(TARGET)
    kernels.adopt(report=print)


def eager_operations(cache: Path) -> Iterator[str]:
    """Compile the families; then drop the graphs that an earlier run left in the cache."""
    record = cache / "families.json"
    if not record.exists():
        yield from kernels.compile_families()
        record.write_text(json.dumps(sorted(entries(cache))))
    for path in entries(cache) - set(json.loads(record.read_text())):
        (cache / path).unlink()


def graphs() -> Iterator[str]:
    """Compile what `tutor generate` compiles; the weights are no part of it."""
    from max.driver import CPU
    from max.experimental import functional as F
    from max.experimental.tensor import default_device

    from solutions.solution_01 import GPT2Config
    from solutions.solution_10 import MaxGPT2LMHeadModel
    from solutions.solution_11 import load_pretrained

    CompiledModel(load_pretrained(BUNDLED_MODEL), CPU())
    yield BUNDLED_MODEL.name
    with F.lazy(), default_device(CPU()):
        model = MaxGPT2LMHeadModel(GPT2Config())
    shapes = {name: [int(size) for size in p.shape] for name, p in model.parameters}
    model.load_state_dict({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    CompiledModel(model, CPU())
    yield "gpt2"


def entries(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.glob("mof/**/*") if path.is_file()}


def write_pack(cache: Path, output: Path) -> int:
    """Write archive and manifest; the same entries make the same bytes."""
    output.mkdir(parents=True, exist_ok=True)
    manifest = output / f"{kernels.pack_name()}.json"
    files, buffer = [], io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(entries(cache)):
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
