"""What makes MAX quick: active for whoever imports it, and never in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tutor import ROOT
from tutor.engine import start
from tutor.runtime import softmax


def run(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code]
    # MAX changes the environment behind os.environ, so a child must be handed it.
    environment = os.environ | variables
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
        "from tutor.runtime.eager import Interpreter\n"
        "assert isinstance(default_executor(), Interpreter)"
    )
    assert finished.returncode == 0, finished.stderr


def test_activation_after_max_is_imported_still_works() -> None:
    finished = run(
        "import max.experimental.tensor, solutions\n"
        "from max.experimental.tensor import Tensor\n"
        "print((Tensor.ones([2]) + 1).to_numpy())"
    )
    assert finished.stdout == "[2. 2.]\n", finished.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose its CPUs")
def test_one_thread_computes_and_may_use_every_cpu() -> None:
    finished = run(
        "import os, numpy\n"
        "def threads(): return [int(thread) for thread in os.listdir('/proc/self/task')]\n"
        "before, cpus = threads(), os.sched_getaffinity(0)\n"
        "from tutor import runtime\n"
        "runtime.activate(one_thread=True)\n"
        "assert all(os.sched_getaffinity(thread) == cpus for thread in threads())\n"
        "print(len(threads()) - len(before))"
    )
    assert finished.stdout == "1\n", finished.stderr


def test_only_a_small_model_is_left_to_one_thread(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(start.SMALL)
    assert start.is_small(None)
    assert not start.is_small(str(tmp_path))
    assert not start.is_small("gpt2")


def test_asyncio_leaves_our_interrupt_handler_alone() -> None:
    finished = run(
        "import asyncio, signal\n"
        "from tutor.runtime import trap_interrupts\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # `pytest &` ignores it
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


def test_an_extension_for_servers_is_built_only_when_it_is_called() -> None:
    finished = run(
        "import sys, solutions, max.experimental.nn\n"
        "from max._kv_cache_ops import mha_decode_num_partitions\n"
        "built = 'max._kv_cache_ops.kv_cache_ops'\n"
        "print(built in sys.modules)\n"
        "try: mha_decode_num_partitions()\n"
        "except TypeError: print(built in sys.modules)"
    )
    assert finished.stdout == "False\nTrue\n", finished.stderr


REFUSED = """
import numpy as np, solutions
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from tutor.runtime import eager, numpy_graphs
def refuse(graph): raise numpy_graphs.UnsupportedOpError("argsort is not in NumPy here")
{patch}
print(F.argsort(Tensor.from_dlpack(np.array([2.0, 1.0, 3.0], np.float32))).to_numpy())
"""
COMPILES = """
from max.experimental import executor
class Compiler:
    def execute(self, graph, inputs): raise SystemExit("MAX compiles")
executor.CompilingExecutor = Compiler
numpy_graphs.translate = refuse
"""


@pytest.mark.full("comparisons of NumPy with MAX")
@pytest.mark.parametrize(
    ("computes", "patch", "out", "err"),
    [
        ("numpy", "", "[1 0 2]\n", ""),
        ("compile", "", "[1 0 2]\n", ""),
        ("compile", COMPILES, "", "MAX compiles"),
        ("numpy", COMPILES, "", "set TUTOR_KERNELS=compile to have MAX compile it"),
    ],
    ids=["numpy", "numpy first", "compiled", "refused"],
)
def test_what_the_interpreter_refuses_runs_in_numpy_or_is_compiled_if_asked(
    computes: str, patch: str, out: str, err: str
) -> None:
    finished = run(REFUSED.format(patch=patch), TUTOR_KERNELS=computes)
    assert finished.stdout == out, finished.stderr
    assert err in finished.stderr


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
        found.update({name: softmax.adds_an_input(value) for name, value in sums.items()})
        return scores

    kind = TensorType(DType.float32, [3, 3], device=CPU())
    stage(attend)(kind, kind)
    assert [name for name, is_one in found.items() if is_one] == [
        "input",
        "input on the left",
        "reshaped and cut input",
    ]
