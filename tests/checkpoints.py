"""Checkpoints made in NumPy, named and laid out as Hugging Face stores them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests import oracle
from tests.samples import SMALL, parameter_shapes, random_weights
from tutor.check.sizes import Config

State = dict[str, NDArray[Any]]

CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def tied_weights(config: Config) -> dict[str, oracle.Array]:
    """Random weights under our names, float16 in value, the head equal to wte."""
    weights = random_weights(parameter_shapes(config))
    weights = {name: values.astype(np.float16).astype(float) for name, values in weights.items()}
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    return weights


def checkpoint(weights: oracle.Weights, prefix: str = "", dtype: type = np.float32) -> State:
    """The same weights as Hugging Face has them: without the head, with the mask buffers."""
    state: State = {}
    for name, values in oracle.under(weights, "transformer").items():
        stored = values.T if name.endswith(CONV1D) else values
        state[prefix + name] = np.ascontiguousarray(stored, dtype=dtype)
        if name.endswith(".ln_1.weight"):
            attention = prefix + name.replace("ln_1.weight", "attn")
            state[f"{attention}.bias"] = np.tril(np.ones((1, 1, 16, 16), dtype=np.uint8))
            state[f"{attention}.masked_bias"] = np.array(-1e4, dtype=dtype)
    return state


def write_folder(folder: Path, config: Config, state: State) -> None:
    """A folder as `from_pretrained` reads it; SMALL leaves n_inner to its default."""
    entries = {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": None if config is SMALL else config.n_inner,
        "layer_norm_epsilon": config.layer_norm_epsilon,
    }
    (folder / "config.json").write_text(json.dumps(entries))
    save_file(state, folder / "model.safetensors")
