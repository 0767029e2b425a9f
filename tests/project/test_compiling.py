"""What is compiled on this machine: in the background while NumPy writes, or when that is asked."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.project.commands import run_child
from tutor import ROOT, runtime
from tutor.engine import compiling
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import TOKENIZER
from tutor.runtime import kernels, own

ENGINE: dict[str, Any] = {"model": None, "tree": "steps"}
SMALL = ROOT / "tests" / "golden" / "random"
KEEP = "import time; from tutor.runtime import own"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(own.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The tasks of the processes that would have been started."""
    tasks: list[list[str]] = []
    monkeypatch.setattr(compiling, "start", lambda task, **_: tasks.append(task))
    return tasks


def test_a_graph_is_compiled_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "CODE", "import time; time.sleep(600)")
    start, tasks, processes = compiling.start, [], []

    def start_and_note(task: list[str], **options: Any) -> None:
        tasks.append(task)
        processes.append(start(task, **options))

    monkeypatch.setattr(compiling, "start", start_and_note)
    assert "compiles the model in the background" in compiling.compile_later("ab", ENGINE)
    assert tasks == [["later", "ab", json.dumps(ENGINE)]]
    assert "is still compiling" in compiling.compile_later("ab", ENGINE)
    assert "compiles the model" in compiling.compile_later("cd", ENGINE)
    processes[0].kill()
    processes[0].wait()
    assert "compiles the model" in compiling.compile_later("ab", ENGINE)
    for process in processes:
        process.kill()
        process.wait()


def test_what_could_not_be_compiled_is_not_tried_again(started: list[list[str]]) -> None:
    own.keep_failure("ab", "it is too large")
    assert "it is too large" in compiling.compile_later("ab", ENGINE)
    assert not started


def test_without_a_place_nothing_is_compiled(started: list[list[str]], cache: Path) -> None:
    cache.touch()
    assert "cannot be kept" in compiling.compile_later("ab", ENGINE)
    assert not started


def test_a_cache_that_others_can_write_to_is_left_alone(
    started: list[list[str]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "_refuge", None)
    own.keep("ab", b"code")
    assert own.read("ab") == b"code"
    assert own.leave_foreign() == ""
    (own.folder() / f"ab{kernels.SUFFIX}").chmod(0o666)
    assert own.read("ab") is None
    for place in (own.folder(), cache):
        place.chmod(0o777)
        assert str(place) in own.leave_foreign()
        assert own.cache_folder() != cache
        assert own.read("ab") is None
        assert "not yours alone" in compiling.compile_later("ab", ENGINE)
        place.chmod(0o755)
        monkeypatch.setenv(own.CACHE_VARIABLE, str(cache))
    assert not started
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert mine == 0 or own.is_foreign(cache)
    if mine == 0:
        os.chown(cache, 12345, -1)
    assert own.is_foreign(cache)
    assert not own.is_foreign(Path("/"))


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("pass", ""),
        ("raise SystemExit('the model is gone')", "the model is gone"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "GB"),
    ],
    ids=["succeeds", "fails", "is killed"],
)
def test_a_compiler_that_ends_without_a_result_is_remembered(
    end: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "CODE", end)
    monkeypatch.setattr(sys, "argv", ["", "later", "ab", "{}"])
    compiling.main()
    assert why in own.failure("ab")
    assert bool(own.failure("ab")) == bool(why)


def test_a_compiler_has_little_memory_and_time() -> None:
    code = (
        "import resource, sys; from tutor.engine import compiling\n"
        "compiling.compile_operations = lambda: print(*map(resource.getrlimit, "
        "(resource.RLIMIT_AS, resource.RLIMIT_CPU)))\n"
        "sys.argv = ['', 'operations']; compiling.main()"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    memory, seconds = compiling.MEMORY, compiling.SECONDS
    assert finished.stdout == f"({memory}, {memory}) ({seconds}, {seconds})\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (f"{KEEP}; own.keep(str(time.time_ns()), b'')", "Compiled "),
        ("", "Loaded "),
        ("raise SystemExit('no space left')", "no space left"),
        ("raise SystemExit(9)", "GB"),
    ],
)
def test_compiling_shows_how_long_it_takes_and_why_it_fails(
    code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "CODE", code)
    console = Console(file=io.StringIO())
    if said not in ("Compiled ", "Loaded "):
        with pytest.raises(RuntimeError, match=said):
            compiling.compile_now(console)
    else:
        compiling.compile_now(console)
        file = console.file
        assert isinstance(file, io.StringIO)
        lines = [line for line in file.getvalue().splitlines() if " in " in line]
        assert [line.startswith(said) for line in lines] == [True, True]


@pytest.mark.full("graphs that MAX compiles")
def test_numpy_writes_until_max_has_compiled_the_model(cache: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(SMALL, tmp_path / "small"))
    shutil.copy(BUNDLED_MODEL / TOKENIZER, model)
    story = ("generate", "--prompt-tokens", "1,2,3", "--model", str(model), "--greedy")
    environment = {own.CACHE_VARIABLE: str(cache), kernels.VARIABLE: ""}
    first = run_child(*story, environment=environment)
    assert "MAX compiles the model in the background" in first.err
    deadline = time.monotonic() + compiling.SECONDS
    while len(list(cache.glob("*/*.mef.xz"))) < 2:  # for any columns, and for a single one
        assert time.monotonic() < deadline
        time.sleep(1)
    then = run_child(*story, environment=environment)
    assert "NumPy" not in then.err
    assert "compil" not in then.err
    assert then.out == first.out


@pytest.mark.full("graphs that MAX compiles")
def test_operations_can_be_compiled_where_no_pack_fits(cache: Path) -> None:
    without = "from tutor.runtime import kernels; kernels.find_pack = lambda *_: None;"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"{without} from tutor.engine import compiling; compiling.compile_operations()",
        ],
        cwd=ROOT,
        check=True,
    )
    (file,) = cache.glob("*/*.mef.xz")
    assert file.name == f"{own.OPERATIONS}{kernels.SUFFIX}"
    code = f"""{without}
import numpy as np, solutions
from max.experimental.tensor import Tensor
from tutor.runtime import numpy_kernels
numpy_kernels.find = lambda name: print(name)
x = Tensor.from_dlpack(np.ones([2, 3], np.float32))
print((x @ x.T + x @ x.T).to_numpy().sum())"""
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert finished.stdout == "24.0\n"


@pytest.mark.parametrize(("file", "said"), [("mof/mef/new", "Compiled it in"), ("new", "It took")])
def test_only_what_max_has_compiled_is_called_so(file: str, said: str, cache: Path) -> None:
    heard: list[str] = []
    with (
        runtime.heard_by(lambda message, _: heard.append(message)),
        runtime.compiling("the graph tiny"),
    ):
        (cache / file).parent.mkdir(parents=True)
        (cache / file).touch()
    assert heard == ["MAX prepares the graph tiny …", f"{said} 0 s."]
