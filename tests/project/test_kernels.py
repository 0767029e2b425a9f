"""The kernel pack and the runtime: nothing compiles, nothing damaged is used, nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tutor import ROOT, kernels, runtime

PACK = kernels.find_pack()
needs_pack = pytest.mark.skipif(PACK is None, reason="no kernel pack fits this machine")

# Other ways to write GPT-2 than the solutions': none of these may compile a kernel.
OTHER_WAYS = """
import solutions, numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
x = Tensor.from_dlpack(np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32))
ids = Tensor.from_dlpack(np.array([[1, 0, 2], [2, 1, 1]]))
mean = x.mean(axis=-1)
spread = ((x - mean) ** 2).mean(axis=-1)
normal = (x - mean) * F.rsqrt(spread + 1e-5) + F.sqrt(F.abs(x)) / F.exp(-x)
bent = 0.5 * x * (1 + F.tanh(0.8 * (x + 0.04 * x * x * x))) + F.erf(x) + F.sigmoid(x)
bent = bent + F.relu(x) + F.gelu(x) + F.gelu(x, approximate="tanh") + F.pow(x, 2)
soft = F.exp(x - x.max(axis=-1)) / F.sum(F.exp(x), axis=-1)
parts = [x[:, :, 0:2], x[:, :, 2:4], x[:, :, 4:6], *F.split(x, [3, 3], axis=2)]
joined = F.concat(parts[:3], axis=-1) + F.stack([x, x], axis=0) + F.tile(x, [1, 1, 1])
heads = x.reshape([2, 3, 2, 3]).permute([0, 2, 1, 3]) @ x.reshape([2, 2, 3, 3])
flat = F.outer(x[0, 0], x[0, 1]), F.matmul(x[0], x[0].T).sum()
seen = F.band_part(Tensor.ones([3, 3]), num_lower=None, num_upper=0).cast(DType.bool)
seen = seen & ~(ids > 1)[:1] | (ids <= 1)[:1]
mask = F.where(seen, x[0, :, :3], -1e9) + F.log(seen.cast(DType.float32))
mask = F.where(x[0, :, :3] > 0, mask, Tensor.full([3, 3], -np.inf))
looked = F.gather(x[0], ids, axis=0) + F.broadcast_to(x[0, 0], [2, 3, 6]) + F.cumsum(x, axis=1)
counted = Tensor.arange(3, dtype=DType.int64) + Tensor.zeros([3], dtype=DType.int64)
best = F.argmax(x, axis=-1), F.top_k(x, 2, axis=-1), x.unsqueeze(0).squeeze(0), F.max(x, axis=0)
whole = [x.cast(DType.float64), (x > 0).cast(DType.int32), F.softmax(x), F.logsoftmax(x)]
noise = F.gaussian([2, 3]), F.uniform([2, 3]), F.min(x, axis=0), F.floor(x), F.round(x)
"""


def manifest_of(pack: kernels.Pack) -> Path:
    return pack.archive.with_name(f"{kernels.pack_name()}.json")


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run(code: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {runtime.CACHE_VARIABLE: str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kernels.Pack:
    """The pack of this platform, in a copy that a test may damage."""
    folder = shutil.copytree(kernels.PACKS, tmp_path / "packs")
    monkeypatch.setattr(kernels, "PACKS", folder)
    found = kernels.find_pack()
    assert found
    return found


@needs_pack
def test_other_ways_to_write_gpt2_compile_nothing(tmp_path: Path) -> None:
    assert PACK
    finished = run(OTHER_WAYS, tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert files_below(tmp_path) == PACK.files.keys()


@needs_pack
@pytest.mark.parametrize("kept", [0, 100, -100], ids=["empty", "start", "all but the end"])
def test_a_truncated_pack_is_not_used(pack: kernels.Pack, tmp_path: Path, kept: int) -> None:
    pack.archive.write_bytes(pack.archive.read_bytes()[:kept])
    with pytest.warns(UserWarning, match="kernel pack is not used"):
        assert not kernels.install(tmp_path / "cache")


@needs_pack
def test_an_entry_that_is_not_what_was_packed_is_never_written(
    pack: kernels.Pack, tmp_path: Path
) -> None:
    manifest = manifest_of(pack)
    entries = json.loads(manifest.read_text())
    path, _, digest = entries["files"][-1]
    entries["files"][-1][2] = digest[::-1]
    manifest.write_text(json.dumps(entries))
    with pytest.warns(UserWarning, match="is not what was packed"):
        assert not kernels.install(tmp_path / "cache")
    assert not (tmp_path / "cache" / path).exists()


@needs_pack
@pytest.mark.parametrize("content", ['{"cpu": "x86', "{}", "[]", '{"cpu": "x86-64-v9"}'])
def test_a_damaged_manifest_is_a_warning(pack: kernels.Pack, tmp_path: Path, content: str) -> None:
    manifest_of(pack).write_text(content)
    with pytest.warns(UserWarning, match=r"\.json is damaged"):
        assert not kernels.install(tmp_path / "cache")


@needs_pack
def test_a_missing_archive_is_a_warning(pack: kernels.Pack, tmp_path: Path) -> None:
    pack.archive.unlink()
    with pytest.warns(UserWarning, match="No such file"):
        assert not kernels.install(tmp_path / "cache")


@needs_pack
def test_a_full_disk_is_a_warning_and_leaves_no_part_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(path: Path, content: bytes) -> int:
        path.open("wb").write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.warns(UserWarning, match="No space left"):
        assert not kernels.install(tmp_path / "cache")
    assert not files_below(tmp_path / "cache")


@needs_pack
def test_a_truncated_entry_in_the_cache_is_restored(pack: kernels.Pack, tmp_path: Path) -> None:
    assert kernels.install(tmp_path / "cache")
    path, (size, _) = next(iter(pack.files.items()))
    (tmp_path / "cache" / path).write_bytes(b"half")
    assert not kernels.is_installed(pack, tmp_path / "cache")
    assert kernels.install(tmp_path / "cache")
    assert (tmp_path / "cache" / path).stat().st_size == size


@needs_pack
def test_processes_that_start_at_once_all_find_a_whole_pack(tmp_path: Path) -> None:
    assert PACK
    code = (
        "import sys, pathlib\n"
        "from tutor import kernels\n"
        "cache = pathlib.Path(sys.argv[1])\n"
        "assert kernels.is_installed(kernels.install(cache), cache)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, env=dict(os.environ)) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert files_below(tmp_path) == PACK.files.keys()


@needs_pack
def test_a_pack_is_bound_to_the_cpu_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "cpu_flags", lambda: kernels.CPU_FLAGS["x86-64-v3"] - {"avx2"})
        assert kernels.find_pack() is None
    monkeypatch.setattr(kernels, "version", lambda _: "26.8.0")
    assert kernels.find_pack() is None


def test_packs_are_small_and_come_with_the_licence_of_max() -> None:
    archives = list(kernels.PACKS.glob("*.tar.xz"))
    assert archives
    assert sum(path.stat().st_size for path in archives) <= 3_000_000
    assert "Modular MAX Community License" in (kernels.PACKS / "LICENSE-MAX").read_text()
    assert "IN NO EVENT SHALL MODULAR INC BE LIABLE" in (ROOT / "NOTICE").read_text()
    for archive in archives:
        manifest = archive.with_name(archive.name.removesuffix(".tar.xz") + ".json")
        assert json.loads(manifest.read_text())["cpu"] in kernels.CPU_FLAGS


def test_every_packed_family_is_one_of_max() -> None:
    from max._interpreter_ops import GC_FAMILIES

    assert set(kernels.FAMILIES) <= {family.name for family in GC_FAMILIES}


def test_without_a_pack_the_families_are_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "compile_families", lambda: iter(kernels.FAMILIES))
    kernels.compile_once(tmp_path)
    assert "once" in capsys.readouterr().err
    kernels.compile_once(tmp_path)
    assert capsys.readouterr().err == ""
