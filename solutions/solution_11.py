"""Step 11: pretrained weights, from a Hugging Face folder into our model.

Source: the layout of "openai-community/gpt2" on the Hugging Face Hub.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import default_device, default_dtype
from safetensors.numpy import load_file

from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel

# List the weights of a block that GPT-2 stores as Conv1D, which is [in, out]; our Linear keeps
# [out, in]. List also how the names of the mask buffers end.
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
MASK_BUFFERS = (".attn.bias", ".attn.masked_bias")


def convert_state_dict(
    hf_state: Mapping[str, np.ndarray[Any, Any]], config: GPT2Config
) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of a checkpoint, named and laid out for MaxGPT2LMHeadModel, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    state = {}
    for key, array in hf_state.items():
        # Skip the mask buffers; they are not weights.
        if key.endswith(MASK_BUFFERS):
            continue
        # Put "transformer." before every name but the head's, unless the file has it already.
        head = key == "lm_head.weight"
        name = key if head else "transformer." + key.removeprefix("transformer.")
        # Transpose what Conv1D stores, and widen float16: MAX takes contiguous float32.
        array = array.T if name.endswith(CONV1D) else array
        state[name] = np.ascontiguousarray(array, dtype=np.float32)
    # Tie the head to the token embeddings, unless the checkpoint brings its own.
    if "transformer.wte.weight" in state:
        state.setdefault("lm_head.weight", state["transformer.wte.weight"])
    # Refuse a state whose names are not the model's.
    _check_state(state, config)
    return state


def _check_state(state: Mapping[str, np.ndarray[Any, Any]], config: GPT2Config) -> None:
    """Raise ValueError for the first key that is missing or unknown, naming it."""
    # Build the model lazily: its parameters have their names, and nothing is computed.
    with F.lazy():
        parameters = dict(MaxGPT2LMHeadModel(config).parameters)
    # Raise the error for the first key that the checkpoint lacks, or has too many.
    for name in (*parameters, *state):
        if name not in state:
            raise ValueError(f"the checkpoint lacks {name}")
        if name not in parameters:
            raise ValueError(f"the checkpoint has {name}, which this GPT-2 does not have")


def load_pretrained(path: str | Path, *, device: Device | None = None) -> MaxGPT2LMHeadModel:
    """The model in a Hugging Face folder, from config.json and model.safetensors, in float32.

    It is on the CPU unless `device` says otherwise. Raises ValueError as convert_state_dict does,
    and for a misshapen tensor, naming its key and both shapes.
    """
    # Read config.json and keep the entries that are fields of GPT2Config.
    entries = json.loads((Path(path) / "config.json").read_text())
    names = {field.name for field in fields(GPT2Config)}
    config = GPT2Config(**{name: entries[name] for name in names & entries.keys()})
    # Read and convert the weights.
    state = convert_state_dict(load_file(Path(path) / "model.safetensors"), config)
    # Build the model lazily, so that no random weights are drawn, and load it; load_state_dict
    # refuses what is misshapen.
    with F.lazy(), default_device(device or CPU()), default_dtype(DType.float32):
        model = MaxGPT2LMHeadModel(config)
    model.load_state_dict(state)
    return model
