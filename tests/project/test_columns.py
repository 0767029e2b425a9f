"""Products with one column: what is traced for one, and that nothing else changes by it."""

from pathlib import Path

import numpy as np
import pytest
from max.driver import CPU
from max.dtype import DType
from max.experimental.nn import Linear
from max.experimental.tensor import Tensor, TensorType

from tests.project.helpers import array, tensor
from tests.project.test_families import write_golden
from tutor.engine.generation import load_engine
from tutor.runtime import columns, graphs

COLUMN = [1, 1, 5]
SHAPES: list[list[int | str]] = [[1, 1, 5], [2, 1, 5], [1, 2, 5], [1, 5], ["batch", "new", 5]]


def trace(layer: Linear, shape: list[int | str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The fingerprint of a compiled layer, which NumPy runs and finds right."""
    names: list[str] = []
    monkeypatch.setattr(graphs, "find", lambda _, name: names.append(name))
    with graphs.postponed():
        run = layer.compile(TensorType(DType.float32, shape, device=CPU()))
    given = [3 if isinstance(size, str) else size for size in shape]
    x = np.random.default_rng(0).normal(size=given).astype(np.float32)
    bias = array(layer.bias) if isinstance(layer.bias, Tensor) else 0
    expected = x @ array(layer.weight).T + bias
    for made in (run(tensor(x)), layer(tensor(x))):
        np.testing.assert_allclose(array(made), expected, rtol=0, atol=1e-5)
    (name,) = names
    return name


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_only_what_is_traced_for_one_column_is_another_product(
    shape: list[int | str], bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Linear(5, 3, bias=bias)
    before = trace(layer, shape, monkeypatch)
    with columns.multiplied():
        within = trace(layer, shape, monkeypatch)
    assert (within != before) == (shape == COLUMN)
    assert trace(layer, shape, monkeypatch) == before


def test_the_engine_has_the_column_of_a_llama_multiplied_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_engine(str(write_golden(tmp_path, "llama")))
    names: list[str] = []
    monkeypatch.setattr(graphs, "find", lambda _, name: names.append(name))
    with graphs.postponed():
        assert engine.loop
        assert engine.make_loop()  # without columns.multiplied
    first, column, same, other = names
    assert first == same
    assert column != other


def test_the_graphs_of_the_bundled_model_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(graphs, "find", lambda _, name: names.append(name))
    with graphs.postponed():
        engine = load_engine()
        assert engine.loop
        found = {*names}
        names.clear()
        assert engine.make_loop()  # without columns.multiplied
    assert {*names} == found
    assert len(found) == 2
