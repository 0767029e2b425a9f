"""Kernel packs: nothing compiles, nothing is written; what is damaged is not used, but told."""

import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tutor import ROOT
from tutor.runtime import choice, kernels, own, trial

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
order = F.argsort(x[0, 0])  # MAX's interpreter refuses it
"""
UNUSUAL = """
import numpy as np, solutions
from max.experimental.tensor import Tensor
x = Tensor.from_dlpack(np.ones(2))
print((x + x).to_numpy())
"""


@pytest.fixture(autouse=True)
def as_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What computes here is for each test to say."""
    monkeypatch.delenv(kernels.VARIABLE, raising=False)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run(code: str, home: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a home of its own, with a cache that is not there yet."""
    known = {"HOME": str(home), own.CACHE_VARIABLE: str(home / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=os.environ | known | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packs, in a copy that a test may damage."""
    folder = Path(shutil.copytree(kernels.PACKS, tmp_path / "packs"))
    monkeypatch.setattr(kernels, "PACKS", folder)
    return folder


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("computes", ["", kernels.NUMPY])
def test_other_ways_to_write_gpt2_compile_and_write_nothing(tmp_path: Path, computes: str) -> None:
    finished = run(OTHER_WAYS, tmp_path, **{kernels.VARIABLE: computes})
    assert finished.returncode == 0, finished.stderr
    assert ("NumPy stands in" in finished.stderr) == (computes == kernels.NUMPY or PACK is None)
    assert "compil" not in finished.stderr
    assert files_below(tmp_path) == set()


def damage(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@needs_pack
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.write_bytes(damage(file.read_bytes())),
        lambda file: file.write_bytes(lzma.compress(b"something else")),
        lambda file: shutil.copy(file.with_name("unary.mef.xz"), file),
        lambda file: file.unlink(),
    ],
    ids=["empty", "cut", "a bit", "foreign", "another's", "missing"],
)
def test_an_artifact_that_is_not_what_was_packed_is_never_read(packs: Path, change: object) -> None:
    file = packs / kernels.this_platform() / "binary.mef.xz"
    assert callable(change)
    change(file)
    pack = kernels.find_pack()
    assert pack
    with pytest.raises(kernels.DamagedPackError, match=r"linux-\w+/binary\.mef\.xz"):
        pack.read("binary")
    assert pack.read("unary")


@needs_pack
def test_numpy_stands_in_for_a_damaged_family_and_that_is_told(packs: Path, tmp_path: Path) -> None:
    (packs / kernels.this_platform() / "binary.mef.xz").write_bytes(b"")
    patched = f"from tutor.runtime import kernels; kernels.PACKS = kernels.Path({str(packs)!r})"
    finished = run(f"{patched}\n{UNUSUAL}", tmp_path)
    assert finished.stdout == "[2. 2.]\n"
    assert "binary.mef.xz has changed since it was packed; NumPy stands in" in finished.stderr
    assert "git checkout tutor/runtime/packs" in finished.stderr


@needs_pack
@pytest.mark.parametrize("content", ['{"max": "26', "{}", "[]", '{"max": 1}'])
def test_a_damaged_manifest_means_numpy_and_is_told(packs: Path, content: str) -> None:
    (packs / kernels.this_platform() / kernels.MANIFEST).write_text(content)
    chosen = choice.choose_pack()
    assert chosen.pack is None
    assert chosen.is_fault
    assert "manifest.json is damaged" in chosen.why


@needs_pack
def test_a_pack_is_bound_to_the_cpu_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PACK
    if needed := kernels.CPU_FLAGS.get(PACK.manifest.target):
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "cpu_flags", lambda: needed - {"avx2"})
            assert kernels.find_pack() is None
    for module in (kernels, choice):
        monkeypatch.setattr(module, "version", lambda _: "26.8.0")
    assert kernels.find_pack() is None
    assert choice.choose_pack().why.endswith("with MAX 26.8.0")


def test_packs_are_small_and_come_with_the_licence_of_max() -> None:
    manifests = list(kernels.PACKS.glob(f"*/{kernels.MANIFEST}"))
    assert manifests
    for manifest in manifests:
        files = {file.name for file in manifest.parent.iterdir()}
        pack = msgspec.json.decode(manifest.read_bytes(), type=kernels.Manifest)
        packed = {f"{name}{kernels.SUFFIX}" for name in pack.files}
        assert packed | {kernels.MANIFEST} <= files <= packed | {kernels.MANIFEST, "tested.json"}
        operations = {kernels.USUAL, *kernels.FAMILIES}
        if manifest.parent.name == kernels.WIDE:
            operations = set()
        assert {*operations, *pack.graphs.values()} == pack.artifacts.keys()
        assert sum(file.stat().st_size for file in manifest.parent.iterdir()) <= 4_000_000
    assert "Modular MAX Community License" in (kernels.PACKS / "LICENSE-MAX").read_text()
    assert "IN NO EVENT SHALL MODULAR INC BE LIABLE" in (ROOT / "NOTICE").read_text()


def test_every_packed_family_is_one_of_max() -> None:
    from max._interpreter_ops import GC_FAMILIES

    assert set(kernels.FAMILIES) <= {family.name for family in GC_FAMILIES}


@needs_pack
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", ""),
        ("raise SystemExit('it is off')", "failed a trial on this machine (it is off)"),
        ("import os; os.kill(os.getpid(), 4)", "crashed in a trial on this machine (signal 4)"),
        ("import time; time.sleep(60)", "took more than 1 s in a trial"),
    ],
    ids=["passes", "wrong", "crashes", "hangs"],
)
def test_a_pack_is_tried_once_where_it_was_not_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    assert PACK
    monkeypatch.setenv(own.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(trial, "TESTED", set())
    monkeypatch.setattr(trial, "CODE", code)
    monkeypatch.setattr(trial, "SECONDS", 1.0 if "sleep" in code else 60.0)
    chosen = choice.choose_pack()
    assert (chosen.pack is None) == chosen.is_fault == bool(said)
    assert said in chosen.why
    monkeypatch.setattr(trial, "CODE", "raise SystemExit('tried again')")
    assert choice.choose_pack() == chosen
    monkeypatch.setenv(kernels.VARIABLE, kernels.TRUSTED)
    assert choice.choose_pack() == choice.Choice(kernels.find_pack())


@pytest.mark.full("comparisons of NumPy with MAX")
@needs_pack
def test_the_trial_passes_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(own.CACHE_VARIABLE, str(tmp_path))
    assert trial.run() == ""


def test_what_is_kept_here_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(own.CACHE_VARIABLE, str(tmp_path))
    assert own.read("graph") is None
    own.keep("graph", b"compiled")
    assert own.read("graph") == b"compiled"
    monkeypatch.setenv(kernels.VARIABLE, kernels.NUMPY)
    assert own.read("graph") is None
    monkeypatch.delenv(kernels.VARIABLE)
    (file,) = own.folder().iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert own.read("graph") is None
    own.keep_failure("graph", "too large")
    assert own.failure("graph") == "too large"
    assert {file.name for file in own.folder().iterdir()} == {"graph.mef.xz", "graph.failed"}


def test_what_one_cpu_compiles_is_not_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for flags in ({"avx2"}, {"avx2", "avx512f"}):
        monkeypatch.setattr(kernels, "cpu_flags", lambda flags=flags: flags)
        own.cpu.cache_clear()
        names.add(own.cpu())
    own.cpu.cache_clear()
    assert len(names) == 2


@pytest.mark.parametrize(
    ("system", "flags", "has_pack"),
    [
        ("linux-x86_64", kernels.CPU_FLAGS["x86-64-v4"], True),
        ("linux-x86_64", kernels.CPU_FLAGS["x86-64-v3"], False),
        ("linux-aarch64", kernels.CPU_FLAGS["x86-64-v4"], False),  # emulated, with flags beneath
    ],
)
def test_graphs_for_avx_512_are_for_these_cpus_alone(
    system: str, flags: set[str], has_pack: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "this_platform", lambda: system)
    monkeypatch.setattr(kernels, "cpu_flags", lambda: frozenset(flags))
    assert (kernels.find_wide_pack() is not None) == has_pack
