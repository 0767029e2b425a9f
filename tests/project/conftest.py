"""Every test runs on the CPU and in float32, with MAX made quick first."""

import itertools
import os
from collections.abc import Iterator

import pytest

from tutor import runtime
from tutor.check import diagnosis
from tutor.check.sandbox.workbench import Workbench
from tutor.engine import start
from tutor.engine.generation import Engine, load_engine

MOST_USES = 500  # of a process: what MAX has staged stays in its memory, which is limited
SECONDS = 600.0  # that a step may take: no test here waits for a clock, and none depends on one

for size in ("COLUMNS", "LINES"):  # as pytest-xdist leaves them; each terminal here has its own
    os.environ.pop(size, None)

diagnosis.SECONDS = diagnosis.MORE_SECONDS = SECONDS
runtime.activate()  # before MAX is imported: it reads its environment then


def pytest_runtest_setup() -> None:
    """Undo what an earlier test may have done to Ctrl-C: it makes each eager operation slow."""
    runtime.trap_interrupts()


@pytest.fixture(autouse=True)
def pinned_defaults() -> Iterator[None]:
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.tensor import default_device, default_dtype

    with default_device(CPU()), default_dtype(DType.float32):
        yield


@pytest.fixture(scope="session")
def benches() -> Iterator[Iterator[Workbench]]:
    """One bench, again and again; its process is renewed now and then."""
    bench = Workbench("solutions", seconds=SECONDS)

    def uses() -> Iterator[Workbench]:
        for count in itertools.count(1):
            if count % MOST_USES == 0:
                bench.close()
            yield bench

    yield uses()
    bench.close()


@pytest.fixture
def bench(benches: Iterator[Workbench]) -> Workbench:
    """A process for the references, or for whatever stands in place of one."""
    return next(benches)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The reference with the bundled model."""
    return load_engine()


@pytest.fixture
def quick(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands that run here share one engine."""
    monkeypatch.setattr(start, "load_engine", lambda *_, **__: engine)
