"""What makes MAX quick: active for whoever imports it, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tutor import ROOT, runtime


def run(code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code]
    # MAX changes the environment behind os.environ, so a child must be handed it.
    environment = dict(os.environ)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_importing_tutor_imports_neither_max_nor_numpy() -> None:
    finished = run("import sys, tutor, tutor.cli; print({'max', 'numpy'} & set(sys.modules))")
    assert finished.stdout == "set()\n"


def test_importing_solutions_activates_the_runtime() -> None:
    finished = run(
        "import solutions\n"
        "from max.experimental.executor import default_executor\n"
        "from tutor.runtime import InterpretElseCompile\n"
        "assert isinstance(default_executor(), InterpretElseCompile)"
    )
    assert finished.returncode == 0, finished.stderr


def test_activation_after_max_is_imported_still_works() -> None:
    finished = run(
        "import max.experimental.tensor, solutions\n"
        "from max.experimental.tensor import Tensor\n"
        "print((Tensor.ones([2]) + 1).to_numpy())"
    )
    assert finished.stdout == "[2. 2.]\n", finished.stderr


def test_asyncio_leaves_our_interrupt_handler_alone() -> None:
    finished = run(
        "import asyncio, signal\n"
        "from tutor.runtime import trap_interrupts\n"
        "trap_interrupts()\n"
        "async def handler(): return signal.getsignal(signal.SIGINT)\n"
        "print(asyncio.run(handler()).__name__)\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    assert finished.stdout == "_interrupt\ninterrupted\n"


def test_a_handler_that_somebody_installed_stays() -> None:
    finished = run(
        "import signal\n"
        "from tutor.runtime import trap_interrupts\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "trap_interrupts()\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    assert finished.stdout == "True\n"


def test_a_closed_cache_folder_is_replaced_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(runtime.CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = runtime.usable_cache_folder()
    assert runtime.is_writable(folder)
    assert folder.parent == tmp_path
    assert "file/cache cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("refused", [False, True])
def test_only_what_the_interpreter_refuses_is_compiled(
    refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from max.experimental import executor

    class Interpreter:
        def execute(self, *_: Any) -> list[str]:
            if refused:
                raise executor.UnsupportedGraphError
            return ["interpreted"]

    class Compiler:
        def execute(self, *_: Any) -> list[str]:
            return ["compiled"]

    monkeypatch.setattr(executor, "InterpreterExecutor", Interpreter)
    monkeypatch.setattr(executor, "CompilingExecutor", Compiler)
    results: list[Any] = list(runtime.InterpretElseCompile().execute(None, []))  # type: ignore[arg-type]
    assert results == (["compiled"] if refused else ["interpreted"])
    assert ("Compiling" in capsys.readouterr().err) is refused


def test_only_a_mask_that_is_an_input_may_be_fused() -> None:
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental import functional as F
    from max.experimental.compilation import stage
    from max.experimental.tensor import Tensor, TensorType

    found = {}

    def attend(scores: Tensor, mask: Tensor) -> Tensor:
        sums = {
            "input": scores * 2 + mask,
            "input on the left": mask + scores * 2,
            "reshaped and cut input": scores * 2 + mask.reshape(mask.shape)[:, :3],
            "computed": scores * 2 + mask * 2,
            "chosen": scores * 2 + F.where(mask > 0, mask, mask * 0),
            "no sum": scores * 2,
        }
        found.update({name: runtime.adds_an_input(value) for name, value in sums.items()})
        return scores

    kind = TensorType(DType.float32, [3, 3], device=CPU())
    stage(attend)(kind, kind)
    assert [name for name, is_one in found.items() if is_one] == [
        "input",
        "input on the left",
        "reshaped and cut input",
    ]
