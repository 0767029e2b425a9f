"""The code under check, as a suite sees it: one step of a tree, and what can be asked of it."""

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor import ROOT
from tutor.check.sandbox.errors import DiedError, NotStartedError
from tutor.check.sandbox.isolation import Isolation
from tutor.check.sandbox.process import START_SECONDS, Clock, CodeProcess
from tutor.course import sources
from tutor.course.names import Name, named
from tutor.course.registry import Step, load_step
from tutor.errors import EnvironmentBrokenError

if TYPE_CHECKING:
    from tutor.check.probes.modern import ModernProbes
    from tutor.check.probes.text import TextProbes

    class Probes(ModernProbes, TextProbes):
        """Those of all tracks."""

else:
    Probes = object  # they are in the other process, with MAX

SECONDS = 60.0  # that a step and all its checks may take
COMPILING = 300.0  # seconds that MAX may compile for all steps of code that is not trusted


class Workbench(Probes):
    """Runs the steps of one tree in a process of their own; each of the probes is a method.

    With `by_itself`, every step runs on the references of the others. A probe raises
    CodeError if the code under check does. When that has ended its process, the next probe starts
    another.
    """

    def __init__(
        self,
        tree: str,
        *,
        root: Path = ROOT,
        seconds: float = SECONDS,
        announce: Callable[[str], None] = print,
        isolation: Isolation | None = None,
        by_itself: bool = False,
    ) -> None:
        self.tree, self.root, self.seconds = tree, root, seconds
        self.announce, self.isolation, self.by_itself = announce, isolation, by_itself
        self._compiling = Clock(COMPILING if isolation else START_SECONDS)
        self._process: CodeProcess | None = None
        self._step: dict[str, Any] = {}
        self._is_loaded, self._clock = False, Clock(seconds)
        self._computes = True

    def another(self) -> "Workbench":
        """One like this, with a process of its own, in which each step is by itself."""
        return Workbench(
            self.tree,
            root=self.root,
            seconds=self.seconds,
            announce=self.announce,
            isolation=self.isolation,
            by_itself=True,
        )

    def start(self, steps: Collection[Name] = ()) -> CodeProcess:
        """Have a process for these steps or the one selected, which need not be ready yet."""
        computes = any(step.track.computes for step in steps) if steps else self._computes
        process = self._process
        if process is None or process.has_ended() or (computes and not process.computes):
            self.close()
            self._process = process = CodeProcess(
                *(self.root, self.tree, self.announce, self._compiling, self.isolation), computes
            )
            self._is_loaded = False
        return process

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process:
            self._process.discard()

    def stand_ins(self, step: Step) -> dict[Step, str]:
        """The other steps for which the reference stands in, and why."""
        if self.by_itself:
            return dict.fromkeys(step.needs, "each step is checked by itself")
        found = sources.stand_ins(step, self.tree, self.root)
        return {load_step(name): why for name, why in found.items()}

    def select(
        self,
        step: Name,
        *,
        reference: Collection[Name] = (),
        source: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Take a step, with the solution in place of some others, and a clock.

        A source takes the place of the step's own file. The first probe loads it. The clock is a
        new one unless given.
        """
        references = {each.name: sources.reference(each, self.tree) for each in reference}
        self._step = {"step": step.name, "references": references, "source": source}
        self._is_loaded, self._clock = False, clock or Clock(self.seconds)
        self._computes = step.track.computes

    def output(self) -> str:
        """What the code has printed since this was asked before."""
        return self._process.output() if self._process else ""

    if not TYPE_CHECKING:

        def __getattr__(self, probe: str) -> Callable[..., Any]:
            if probe.startswith("_"):
                raise AttributeError(probe)
            return functools.partial(self._ask, probe)

    def _ask(self, probe: str, /, *arguments: Any, **options: Any) -> Any:
        """What a probe answers."""
        process = self.start()
        if not self._is_loaded:
            self._load(process)
        request = {"do": "probe", "name": probe, "arguments": arguments, "options": options}
        return process.ask(request, self._clock)

    def _load(self, process: CodeProcess) -> None:
        step = named(self._step["step"])
        expected = self.root / step.file(self.tree)
        if self._step["source"] is None and not expected.exists():
            anew = f"tutor reset {step.short} writes it anew"
            raise NotStartedError(f"{step.file(self.tree)} is not there", anew)
        file = process.ask({"do": "load", **self._step}, self._clock)
        if Path(file) != expected:
            said = f"{file} was loaded in place of {expected}"
            raise DiedError(said) if self.isolation else EnvironmentBrokenError(said)
        self._is_loaded = True
