"""`tutor doctor`: healthy here, and every illness is told with its cure and exit code 3."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from tests.project.tiers import partly
from tutor import ROOT, doctor
from tutor.cli import main
from tutor.engine import checkpoint
from tutor.runtime import kernels, own


def run_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["tutor", "doctor"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code, capsys.readouterr().out


def test_all_is_well_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = run_doctor(monkeypatch, capsys)
    assert code == 0
    assert "BAD" not in output
    for name in ("Python", "MAX", "Platform", "Kernels", "Compiled", "Bundled model", "Isolation"):
        assert name in output


def not_found(_: str) -> str:
    raise PackageNotFoundError


def damaged(*_: Any) -> Any:
    raise kernels.DamagedPackError("it is torn")


Illness = Callable[[pytest.MonkeyPatch, Path], None]
ILLNESSES: dict[str, Illness] = {
    "BAD  Python": lambda patch, _: patch.setattr(doctor, "NEEDED_PYTHON", (9, 9)),
    "BAD  MAX            not installed": lambda patch, _: patch.setattr(
        doctor, "version", not_found
    ),
    "BAD  MAX            26.8.1": lambda patch, _: patch.setattr(
        doctor, "version", lambda _: "26.8.1"
    ),
    "BAD  Kernels        it is torn": lambda patch, _: patch.setattr(kernels.Pack, "read", damaged),
    "model.safetensors is damaged": lambda _, folder: flip_a_byte(folder / "model.safetensors"),
    "no tokenizer.json": lambda _, folder: (folder / "tokenizer.json").unlink(),
}


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "complaint", partly("commands in odd situations", ILLNESSES, [*ILLNESSES][::2].__contains__)
)
def test_an_illness_is_named_and_ends_with_exit_code_3(
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "Kernels" in complaint and kernels.find_pack() is None:
        pytest.skip("no kernel pack fits this machine")
    model = Path(shutil.copytree(checkpoint.BUNDLED_MODEL, tmp_path / "model"))
    monkeypatch.setattr(checkpoint, "BUNDLED", (model,))
    ILLNESSES[complaint](monkeypatch, model)
    code, output = run_doctor(monkeypatch, capsys)
    assert code == 3
    assert complaint in output


@pytest.mark.parametrize("compiled", [False, True])
def test_numpy_is_no_illness(
    compiled: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "find_pack", lambda: None)
    monkeypatch.setattr(own, "read", lambda _: b"kernels" if compiled else None)
    code, output = run_doctor(monkeypatch, capsys)
    assert code == 0
    assert ("compiled on this machine; NumPy computes the rest" in output) == compiled
    assert ("tutor doctor --compile" in output) != compiled
    assert "no compiled kernels for" in output


def test_generate_without_max_is_one_line_and_exit_code_3() -> None:
    code = "import sys; sys.modules['max'] = None; from tutor.cli import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", code, "generate"],
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 3
    assert len(finished.stderr.splitlines()) == 1
    assert "tutor doctor" in finished.stderr
