"""What the code under check sends, and how it is run, on machines that offer less."""

import json
import multiprocessing
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.project.commands import run_child
from tests.project.tiers import partly
from tutor import processes
from tutor.check.sandbox import channel, isolation, places, seal
from tutor.check.sandbox.errors import CodeError, TimedOutError
from tutor.check.sandbox.isolation import Isolation, Limits, find_isolation
from tutor.check.sandbox.process import Clock, CodeProcess
from tutor.check.sandbox.workbench import COMPILING, Workbench
from tutor.course import sources
from tutor.course.registry import find_step
from tutor.errors import EnvironmentBrokenError


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.array(2.5),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array([1, 2], ">i4"),
        np.array([1 + 2j]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_arrive_as_they_were(array: Any) -> None:
    message = json.loads(channel.pack({"x": array}), object_hook=channel._unpack)
    np.testing.assert_array_equal(message["x"], array)
    assert message["x"].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "V", "shape": [2**34]},
        {"dtype": "f", "shape": [2**34]},
        {"dtype": "f", "shape": [-1]},
        {"dtype": "f", "shape": [2**62, 4]},
        {"dtype": "O", "shape": [1]},
        {"dtype": "fd", "shape": [0]},
        {"dtype": ["f"], "shape": [0]},
        {"dtype": "f", "shape": [1] * 100},
        {"dtype": "f", "shape": "12"},
    ],
    ids=str,
)
def test_an_array_is_never_larger_than_its_data(fields: dict[str, Any]) -> None:
    message = json.dumps({"array": "AAAAAAA=", **fields})
    with pytest.raises((ValueError, TypeError)):
        json.loads(message, object_hook=channel._unpack)


@pytest.mark.parametrize("dtype", ["V8", "S8", "U2", "M8[s]", "f4,f4", "O"])
def test_an_array_of_what_are_no_numbers_is_not_taken(dtype: str) -> None:
    message = json.dumps({"array": "AAAAAAAAAAA=", "dtype": dtype, "shape": [1]})
    with pytest.raises(ValueError, match="no numbers"):
        json.loads(message, object_hook=channel._unpack)


@pytest.mark.parametrize("array", [np.array([None]), np.array(["a"]), np.zeros(2, "V8")])
def test_what_are_no_numbers_is_not_sent(array: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        channel.pack({"x": array})


@pytest.fixture
def bench() -> Iterator[Workbench]:
    bench = Workbench("solutions", seconds=600, announce=lambda _: None)
    yield bench
    bench.close()


def select(bench: Workbench, extra: str) -> None:
    """Take step 03, with more code at its end."""
    step = find_step("3")
    bench.select(step, source=f"{sources.reference(step)}\n{extra}\n")


def test_code_that_stops_reading_has_its_time_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = object.__new__(CodeProcess)
    monkeypatch.setattr(process, "_connection", ours, raising=False)
    monkeypatch.setattr(process, "_kill", theirs.close)
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        process._send({"x": np.zeros((400, 400))}, Clock(0.5))
    assert time.monotonic() - begin < 30


@pytest.mark.full("ways to grade")
def test_what_code_calls_compiling_has_an_end(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_compiling", Clock(1))
    code = "import time; from tutor import runtime"
    select(bench, f"{code}\nfor _ in range(9):\n    with runtime.compiling('it'): time.sleep(3)")
    with pytest.raises(TimedOutError, match="MAX compiled for more than 1 seconds"):
        bench.parameters("LayerNorm", 4)


def test_what_code_may_call_compiling_is_bounded_where_it_is_not_trusted() -> None:
    apart = Workbench("steps", isolation=Isolation(Limits()))
    assert apart._compiling.seconds == COMPILING < 600


GONE = (
    "import sys; sys.stdout = None",
    "import sys; sys.stdout.close()",
    "import os; os.close(1)",
    "import fcntl, os; fcntl.fcntl(1, fcntl.F_SETFL, os.O_DIRECT)",
)


@pytest.mark.parametrize("code", partly("commands in odd situations", GONE, GONE[:1].__contains__))
def test_output_that_is_gone_costs_nothing(bench: Workbench, code: str) -> None:
    select(bench, code)
    weights = {"weight": np.ones(4), "bias": np.zeros(4)}
    assert bench.forward("LayerNorm", 4, weights=weights, x=np.ones((2, 4))).shape == (2, 4)
    bench.output()


def test_an_error_that_is_nested_deeply_is_only_an_error(bench: Workbench) -> None:
    select(bench, f"raise {'.'.join(['a'] * 700)}")
    with pytest.raises(CodeError):
        bench.parameters("LayerNorm", 4)
    assert sources.unfinished(bench.root / "nowhere.py") == "not there"


@pytest.mark.skipif(not seal.is_possible(), reason="no seal here")
def test_the_seal_takes_datagrams_and_the_affinity_of_others() -> None:
    code = (
        "import os, socket\n"
        "from tutor.check.sandbox import seal\n"
        "seal.seal()\n"
        "def tried(call):\n"
        "    try: call()\n"
        "    except PermissionError: return 'refused'\n"
        "    return 'done'\n"
        "pair, unix = socket.socketpair, socket.AF_UNIX\n"
        "print(tried(pair), tried(lambda: pair(unix, socket.SOCK_DGRAM)),\n"
        "      tried(lambda: pair(unix, socket.SOCK_SEQPACKET)),\n"
        "      tried(lambda: os.sched_setaffinity(0, os.sched_getaffinity(0))),\n"
        "      tried(lambda: os.sched_setaffinity(os.getppid(), [0])))\n"
    )
    done = run_python(code)
    assert done == "done refused refused done refused\n"


def run_python(code: str) -> str:
    """What Python code of the course prints."""
    command = processes.command(code)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def root_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "find_bubblewrap", lambda: ("", "no namespaces"))
    monkeypatch.setattr(isolation, "can_be_run_by", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_nothing_is_confined_by_a_kernel_without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "landlock_version", lambda: 0)
    places.confine([], [], [])
    assert list(Path("/").iterdir())


def test_each_submission_has_a_user_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "find_bubblewrap", lambda: ("", "no namespaces"))
    monkeypatch.setattr(isolation, "can_be_run_by", lambda user: user == isolation.USERS[-1])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = find_isolation(Limits())
    users = [found.of(number).user for number in range(len(isolation.USERS))]
    assert set(users) == set(isolation.USERS)
    assert Isolation(Limits(), "bwrap").of(3) == Isolation(Limits(), "bwrap")


@pytest.mark.full("ways to grade")
def test_what_grades_has_a_limit_that_what_it_starts_does_not_have() -> None:
    code = (
        "import resource, subprocess, sys; from tutor import processes\n"
        "processes.limit_memory(2**28)\n"
        "try: bytearray(2**32 + processes.FOR_CORES)\n"
        "except MemoryError: print('refused')\n"
        "inner = 'from tutor import processes; processes.unlimit_memory(); bytearray(2**32)'\n"
        "print(subprocess.run(processes.command(inner)).returncode)"
    )
    assert run_python(code) == "refused\n0\n"


@pytest.mark.parametrize(
    ("version", "said"),
    [(7, "by Landlock alone"), (0, "what you can read, the solutions included")],
)
def test_what_is_said_depends_on_the_kernel(
    version: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "landlock_version", lambda: version)
    found = Isolation(Limits(), obstacle="it is off")
    assert found.weakness.startswith("Not safe for a class")
    assert said in found.weakness
    assert ("Landlock" in found.name) is bool(version)


@pytest.mark.usefixtures("root_without_namespaces")
def test_code_does_not_run_as_root_unless_that_is_asked_for() -> None:
    with pytest.raises(EnvironmentBrokenError, match="--run-as-root"):
        find_isolation(Limits())
    found = find_isolation(Limits(), run_as_root=True)
    assert found == Isolation(Limits(), obstacle="no namespaces")
    assert found.weakness.startswith("Not safe for a class")


def test_the_command_has_that_option() -> None:
    assert "--run-as-root" in run_child("grade", "--help").out
