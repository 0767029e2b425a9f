"""What tests a kernel pack: it names what is wrong, and its record holds for what is packed."""

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tools.kernels import test_pack as tool
from tutor.runtime import kernels, numpy_kernels, trial

# The tests of the course run natively with the others.
PLATFORMS = {"linux-aarch64", *(each.parent.name for each in kernels.PACKS.glob("*/manifest.json"))}


@pytest.fixture
def pack() -> kernels.Pack:
    found = kernels.find_pack()
    if found is None:
        pytest.skip("no kernel pack fits this machine")
    return found


@pytest.mark.parametrize("platform", sorted(PLATFORMS - trial.TESTED))
def test_all_of_a_pack_has_been_tested_on_its_platform(platform: str) -> None:
    folder = kernels.PACKS / platform
    manifest = msgspec.json.decode((folder / kernels.MANIFEST).read_bytes(), type=kernels.Manifest)
    record = msgspec.json.decode((folder / tool.RECORD).read_bytes(), type=tool.Record)
    assert record.files == manifest.files
    assert record.max == manifest.max


def test_a_kernel_that_is_wrong_is_named(
    pack: kernels.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, name = numpy_kernels.find, "layer_norm_cpu_0_float32"

    def find(sought: str) -> Any:
        kernel: Any = right(sought)
        if sought != name:
            return kernel
        return lambda x, weight, bias, epsilon: kernel(x, bias, weight, epsilon)

    assert not list(tool.test_families(pack, ["layer_norm"]))
    monkeypatch.setattr(numpy_kernels, "find", find)
    assert list(tool.test_families(pack, ["layer_norm"])) == [name]


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (np.array([1, np.nan], np.float32), True),
        (np.array([1 + 1e-6, np.nan], np.float32), True),
        (np.array([1 + 1e-4, np.nan], np.float32), False),
        (np.array([1, 1], np.float32), False),
        (np.array([[1, np.nan]], np.float32), False),
        (np.array([1, np.nan], np.float64), False),
    ],
)
def test_kernels_may_round_and_nothing_else(found: NDArray[Any], agrees: bool) -> None:
    assert tool.agree([found], [np.array([1, np.nan], np.float32)]) == agrees


def test_a_graph_that_is_wrong_or_was_not_found_is_named(
    pack: kernels.Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter([1.0, 1.001])
    monkeypatch.setattr(tool, "sizes", lambda: [("tiny", lambda: None)])
    monkeypatch.setattr(tool, "compute", lambda *_: np.array(next(numbers)))
    graphs = {"0": "tiny-whole"}
    pack = kernels.Pack(pack.folder, msgspec.structs.replace(pack.manifest, graphs=graphs))
    assert list(tool.test_graphs(pack)) == ["tiny-whole", "tiny-whole"]


def test_what_a_pack_lacks_is_not_compiled() -> None:
    from max.driver import CPU
    from max.engine import InferenceSession
    from max.graph import Graph

    with Graph("nothing", input_types=[]) as graph:
        graph.output()
    with tool.nothing_compiled(), pytest.raises(AssertionError, match="lacks"):
        InferenceSession(devices=[CPU()]).compile(graph)
