"""Whole graphs without a compiler: known by what they compute, not by a key of MAX's cache.

A graph comes from the pack, or was compiled on this machine before, or runs in NumPy.
"""

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.runtime import kernels, numpy_graphs, own

if TYPE_CHECKING:
    from max.engine import CompiledModel, InferenceSession
    from max.graph import Graph

# Where the kernels of MAX lie is no part of what a graph computes.
PLACES = re.compile(r"_kernel_library_paths = \[[^\]]*\]")

_postponed: list[str] | None = None  # the fingerprints of graphs that NumPy runs for now


@contextlib.contextmanager
def postponed() -> Iterator[list[str]]:
    """Run in NumPy what would have to be compiled; the fingerprints of these graphs."""
    global _postponed
    _postponed, before = [], _postponed
    try:
        yield _postponed
    finally:
        _postponed = before


def is_postponing() -> bool:
    """Whether NumPy runs what would have to be compiled."""
    return _postponed is not None


def fingerprint(graph: "Graph") -> str:
    """What a graph computes, in short: equal graphs have the same, on every machine."""
    return hashlib.sha256(PLACES.sub("", repr(graph)).encode()).hexdigest()


def serve(means: kernels.Means) -> None:
    """Have MAX's sessions find graphs before they compile them."""
    from max import engine
    from max.graph import Graph

    session_type: Any = engine.InferenceSession
    compile_graph, init = session_type.compile_reusing_mefs, session_type.init

    def find_or_compile(session: "InferenceSession", model: Any, **options: Any) -> Any:
        if not isinstance(model, Graph) or not is_for_cpu(model):
            return compile_graph(session, model, **options)
        name = fingerprint(model)
        if found := find(means, name) or stand_in(means, model, name):
            return found
        with means.compiling(f"the graph {model.name}"):
            compiled = compile_graph(session, model, **options)
        with contextlib.suppress(OSError):  # if it cannot be kept, it is compiled again
            own.keep(name, export(compiled))
        return compiled

    def init_or_bind(
        session: "InferenceSession",
        compiled: Any,
        *,
        weights_registry: Mapping[str, Any] | None = None,
    ) -> Any:
        if isinstance(compiled, numpy_graphs.Program):
            return compiled.bind(weights_registry or {})
        return init(session, compiled, weights_registry=weights_registry)

    session_type.compile_reusing_mefs, session_type.init = find_or_compile, init_or_bind


def is_for_cpu(graph: "Graph") -> bool:
    """Whether all inputs of a graph are on the CPU."""
    kinds: list[Any] = [value.type for value in graph.inputs]
    return all(kind.device.is_cpu() for kind in kinds)


def find(means: kernels.Means, name: str) -> "CompiledModel | None":
    """A compiled graph by its fingerprint, from a pack or from what was compiled here."""
    try:
        for pack in (kernels.find_wide_pack(), means.pack) if means.pack else ():
            if pack and (artifact := pack.manifest.graphs.get(name)):
                return kernels.read_artifact(pack.read(artifact))
    except kernels.DamagedPackError as error:
        means.warn(f"{error}. {kernels.RESTORE}")
    content = own.read(name)
    return None if content is None else kernels.read_artifact(content)


def stand_in(means: kernels.Means, graph: "Graph", name: str) -> "numpy_graphs.Program | None":
    """The graph in NumPy, where it is not to be compiled, or not yet."""
    if _postponed is None and means.may_compile:
        return None
    try:
        program = numpy_graphs.translate(graph)
    except numpy_graphs.UnsupportedOpError as error:
        if means.may_compile:
            return None
        raise kernels.MustCompileError(str(error)) from None
    if _postponed is not None and means.may_compile:
        _postponed.append(name)
    return program


def export(compiled: "CompiledModel") -> bytes:
    """A compiled model as MAX writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "artifact.mef"
        compiled.export_mef(file)
        return file.read_bytes()
