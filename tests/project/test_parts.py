"""Steps 01 to 06: the configuration, the mask, and the modules that attention is not part of."""

from dataclasses import asdict

import numpy as np
import pytest
from max.driver import CPU
from max.dtype import DType
from max.experimental.compilation import stage
from max.experimental.tensor import Tensor, TensorType
from max.graph import Dim

from solutions.solution_01 import GPT2Config
from solutions.solution_02 import causal_mask
from solutions.solution_03 import LayerNorm
from solutions.solution_04 import GPT2MLP
from solutions.solution_05 import GPT2Embeddings
from solutions.solution_06 import GPT2PositionEmbeddings
from tests import oracle
from tests.project.helpers import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    array,
    deviation,
    parameter_shapes,
    random_array,
    random_tokens,
    randomize,
    shapes,
    tensor,
)

# Parts of the largest value, each between what float32 costs and the nearest mistake.
NORM_TOLERANCE = 1e-5  # noise 2e-7; the unbiased variance is off by 2e-2
OFFSET_TOLERANCE = 1e-4  # noise 1e-5; the variance as a difference of squares is off by 2e-3
MLP_TOLERANCE = 1e-5  # noise 4e-7; GELU by the error function is off by 2e-4

SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")


def test_config_defaults_are_those_of_gpt2_small() -> None:
    assert asdict(GPT2Config()) == {
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_inner": 3072,
        "layer_norm_epsilon": 1e-5,
    }


def test_config_takes_its_fields_in_the_documented_order() -> None:
    config = GPT2Config(61, 16, 24, 4, 3, 52, 1e-3)
    assert tuple(asdict(config)) == (*SIZES, "layer_norm_epsilon")
    assert tuple(asdict(config).values()) == (61, 16, 24, 4, 3, 52, 1e-3)


def test_config_makes_an_absent_n_inner_four_times_n_embd() -> None:
    assert GPT2Config(n_embd=24, n_head=3).n_inner == 96


def test_config_accepts_sizes_of_one() -> None:
    assert GPT2Config(1, 1, 1, 1, 1, 1).n_embd == 1


@pytest.mark.parametrize("value", [0, -7])
@pytest.mark.parametrize("field", SIZES)
def test_config_refuses_a_size_below_one(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{field}\b.* {value}\b"):
        GPT2Config(**{field: value})


def test_config_refuses_heads_that_do_not_share_evenly() -> None:
    with pytest.raises(ValueError, match=r"n_embd\b.*\b25\b"):
        GPT2Config(n_embd=25, n_head=3)


@pytest.mark.parametrize(("length", "cached"), [(1, 0), (LENGTH, 0), (LENGTH, 3), (1, 7), (3, 8)])
def test_mask_hides_exactly_the_later_keys(length: int, cached: int) -> None:
    mask = array(causal_mask(length, cached, dtype=DType.float32, device=CPU()))
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, oracle.causal_mask(length, cached))


def test_mask_traces_with_symbolic_lengths_in_any_dtype() -> None:
    def mask(new: Tensor, cached: Tensor) -> Tensor:
        return causal_mask(new.shape[0], cached.shape[0], dtype=DType.float64, device=new.device)

    new, cached = (TensorType(DType.float32, [name], device=CPU()) for name in ("new", "cached"))
    (result,) = stage(mask)(new, cached).out_layouts
    assert list(result.shape) == [Dim("new"), Dim("cached") + Dim("new")]
    assert result.dtype == DType.float64


def test_norm_begins_as_the_plain_normalization() -> None:
    norm = LayerNorm(24)
    assert shapes(norm) == {"weight": (24,), "bias": (24,)}
    np.testing.assert_array_equal(array(norm.weight), np.ones(24))
    np.testing.assert_array_equal(array(norm.bias), np.zeros(24))


@pytest.mark.parametrize("scale", [1, 1e-3, 1e-2, 1e3])
@pytest.mark.parametrize("eps", [1e-5, 1e-6, 0.05])
def test_norm_equals_the_oracle_at_any_scale(scale: float, eps: float) -> None:
    norm = LayerNorm(24, eps=eps)
    weights = randomize(norm)
    x = (scale * random_array(BATCH, LENGTH, 24)).astype(np.float32).astype(np.float64)
    assert deviation(norm(tensor(x)), oracle.layer_norm(weights, x, eps)) < NORM_TOLERANCE


def test_norm_uses_an_epsilon_of_one_in_a_hundred_thousand_unless_told() -> None:
    norm = LayerNorm(24)
    weights = randomize(norm)
    x = 1e-3 * random_array(BATCH, LENGTH, 24)
    assert deviation(norm(tensor(x)), oracle.layer_norm(weights, x, 1e-5)) < NORM_TOLERANCE


def test_norm_takes_a_constant_offset_away() -> None:
    norm = LayerNorm(24)
    weights = randomize(norm)
    x = (100 + random_array(BATCH, LENGTH, 24)).astype(np.float32).astype(np.float64)
    assert deviation(norm(tensor(x)), oracle.layer_norm(weights, x, 1e-5)) < OFFSET_TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
def test_mlp_equals_the_oracle(config: GPT2Config) -> None:
    mlp = GPT2MLP(parameter_shapes(config)["transformer.h.0.mlp.c_fc.bias"][0], config)
    assert shapes(mlp) == oracle.under(parameter_shapes(config), "transformer.h.0.mlp")
    weights = randomize(mlp)
    x = random_array(BATCH, LENGTH, config.n_embd)
    assert deviation(mlp(tensor(x)), oracle.mlp(weights, x)) < MLP_TOLERANCE


def test_mlp_is_as_wide_as_it_is_told_to_be() -> None:
    assert shapes(GPT2MLP(10, SMALL))["c_fc.weight"] == (10, 24)


def test_token_embeddings_are_rows_of_wte() -> None:
    embeddings = GPT2Embeddings(OTHER)
    assert shapes(embeddings) == {"wte.weight": (43, 28)}
    weights = randomize(embeddings)
    tokens = random_tokens(OTHER, BATCH, LENGTH)
    tokens[0, 0], tokens[1, 2] = 42, 0
    np.testing.assert_array_equal(array(embeddings(tensor(tokens))), weights["wte.weight"][tokens])


def test_position_embeddings_are_rows_of_wpe() -> None:
    embeddings = GPT2PositionEmbeddings(OTHER)
    assert shapes(embeddings) == {"wpe.weight": (11, 28)}
    weights = randomize(embeddings)
    positions = np.array([3, 0, 10, 7, 3])
    expected = weights["wpe.weight"][positions]
    np.testing.assert_array_equal(array(embeddings(tensor(positions))), expected)
