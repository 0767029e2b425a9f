"""Every test runs on the CPU and in float32, with MAX made quick first."""

from collections.abc import Iterator

import pytest

from tutor import runtime, writing
from tutor.generation import Engine, load_engine
from tutor.grading.workbench import Workbench

runtime.activate()  # before MAX is imported: it reads its environment then


@pytest.fixture(autouse=True)
def pinned_defaults() -> Iterator[None]:
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.tensor import default_device, default_dtype

    with default_device(CPU()), default_dtype(DType.float32):
        yield


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    """A process for the references, or for whatever stands in place of one."""
    bench = Workbench("solutions")
    bench.start()
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The reference with the bundled model."""
    return load_engine()


@pytest.fixture
def quick(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands that run here share one engine."""
    monkeypatch.setattr(writing, "load_engine", lambda *_, **__: engine)
