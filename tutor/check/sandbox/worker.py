"""The process that runs the code under check: it loads a step and carries out probes.

It knows no expected value. It ends when the process that started it does.
"""

import contextlib
import faulthandler
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

from tutor import ROOT, runtime
from tutor.check.sandbox import channel, seal
from tutor.check.sandbox.errors import ContractError
from tutor.check.sandbox.places import bound, confine
from tutor.course import names
from tutor.processes import FOR_CORES, end_with_parent, mapped, unlimit_memory

# Bytes that the code under check may map beyond what MAX has mapped at its start. MAX goes on to
# map 1.6 GB for the reference on two cores, of which it uses little, and more with more cores.
MEMORY = 4 * 2**30 + FOR_CORES
MOST_TEXT = 10_000  # characters of an error's message
LARGEST_FILE = 2**28  # bytes that it may write into one file, its output among them
OURS = "tutor", "tutor.runtime"  # what a step may import of the course's own


class TreeFinder(importlib.abc.MetaPathFinder):
    """Finds the steps of one tree, under that tree's names, wherever their text comes from."""

    def __init__(self, root: Path, tree: str) -> None:
        self.root, self.tree = root, tree
        self.sources: dict[str, tuple[Path, str]] = {}  # by module: what it is loaded from instead

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, module = name.partition(".")
        if package not in (*names.TREES, "tests", "tutor") or is_ours(name):
            return None
        if package != self.tree:
            raise ModuleNotFoundError(f"{name} cannot be imported by a step under check")
        folder = self.root / package
        if not module:
            return importlib.util.spec_from_file_location(
                name, folder / "__init__.py", submodule_search_locations=[str(folder)]
            )
        if name in self.sources:
            loader = TextLoader(*self.sources[name])
            return importlib.util.spec_from_loader(name, loader, origin=str(loader.file))
        return importlib.machinery.PathFinder.find_spec(name, [str(folder)])


class TextLoader(importlib.abc.InspectLoader):
    """A module from a text, as if it stood in a file."""

    def __init__(self, file: Path, text: str) -> None:
        self.file, self.text = file, text

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return self.text

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.file)
        # The lines that an error shows are those of the text.
        linecache.cache[str(self.file)] = (
            *(len(self.text), None),
            *(self.text.splitlines(keepends=True), str(self.file)),
        )
        exec(compile(self.text, self.file, "exec"), module.__dict__)  # noqa: S102


class Worker:
    """Loads steps and carries out probes, as it is asked."""

    def __init__(self, connection: Connection, root: Path, tree: str, computes: bool) -> None:
        from tutor.check.probes.text import TextProbes

        self.connection, self.computes = connection, computes
        self.probes: Callable[[ModuleType], object] = TextProbes
        self.text_probes = TextProbes
        if computes:
            from tutor.check.probes.modern import ModernProbes  # with MAX, before a clock runs

            self.probes = ModernProbes
        self.finder = TreeFinder(root, tree)
        self.step: ModuleType | None = None
        self.name = names.NAMES[0]
        self.requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Receive requests; end this process, whatever it is doing, with the one that asks."""
        while True:
            try:
                self.requests.put(channel.receive(self.connection))
            except (EOFError, OSError):
                os._exit(0)

    def serve(self) -> None:
        """Answer one request after the other."""
        hide_what_observes()
        sys.meta_path.insert(0, self.finder)
        pack = channel.pack
        with on_cpu() if self.computes else contextlib.nullcontext():
            while True:
                request = self.requests.get()
                token = {"token": request.pop("token")}
                try:
                    if request.pop("do") == "load":
                        result = self.load(**request)
                    else:
                        result = self.probe(**request)
                    answer = pack({"result": result} | token)
                except BaseException as error:  # whatever the code under check raises
                    answer = pack({"error": self.describe(error)} | token)
                self.connection.send_bytes(answer)

    def load(self, step: str, references: dict[str, str], source: str | None) -> str:
        """Import a step anew, from its file or from a text; the file that it came from.

        The references are the texts that stand in for other steps, by their names.
        """
        tree, self.name = self.finder.tree, names.named(step)
        module = self.name.module(tree)
        others = {names.named(other): text for other, text in references.items()}
        self.finder.sources = {
            other.module(tree): (ROOT / other.file("solutions"), text)
            for other, text in others.items()
        }
        if source is not None:
            self.finder.sources[module] = self.finder.root / self.name.file(tree), source
        linecache.clearcache()
        for loaded in list(sys.modules):
            if loaded.partition(".")[0] == tree:
                del sys.modules[loaded]
        spec = self.finder.find_spec(module)  # before the module can say otherwise
        self.step = importlib.import_module(module)
        return str(spec and spec.origin)

    def probe(self, name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        """Carry out one of the probes on the step."""
        assert self.step
        probes = self.probes if self.name.track.computes else self.text_probes
        return getattr(probes(self.step), name)(*arguments, **options)

    def describe(self, error: BaseException) -> dict[str, Any]:
        """An exception in plain values: its types, its message, and where in the tree it arose."""
        folder = f"{self.finder.root / self.finder.tree}{os.sep}"
        frames = traceback.extract_tb(error.__traceback__)
        where = [
            [Path(frame.filename).name, frame.lineno, frame.name, frame.line or ""]
            for frame in frames
            if frame.filename.startswith(folder)
        ]
        kind = "contract" if isinstance(error, ContractError) else "code"
        try:
            message = (error.message if isinstance(error, ContractError) else str(error))[
                :MOST_TEXT
            ]
        except Exception:  # an exception of the learner's own may fail at this, too
            message = ""
        if isinstance(error, SyntaxError) and (error.filename or "").startswith(folder):
            message = error.msg
            line = (error.text or "").strip()
            where = [[Path(error.filename or "").name, error.lineno or 0, "", line]]
        types = [base.__name__[:MOST_TEXT] for base in type(error).__mro__]
        if isinstance(error, NotImplementedError) and message.startswith(f"{self.name.label}: "):
            kind = "stub"
        return {"types": types, "message": message, "where": where, "kind": kind}


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Have tensors be made there, and of float32."""
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.tensor import default_device, default_dtype

    with default_device(CPU()), default_dtype(DType.float32):
        yield


def is_ours(name: str) -> bool:
    """Whether a module makes MAX quick, which a step needs, and nothing else of the course."""
    return name in OURS or name.startswith(f"{OURS[-1]}.")


def hide_what_observes() -> None:
    """Leave nothing of this package where an import finds it, or a search by name."""
    for name in [name for name in sys.modules if name.startswith("tutor.") and not is_ours(name)]:
        package, _, module = name.rpartition(".")
        del sys.modules[name]
        if package in sys.modules:
            delattr(sys.modules[package], module)
    vars(sys.modules["__main__"]).clear()  # it has imported this


def limit_resources(limits: dict[str, int] | None) -> None:
    """Bound what the code under check can take, beyond what MAX itself has taken by now."""
    memory, file = MEMORY, LARGEST_FILE
    if limits:
        memory, file = limits["memory"] + FOR_CORES, limits["file"]
        set_limit(resource.RLIMIT_NOFILE, limits["files"])
        set_limit(resource.RLIMIT_CPU, limits["processor"])
        if os.getpid() == 1:  # else it counts all processes of this user
            set_limit(resource.RLIMIT_NPROC, limits["threads"])
    if now := mapped():
        set_limit(resource.RLIMIT_AS, now + memory)
    set_limit(resource.RLIMIT_FSIZE, file)
    set_limit(resource.RLIMIT_CORE, 0)


def keep_in_place(limits: dict[str, int], places: dict[str, list[str]] | None) -> None:
    """Bound what the code under check can do to files; the threads that are to come are bound, too.

    Without places it is in namespaces, with a /tmp of its own.
    """
    if places is None:
        bound("/tmp", limits["disk"], limits["entries"])  # noqa: S108
    else:
        confine(**places)


def set_limit(kind: int, wanted: int) -> None:
    """Set a limit, or leave the one that is there if it is lower."""
    _, hard = resource.getrlimit(kind)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (limit, limit))


def main() -> None:
    """Get ready, say so, and serve.

    The argument is the descriptor of the connection. There the root comes, and the tree; whether
    the steps compute, for which MAX is needed; the descriptors of the file for what the code
    prints, and of the one for where a signal hits it; and the rules, if the code is not to be
    trusted.
    """
    end_with_parent()
    connection = Connection(int(sys.argv[1]))
    settings = channel.receive(connection)
    root, tree, rules = settings["root"], settings["tree"], settings["rules"]
    output, faults = settings["descriptors"]
    for descriptor in (connection.fileno(), output, faults):  # not for what the code starts
        os.set_inheritable(descriptor, False)
    sys.dont_write_bytecode = True
    if rules:
        unlimit_memory()  # what grades has a limit of its own
        keep_in_place(**rules)

    def announce(message: str, compiling: bool) -> None:
        channel.send(connection, {"event": message, "compiling": compiling})

    sys.modules["gguf"] = None  # type: ignore[assignment] # MAX does without, a tenth sooner
    try:
        if settings["computes"]:
            runtime.activate(announce)
        else:
            runtime.do_without()
        worker = Worker(connection, Path(root), tree, settings["computes"])
    except Exception as error:
        channel.send(connection, {"broken": f"{type(error).__name__}: {error}"})
        return
    faulthandler.enable(faults, all_threads=True)
    # MAX takes SIGUSR1 and SIGUSR2 for itself at its first operation.
    faulthandler.register(signal.SIGQUIT, faults, all_threads=True)
    limit_resources(rules and rules["limits"])
    if rules:
        seal.close()
        if seal.is_possible():
            seal.seal()
    channel.send(connection, {"ready": True})
    for stream in (1, 2):
        os.dup2(output, stream)
    worker.serve()
