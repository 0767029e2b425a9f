"""Step 11: weights out of a checkpoint in Hugging Face's names and layout."""

import re
from pathlib import Path

import numpy as np
import pytest

from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel
from solutions.solution_11 import convert_state_dict, load_pretrained
from tests import oracle
from tests.checkpoints import State, checkpoint, tied_weights, write_folder
from tests.project.helpers import (
    BATCH,
    CONFIGS,
    LENGTH,
    OTHER,
    SMALL,
    deviation,
    random_tokens,
    random_weights,
    sizes,
    tensor,
)

# Parts of the largest value: noise 5e-7; the default epsilon for the checkpoint's is off by 1e-1.
TOLERANCE = 1e-5


def assert_same(state: State, expected: oracle.Weights) -> None:
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        assert state[name].dtype == np.float32, name
        np.testing.assert_array_equal(state[name], values, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize("config", CONFIGS)
def test_conversion_restores_names_layout_and_dtype(
    config: GPT2Config, prefix: str, dtype: type
) -> None:
    weights = tied_weights(config)
    assert_same(convert_state_dict(checkpoint(weights, prefix, dtype), config), weights)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_conversion_keeps_a_head_that_the_checkpoint_brings(prefix: str) -> None:
    weights = tied_weights(SMALL)
    state = checkpoint(weights, prefix)
    weights["lm_head.weight"] = random_weights({"": (61, 24)}, seed=5)[""]
    state["lm_head.weight"] = weights["lm_head.weight"].astype(np.float32)
    assert_same(convert_state_dict(state, SMALL), weights)


def test_conversion_leaves_its_input_as_it_was() -> None:
    weights = tied_weights(SMALL)
    state = checkpoint(weights)
    before = {name: values.copy() for name, values in state.items()}
    convert_state_dict(state, SMALL)
    assert state.keys() == before.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(state[name], values, err_msg=name)
    assert_same(convert_state_dict(state, SMALL), weights)


def test_converted_weights_load_and_compute() -> None:
    weights = tied_weights(OTHER)
    model = MaxGPT2LMHeadModel(OTHER)
    model.load_state_dict(convert_state_dict(checkpoint(weights), OTHER))
    tokens = random_tokens(OTHER, BATCH, LENGTH)
    expected = oracle.lm_head_model(weights, tokens, **sizes(OTHER))
    assert deviation(model(tensor(tokens)), expected) < TOLERANCE


@pytest.mark.parametrize(
    "name", ["wte.weight", "wpe.weight", "h.0.attn.c_proj.weight", "h.3.mlp.c_fc.bias", "ln_f.bias"]
)
def test_conversion_names_a_missing_key(name: str) -> None:
    state = checkpoint(tied_weights(SMALL))
    del state[name]
    with pytest.raises(ValueError, match=re.escape(name)):
        convert_state_dict(state, SMALL)


@pytest.mark.parametrize("name", ["h.4.ln_1.weight", "h.0.attn.rotary.bias", "score.weight"])
def test_conversion_names_an_unknown_key(name: str) -> None:
    state = checkpoint(tied_weights(SMALL))
    state[name] = np.zeros(24, dtype=np.float32)
    with pytest.raises(ValueError, match=re.escape(name)):
        convert_state_dict(state, SMALL)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_folder_becomes_the_model_it_describes(tmp_path: Path, config: GPT2Config) -> None:
    weights = tied_weights(config)
    write_folder(tmp_path, config, checkpoint(weights, "transformer.", np.float16))
    model = load_pretrained(tmp_path)
    assert model.config == config
    tokens = random_tokens(config, BATCH, LENGTH)
    expected = oracle.lm_head_model(weights, tokens, **sizes(config))
    assert deviation(model(tensor(tokens)), expected) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [("wpe.weight", (15, 24), (16, 24)), ("h.2.ln_2.bias", (23,), (24,))],
)
def test_a_misshapen_tensor_is_named_with_both_shapes(
    tmp_path: Path, name: str, shape: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    state = checkpoint(tied_weights(SMALL))
    state[name] = np.zeros(shape, dtype=np.float32)
    write_folder(tmp_path, SMALL, state)
    with pytest.raises(ValueError, match=re.escape(name)) as caught:
        load_pretrained(str(tmp_path))
    assert str(shape) in str(caught.value)
    assert str(wanted) in str(caught.value)


def test_a_linear_weight_that_was_never_conv1d_is_misshapen(tmp_path: Path) -> None:
    state = checkpoint(tied_weights(SMALL))
    state["h.1.mlp.c_fc.weight"] = np.ascontiguousarray(state["h.1.mlp.c_fc.weight"].T)
    write_folder(tmp_path, SMALL, state)
    with pytest.raises(ValueError, match=re.escape("h.1.mlp.c_fc.weight")):
        load_pretrained(tmp_path)
