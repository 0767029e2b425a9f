"""Eager operations without a compiler: MAX looks its kernels up by name, and finds them here.

They come from the pack, or were compiled on this machine (`tutor doctor --compile`), or are those
of NumPy under MAX's names.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tutor.runtime import kernels, numpy_graphs, numpy_kernels, own

if TYPE_CHECKING:
    from max._interpreter_ops.gc_compile import GCOpFamily
    from max.driver import Buffer, Device
    from max.graph import Graph


def serve(means: kernels.Means) -> None:
    """Have MAX's interpreter find its kernels; what is found nowhere is compiled, if it may be."""
    from max import _eager_policy
    from max._interpreter_ops import gc_compile
    from max.driver import DeviceSpec, load_devices
    from max.experimental.executor import set_default_executor

    gc_compile.DISCOVERED_DEVICES[:] = load_devices([DeviceSpec.cpu()])
    op_family: Any = gc_compile.GCOpFamily
    compile_model = op_family.model_for
    compiled = Compiled(means)

    def model_for(
        family: "GCOpFamily",
        key: str,
        device: "Device",
        build: Any,
        *,
        unsupported_reason: Callable[[], str | None] | None = None,
    ) -> Any:
        if known := family.cache.get(key):
            return known
        if unsupported_reason and (reason := unsupported_reason()):
            raise _eager_policy.UnsupportedOpVariant(reason)
        with gc_compile.COMPILE_LOCK:
            model: Any = compiled.find(family.name, key) or numpy_kernels.find(key)
        if model:
            family.cache[key] = model
            return model
        if not means.may_compile:
            raise _eager_policy.UnsupportedOpVariant(f"NumPy does not stand in for {key}")
        family.swept = True
        with means.compiling(f"the kernel {key}"):
            return compile_model(family, key, device, build)

    op_family.model_for = model_for
    set_default_executor(Interpreter(means))


class Compiled:
    """The compiled kernels, loaded when one of them is needed: first the usual ones, in one go."""

    def __init__(self, means: kernels.Means) -> None:
        self.means = means
        self.found: dict[str, Any] = {}
        self.loaded: set[str] = set()

    def find(self, family: str, name: str) -> Any:
        """The kernel of this name, or None."""
        for artifact in self._artifacts(family):
            if name in self.found:
                break
            if artifact not in self.loaded:
                self.loaded.add(artifact)
                self.found.update(self._load(artifact))
        return self.found.get(name)

    def _artifacts(self, family: str) -> Iterator[str]:
        if self.means.pack is None:
            yield own.OPERATIONS
        else:
            yield kernels.USUAL
            if family in kernels.FAMILIES:
                yield family

    def _load(self, artifact: str) -> dict[str, Any]:
        if self.means.pack is None:
            return load(own.read(artifact))
        try:
            return load(self.means.pack.read(artifact))
        except kernels.DamagedPackError as error:
            self.means.warn(f"{error}; NumPy stands in for it. {kernels.RESTORE}")
            return {}


def load(artifact: bytes | None) -> dict[str, Any]:
    """The kernels of an artifact by their names; none if there is no artifact."""
    if artifact is None:
        return {}
    from max._interpreter_ops import gc_compile

    session = gc_compile.session_for(gc_compile.DISCOVERED_DEVICES[0])
    return session.init_all(kernels.read_artifact(artifact), weights_registry={})


class Interpreter:
    """Interprets eager graphs; in NumPy the few that MAX's interpreter refuses, such as argsort."""

    def __init__(self, means: kernels.Means) -> None:
        self.means = means

    def execute(self, graph: "Graph", inputs: "Sequence[Buffer]") -> "Sequence[Buffer | None]":
        from max.experimental import executor

        try:
            return executor.InterpreterExecutor().execute(graph, inputs)
        except executor.UnsupportedGraphError as refusal:
            try:
                program = numpy_graphs.translate(graph)
            except numpy_graphs.UnsupportedOpError as error:
                if not self.means.may_compile:
                    raise kernels.MustCompileError(str(error)) from refusal
                return executor.CompilingExecutor().execute(graph, inputs)
            return program.bind({})(*inputs)


def build_module(is_wanted: Callable[[str], bool]) -> Any:
    """One module with the kernels of these names, to be compiled in one go."""
    from max._interpreter_ops import GC_FAMILIES, gc_compile
    from max._mlir_context import in_default_mlir_context
    from max.graph import Module

    @in_default_mlir_context
    def build_all() -> Module:
        module = Module()
        for family in GC_FAMILIES:
            if family.name in kernels.FAMILIES:
                family.build_module_for_device(gc_compile.DISCOVERED_DEVICES[0], module)
        return module

    # A module cannot be made to lose a graph, but a graph can move to another module.
    wanted, rest = build_all(), build_all()
    end: Any = list(rest.mlir_module.body)[-1]
    for graph in list[Any](wanted.mlir_module.body):
        if not is_wanted(graph.sym_name):
            graph.move_after(end)
    return wanted
