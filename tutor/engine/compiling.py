"""Compiles on this machine, in a process of its own with bounded memory, for the next start.

Either in the background, while NumPy already writes, or because `tutor doctor --compile` asks.
"""

import contextlib
import fcntl
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from rich.console import Console

from tutor.processes import command
from tutor.runtime import kernels, own

MEMORY = 12 * 2**30  # bytes that a compiler may map; for GPT-2 124M it takes less than half of that
SECONDS = 1800  # of all its threads together; for GPT-2 124M it is a tenth of that
POLITE = 10  # how much less of the processor it wants, as `nice` counts

CODE = "from tutor.engine import compiling; compiling.main()"
BEYOND = f"it took more than {MEMORY // 2**30} GB of memory or {SECONDS // 60} minutes"


def compile_later(graph: str, engine: dict[str, Any]) -> str:
    """Compile the model of an engine in the background; returns a line that tells the user.

    The engine is given by the arguments of `load_engine`, and its first graph by its fingerprint.
    """
    try:
        own.make_folder()
        with (own.folder() / f"{graph}.lock").open("w") as lock:
            if not is_free(lock):
                return (
                    "MAX is still compiling this model in the background; NumPy writes until then."
                )
            if why := own.failure(graph):
                return f"MAX could not compile this model ({why}), so NumPy writes."
            # The process inherits the lock, and so has it until it ends.
            start(["later", graph, json.dumps(engine)], keep=[lock.fileno()])
    except OSError as error:
        return f"Compiled models cannot be kept here ({error}), so NumPy writes."
    return "NumPy writes this time; MAX compiles the model in the background, for later starts."


def compile_now(console: Console) -> None:
    """Compile what the reference needs: its eager operations, and the graph of the bundled model.

    Raises RuntimeError if a compiler ends without a result.
    """
    compile_and_show("the operations of the twelve steps", ["operations"], console)
    compile_and_show("the bundled model", ["engine", "{}"], console)


def compile_and_show(what: str, task: list[str], console: Console) -> None:
    """Compile what is not compiled yet, with a clock."""
    begin, kept = time.perf_counter(), own.kept()
    with console.status(f"Preparing {what}") as status:

        def show(seconds: int) -> None:
            status.update(f"Preparing {what}: {seconds // 60}:{seconds % 60:02}")

        why = attempt(task, show)
    if why:
        raise RuntimeError(f"MAX could not compile {what}: {why}")
    done = "Loaded" if own.kept() == kept else "Compiled"
    before = ", compiled before," if done == "Loaded" else ""
    console.print(f"{done} {what}{before} in {time.perf_counter() - begin:.0f} s.")


def attempt(task: list[str], tick: Callable[[int], None] = lambda _: None) -> str:
    """Compile in a process of its own; why that failed, or nothing. `tick` hears each second."""
    with tempfile.TemporaryFile() as said, start(task, said.fileno()) as process:
        try:
            for seconds in itertools.count():
                tick(seconds)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                    break
        finally:
            process.kill()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if process.returncode > 0 and lines:
        return lines[-1]
    return BEYOND if process.returncode else ""


def start(
    task: list[str], stderr: int = subprocess.DEVNULL, keep: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start a process that compiles; Ctrl-C does not reach it."""
    return subprocess.Popen(  # noqa: S603 (this very Python, on our own code)
        command(CODE, *task),
        env=os.environ | {kernels.VARIABLE: kernels.COMPILE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        pass_fds=keep,
        start_new_session=True,
    )


def is_free(file: IO[str]) -> bool:
    """Whether no other process has locked a file; if so, it is locked until all have closed it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> None:
    """Do what the arguments say."""
    task, *details = sys.argv[1:]
    if task == "later":
        graph, engine = details
        if why := attempt(["engine", engine]):
            own.keep_failure(graph, why)
        return
    limit_resources()
    if task == "operations":
        compile_operations()
    else:
        from tutor.engine.generation import load_engine

        load_engine(**json.loads(details[0])).loop  # noqa: B018 (made when it is asked for)


def limit_resources() -> None:
    """Bound what a compiler can take; on an attention with five axes it once took 16 GB."""
    os.nice(POLITE)
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def compile_operations() -> None:
    """Compile, in one module, the eager operations that a small model uses when it writes."""
    from tutor import runtime
    from tutor.engine import trees

    os.environ[kernels.VARIABLE] = kernels.NUMPY
    runtime.activate()
    import numpy as np
    from max import engine
    from max._interpreter_ops import gc_compile
    from max.experimental.tensor import Tensor

    trees.claim("solutions")
    from solutions.solution_01 import GPT2Config
    from solutions.solution_10 import MaxGPT2LMHeadModel
    from solutions.solution_12 import generate_tokens
    from tutor.runtime import eager, graphs

    needed: set[str] = set()
    op_family: Any = gc_compile.GCOpFamily
    find = op_family.model_for

    def find_and_note(family: Any, key: str, device: Any, build: Any, **options: Any) -> Any:
        needed.add(key)
        return find(family, key, device, build, **options)

    op_family.model_for = find_and_note
    model = MaxGPT2LMHeadModel(GPT2Config(7, 5, 6, 2, 3))
    for do_sample in (False, True):
        prompt = Tensor.from_dlpack(np.array([[1, 2, 3]]))
        generate_tokens(model, prompt, 3, do_sample=do_sample, rng=np.random.default_rng(0))

    session = engine.InferenceSession(devices=gc_compile.DISCOVERED_DEVICES)
    compiled = session.compile(eager.build_module(needed.__contains__))
    own.keep(own.OPERATIONS, graphs.export(compiled))
