"""CPUs that the pack was not made on: its kernels are right there, and nothing is compiled."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browsers import lacking
from tools.kernels.emulate import python_on
from tutor import ROOT
from tutor.runtime import kernels, own

pytestmark = [
    pytest.mark.full("emulated machines"),
    pytest.mark.skipif(
        kernels.this_platform() != "linux-x86_64", reason="they run this Python, made for x86-64"
    ),
]

# As QEMU calls them. LLVM, and so MAX, calls them haswell, skylake, znver1 and, since it has never
# heard of the last one's family, generic.
CPUS = ("Haswell", "Skylake-Client", "EPYC", "EPYC,family=99")
FAMILIES = ("layer_norm", "matmul", "select")  # they load quickly: a kernel takes 0.1 s there


def run(cpu: str, cache: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python on another CPU, with a cache of its own."""
    if not shutil.which("qemu-x86_64"):
        lacking("qemu-x86_64 is not here")
    variables = {own.CACHE_VARIABLE: str(cache), "MODULAR_CACHE_DIR": str(cache)}
    return subprocess.run(
        [python_on(cpu), *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("cpu", CPUS)
def test_kernels_of_the_pack_are_right_on_any_cpu(cpu: str, tmp_path: Path) -> None:
    finished = run(cpu, tmp_path, "-m", "tools.kernels.test_pack", *FAMILIES)
    assert finished.returncode == 0, finished.stderr
    assert not any(tmp_path.iterdir())


def test_a_story_is_written_on_a_cpu_without_a_name(tmp_path: Path) -> None:
    story = ("-m", "tutor", "generate", "Once upon a time", "--max-new-tokens", "3")
    finished = run("EPYC,family=99", tmp_path, *story)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("Once upon a time")
    assert not any(tmp_path.iterdir())
