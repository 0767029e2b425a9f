"""Test a kernel pack on the machine that this runs on, and record that it passed.

    python -m tools.kernels.test_pack
    python -m tools.kernels.emulate neoverse-n1 -m tools.kernels.test_pack

Each kernel is compared with NumPy's of the same name, and each graph with what NumPy makes of it.
If you name families, only these are tested, and nothing is recorded.
"""

import argparse
import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from numpy.typing import NDArray

from tests.kernel_inputs import inputs
from tools.kernels.build_pack import sizes
from tools.kernels.emulate import EMULATED
from tutor import runtime
from tutor.engine.loops import CompiledModel
from tutor.runtime import eager, graphs, kernels, numpy_kernels

RECORD = "tested.json"

# MAX and NumPy round differently, and the more is summed up, the further they are apart.
KERNEL_TOLERANCES = {"float32": 1e-5, "float64": 1e-11}
GRAPH_TOLERANCE = 1e-4  # of the largest output
# What meets four-bit weights is rounded to eight bits, and the least difference can tip it over.
FOUR_BIT_TOLERANCE = 0.05

FORMS = ("whole", "sampler", "greedy", "batch", "cached", "cached-q4_0")  # of a model

Array = NDArray[Any]
Kernel = Callable[..., list[Any]]  # buffers in, buffers out


class Record(msgspec.Struct, frozen=True):
    """What has passed, and where."""

    max: str  # its version
    machine: str
    files: dict[str, str]  # the SHA-256 of each, as in the manifest


def main() -> None:
    parser = argparse.ArgumentParser(description="Test the kernel pack of this platform.")
    parser.add_argument("families", nargs="*", metavar="family", help="test only these")
    parser.add_argument(
        "--pack", default=kernels.this_platform(), help="its name, if not the usual"
    )
    parser.add_argument("--packs", type=Path, default=kernels.PACKS)
    options = parser.parse_args()

    kernels.PACKS, kernels.WIDE = (
        options.packs,
        options.pack,
    )  # which is where graphs are sought first
    pack = kernels.find_pack(options.pack)
    if pack is None:
        raise SystemExit(f"{kernels.PACKS} has no pack {options.pack} that fits this machine")
    families = [
        each for each in (kernels.USUAL, *kernels.FAMILIES) if each in pack.manifest.artifacts
    ]
    os.environ[kernels.VARIABLE] = kernels.TRUSTED
    runtime.activate()
    with nothing_compiled():
        wrong = [*test_families(pack, options.families or families)]
        if not options.families:
            wrong += test_graphs(pack)
    if wrong:
        raise SystemExit(f"{pack.folder.name} must not be used here: {', '.join(wrong)}")
    if not options.families:
        record = Record(pack.manifest.max, machine(), pack.manifest.files)
        text = msgspec.json.format(msgspec.json.encode(record))
        (pack.folder / RECORD).write_bytes(text + b"\n")


@contextlib.contextmanager
def nothing_compiled() -> Iterator[None]:
    """Make it an error to compile what the pack lacks."""
    from max.engine import InferenceSession

    lack = AssertionError("the pack lacks what MAX was about to compile")
    with mock.patch.object(InferenceSession, "_compile_module", side_effect=lack):
        yield


def machine() -> str:
    emulated = os.environ.get(EMULATED)
    return f"{emulated}, emulated by QEMU" if emulated else platform.platform()


def test_families(pack: kernels.Pack, families: Iterable[str]) -> Iterator[str]:
    """Compare kernels with NumPy's; the names of those that are wrong."""
    for family in families:
        start = time.perf_counter()
        found = eager.load(pack.read(family))
        wrong = [name for name, kernel in found.items() if not is_right(name, kernel)]
        seconds = time.perf_counter() - start
        print(f"{family}: {len(found)} kernels, {len(wrong)} wrong, {seconds:.1f} s", flush=True)
        yield from wrong


def is_right(name: str, kernel: Kernel) -> bool:
    """Whether a kernel computes what NumPy's of the same name computes."""
    reference = numpy_kernels.find(name)
    return reference is not None and agree(
        *(run(model, inputs(name)) for model in (kernel, reference))
    )


def run(kernel: Kernel, inputs: list[Any]) -> list[Array]:
    """What a kernel computes, or what it leaves in its first input if it computes nothing."""
    return [buffer.to_numpy() for buffer in kernel(*inputs) or inputs[:1]]


def agree(found: list[Array], expected: list[Array]) -> bool:
    """Whether arrays have the same types and shapes, and the same numbers but for rounding."""
    return len(found) == len(expected) and all(
        one.dtype == other.dtype
        and one.shape == other.shape
        and np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
        for one, other in zip(found, expected, strict=True)
        for tolerance in [KERNEL_TOLERANCES.get(one.dtype.name, 0)]
    )


def test_graphs(pack: kernels.Pack) -> Iterator[str]:
    """Compare graphs with NumPy; the names of those that are wrong or were not found."""
    packed = set(pack.manifest.graphs.values())
    reading = mock.patch.object(kernels.Pack, "read", autospec=True, side_effect=kernels.Pack.read)
    with reading as read:
        for size, make in sizes():
            model = make()
            for form in FORMS:
                if (name := f"{size}-{form}") in packed and not is_same(name, model, form):
                    yield name
    yield from packed - {call.args[1] for call in read.call_args_list}


def is_same(name: str, model: Any, form: str) -> bool:
    """Whether a compiled form of a model computes what NumPy computes in its place."""
    start = time.perf_counter()
    found = compute(model, form)
    with mock.patch.object(graphs, "find", return_value=None), graphs.postponed():
        expected = compute(model, form)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{name}: off by {error:.1e}, {time.perf_counter() - start:.1f} s", flush=True)
    return bool(error <= (FOUR_BIT_TOLERANCE if form == FORMS[-1] else GRAPH_TOLERANCE))


def compute(model: Any, form: str) -> Array:
    """What a compiled form of a model says after two prompts; q4_0 changes the model."""
    from max.experimental.tensor import Tensor

    from solutions.engine_01 import compile_heads
    from solutions.engine_03 import BatchModel, left_pad
    from solutions.engine_04 import CachedModel
    from tutor.engine.quantization import QuantizedWeight, quantize

    ids = np.random.default_rng(0).integers(model.config.vocab_size, size=(2, 9))
    padded, start = left_pad([ids[0].tolist(), ids[1, 5:].tolist()])
    tokens, temperature = (Tensor.from_dlpack(x) for x in (ids, np.array(0.8, np.float32)))
    match form:
        case "whole":
            return CompiledModel(model)(tokens).to_numpy()
        case "sampler":
            return compile_heads(model)[0](tokens, temperature).to_numpy()
        case "greedy":
            return compile_heads(model)[1](tokens).to_numpy()
        case "batch":
            return BatchModel(model)(padded, start)
        case "cached-q4_0" if not isinstance(model.lm_head.weight, QuantizedWeight):
            quantize(model)
    cached = CachedModel(model)
    both = [cached(padded[:, :length], start) for length in (6, 8, 9)]
    alone = [cached(ids[:1, :length], start[:1]) for length in (6, 7, 8)]  # a column at a time
    return np.concatenate([*both, *alone])


if __name__ == "__main__":
    main()
