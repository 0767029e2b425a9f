"""Tries a pack in a process of its own, where the tests of the course have not run natively.

A crash or a wrong number means that NumPy stands in. The verdict is kept for each machine.
"""

import contextlib
import hashlib
import os
import subprocess
from typing import Any

from tutor import files
from tutor.processes import command
from tutor.runtime import kernels, own

TESTED = {"linux-x86_64"}  # where all tests of the course run, with the pack
SECONDS = 120.0
TOLERANCE = (
    1e-5  # of the largest number; a kernel that does not fit is far off, or ends the process
)
CODE = "from tutor.runtime import trial; trial.main()"


def failure(pack: kernels.Pack) -> str:
    """Why this machine cannot use a pack, or nothing if it can."""
    if pack.folder.name in TESTED:
        return ""
    verdict = own.folder() / f"trial-{digest(pack)}"
    try:
        return verdict.read_text(encoding="utf-8")
    except OSError:
        found = run()
        with contextlib.suppress(OSError):  # then it is tried again next time
            files.write(verdict, found.encode())
        return found


def digest(pack: kernels.Pack) -> str:
    """What tells this pack from others."""
    return hashlib.sha256(repr(pack.manifest).encode()).hexdigest()[:12]


def run() -> str:
    """Try the pack; what went wrong, or nothing."""
    environment = os.environ | {kernels.VARIABLE: kernels.TRUSTED}
    try:
        done = subprocess.run(  # noqa: S603 (this very Python, on our own code)
            command(CODE),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"MAX's kernels took more than {SECONDS:g} s in a trial on this machine"
    if done.returncode < 0:
        return f"MAX's kernels crashed in a trial on this machine (signal {-done.returncode})"
    last = done.stderr.strip().splitlines()[-1:] or [""]
    return f"MAX's kernels failed a trial on this machine ({last[0]})" if done.returncode else ""


def main() -> None:
    """Load every family of the pack, and compare some kernels with NumPy's."""
    import numpy as np

    from tutor import runtime
    from tutor.runtime import eager, numpy_kernels

    runtime.activate()
    pack = kernels.find_pack()
    assert pack
    from max.driver import Buffer

    found = {}
    for family in kernels.FAMILIES:
        found.update(eager.load(pack.read(family)))
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=(2, 17, 17)).astype(np.float32) for _ in range(2)]
    cases = {
        "unary_TanhOp_cpu_0_float32": [matrices[0].ravel()],
        "unary_GeluTanhOp_cpu_0_float32": [matrices[0].ravel()],
        "binary_AddOp_cpu_0_float32": [matrix.ravel() for matrix in matrices],
        "reduce_ReduceSoftmaxOp_cpu_0_float32": matrices[:1],
        "matmul_cpu_0_DType.float32": matrices,
    }
    for name, arrays in cases.items():
        models: list[Any] = [numpy_kernels.find(name), found[name]]
        expected, got = (model(*map(Buffer.from_numpy, arrays))[0].to_numpy() for model in models)
        error = np.abs(expected - got).max() / np.abs(expected).max()
        if not error <= TOLERANCE:
            raise SystemExit(f"{name} is off by {error:.1e}")
