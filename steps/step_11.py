"""Step 11: pretrained weights, from a Hugging Face folder into our model.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read 11   or   uv run tutor book 11
Check:   pixi run s11   or   uv run tutor check 11

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

from steps.step_01 import GPT2Config
from steps.step_10 import MaxGPT2LMHeadModel

# TODO: List the weights of a block that GPT-2 stores as Conv1D, which is [in, out]; our Linear
#   keeps [out, in]. List also how the names of the mask buffers end.


def convert_state_dict(
    hf_state: Mapping[str, np.ndarray[Any, Any]], config: GPT2Config
) -> dict[str, np.ndarray[Any, Any]]:
    """The weights of a checkpoint, named and laid out for MaxGPT2LMHeadModel, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    # TODO: Skip the mask buffers; they are not weights.
    # TODO: Put "transformer." before every name but the head's, unless the file has it already.
    # TODO: Transpose what Conv1D stores, and widen float16: MAX takes contiguous float32.
    # TODO: Tie the head to the token embeddings, unless the checkpoint brings its own.
    # TODO: Refuse a state whose names are not the model's.
    raise NotImplementedError("step 11: convert_state_dict")


def _check_state(state: Mapping[str, np.ndarray[Any, Any]], config: GPT2Config) -> None:
    """Raise ValueError for the first key that is missing or unknown, naming it."""
    # TODO: Build the model lazily: its parameters have their names, and nothing is computed.
    # TODO: Raise the error for the first key that the checkpoint lacks, or has too many.
    raise NotImplementedError("step 11: _check_state")


def load_pretrained(path: str | Path, *, device: Device | None = None) -> MaxGPT2LMHeadModel:
    """The model in a Hugging Face folder, from config.json and model.safetensors, in float32.

    It is on the CPU unless `device` says otherwise. Raises ValueError as convert_state_dict does,
    and for a misshapen tensor, naming its key and both shapes.
    """
    # TODO: Read config.json and keep the entries that are fields of GPT2Config.
    # TODO: Read and convert the weights.
    # TODO: Build the model lazily, so that no random weights are drawn, and load it;
    #   load_state_dict refuses what is misshapen.
    raise NotImplementedError("step 11: load_pretrained")
