"""Steps 07 to 10: attention, the block, the stack and the head."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from max.driver import CPU
from max.dtype import DType
from max.experimental.nn import Module
from max.experimental.tensor import TensorType

from solutions.solution_01 import GPT2Config
from solutions.solution_07 import GPT2MultiHeadAttention
from solutions.solution_08 import GPT2Block
from solutions.solution_09 import MaxGPT2Model
from solutions.solution_10 import MaxGPT2LMHeadModel
from tests import oracle
from tests.project.helpers import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    array,
    deviation,
    load,
    parameter_shapes,
    random_array,
    random_tokens,
    randomize,
    shapes,
    sizes,
    tensor,
)

# Parts of the largest value: noise 7e-7; the wrong epsilon in ln_f alone is off by 7e-4.
TOLERANCE = 1e-5

MODULES: dict[str, Callable[[GPT2Config], Module[..., Any]]] = {
    "transformer.h.0.attn": GPT2MultiHeadAttention,
    "transformer.h.0": GPT2Block,
    "transformer": MaxGPT2Model,
}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("path", MODULES)
def test_parameters_are_named_and_shaped_as_in_the_checkpoint(
    path: str, config: GPT2Config
) -> None:
    expected = oracle.under(parameter_shapes(config), path)
    assert shapes(MODULES[path](config)) == expected


@pytest.mark.parametrize("config", CONFIGS)
def test_attention_equals_the_oracle_at_every_length(config: GPT2Config) -> None:
    attention = GPT2MultiHeadAttention(config)
    weights = randomize(attention)
    for length in (1, LENGTH, config.n_positions):
        x = random_array(BATCH, length, config.n_embd)
        expected = oracle.attention(weights, x, config.n_head)
        assert deviation(attention(tensor(x)), expected) < TOLERANCE


def test_attention_does_not_depend_on_the_order_of_the_heads() -> None:
    attention = GPT2MultiHeadAttention(SMALL)
    weights = randomize(attention)
    x = tensor(random_array(BATCH, LENGTH, SMALL.n_embd))
    before = array(attention(x))
    order = np.arange(SMALL.n_embd).reshape(SMALL.n_head, -1)[[2, 0, 1]].ravel()
    rows = np.concatenate([order + part * SMALL.n_embd for part in range(3)])
    for name in ("c_attn.weight", "c_attn.bias"):
        weights[name] = weights[name][rows]
    weights["c_proj.weight"] = weights["c_proj.weight"][:, order]
    load(attention, weights)
    assert deviation(attention(x), before.astype(np.float64)) < TOLERANCE


def test_attention_survives_scores_beyond_the_range_of_exp() -> None:
    attention = GPT2MultiHeadAttention(SMALL)
    weights = randomize(attention)
    x = 100 * random_array(BATCH, LENGTH, SMALL.n_embd)
    expected = oracle.attention(weights, x, SMALL.n_head)
    assert deviation(attention(tensor(x)), expected) < TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
def test_block_equals_the_oracle(config: GPT2Config) -> None:
    block = GPT2Block(config)
    weights = randomize(block)
    x = random_array(BATCH, LENGTH, config.n_embd)
    expected = oracle.block(weights, x, config.n_head, config.layer_norm_epsilon)
    assert deviation(block(tensor(x)), expected) < TOLERANCE


def test_block_with_silent_projections_is_the_identity() -> None:
    block = GPT2Block(SMALL)
    weights = randomize(block)
    load(block, {name: values * ("c_proj" not in name) for name, values in weights.items()})
    x = random_array(BATCH, LENGTH, SMALL.n_embd)
    np.testing.assert_array_equal(array(block(tensor(x))), x)


@pytest.mark.parametrize("config", CONFIGS)
def test_model_equals_the_oracle_at_every_length(config: GPT2Config) -> None:
    model = MaxGPT2Model(config)
    weights = randomize(model)
    for length in (1, LENGTH, config.n_positions):
        tokens = random_tokens(config, BATCH, length)
        expected = oracle.model(weights, tokens, **sizes(config))
        assert deviation(model(tensor(tokens)), expected) < TOLERANCE


@pytest.mark.parametrize("config", CONFIGS)
def test_head_equals_the_oracle(config: GPT2Config) -> None:
    model = MaxGPT2LMHeadModel(config)
    assert shapes(model) == parameter_shapes(config)
    weights = randomize(model)
    tokens = random_tokens(config, BATCH, LENGTH)
    expected = oracle.lm_head_model(weights, tokens, **sizes(config))
    assert deviation(model(tensor(tokens)), expected) < TOLERANCE


def test_head_carries_its_config() -> None:
    assert MaxGPT2LMHeadModel(SMALL).config is SMALL


@pytest.mark.parametrize("changed", [1, 4])
def test_a_token_is_felt_from_its_own_position_on(changed: int) -> None:
    model = MaxGPT2LMHeadModel(SMALL)
    randomize(model)
    tokens = random_tokens(SMALL, BATCH, LENGTH)
    before = array(model(tensor(tokens)))
    tokens[:, changed] = (tokens[:, changed] + 1) % SMALL.vocab_size
    after = array(model(tensor(tokens)))
    moved = np.abs(after - before).max(axis=-1) / np.abs(before).max()
    assert moved[:, :changed].max() < TOLERANCE
    assert moved[:, changed:].min() > 100 * TOLERANCE


def test_rows_of_a_batch_do_not_meet() -> None:
    model = MaxGPT2LMHeadModel(SMALL)
    randomize(model)
    tokens = random_tokens(SMALL, 3, LENGTH)
    together = array(model(tensor(tokens))).astype(np.float64)
    for row in range(3):
        alone = model(tensor(tokens[row : row + 1]))
        assert deviation(alone, together[row : row + 1]) < TOLERANCE


@pytest.mark.parametrize("make", [GPT2MultiHeadAttention, GPT2Block])
def test_layers_trace_with_symbolic_lengths(
    make: Callable[[GPT2Config], Module[..., Any]],
) -> None:
    x = TensorType(DType.float32, ["batch", "length", OTHER.n_embd], device=CPU())
    (result,) = make(OTHER).trace(x).out_layouts
    assert list(result.shape) == ["batch", "length", OTHER.n_embd]


def test_models_trace_with_symbolic_lengths() -> None:
    tokens = TensorType(DType.int64, ["batch", "length"], device=CPU())
    (hidden,) = MaxGPT2Model(OTHER).trace(tokens).out_layouts
    (logits,) = MaxGPT2LMHeadModel(OTHER).trace(tokens).out_layouts
    assert list(hidden.shape) == ["batch", "length", OTHER.n_embd]
    assert list(logits.shape) == ["batch", "length", OTHER.vocab_size]
