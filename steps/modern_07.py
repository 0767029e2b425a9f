"""Modern 07: a checkpoint of the Llama family, in one file or in many, in 16 bits or in 32.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: book/src/modern_07.md
Check:   pixi run m07   or   uv run tutor check m7

Source: the format of safetensors, and "HuggingFaceTB/SmolLM2-135M" on the Hugging Face Hub.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from max.driver import CPU, Device
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import default_device, default_dtype
from numpy.typing import NDArray

from steps.modern_01 import LlamaConfig, read_config
from steps.modern_06 import MaxLlamaLMHeadModel

State = dict[str, NDArray[np.float32]]

# TODO: Name the NumPy type of each dtype that a file can have. NumPy knows no bfloat16: take its 16
#   bits.


def read_tensors(folder: str | Path) -> State:
    """All tensors of a folder in float32: of model.safetensors, or of the files its index names."""
    # TODO: If there is a model.safetensors.index.json, its weight_map has the file of each tensor.
    # TODO: Put the tensors of all files into one dictionary.
    raise NotImplementedError("modern 07: read_tensors")


def _read_file(path: Path) -> State:
    """The tensors of one safetensors file."""
    # TODO: The first 8 bytes are a number, little end first: so many bytes of JSON follow, the
    #   header. The numbers begin after that.
    # TODO: The entry __metadata__ is no tensor. Every other entry has a dtype, a shape, and where
    #   its numbers begin and end, counted from the end of the header.
    # TODO: A bfloat16 is the upper half of a float32: shift its bits there, and fill up with zeros.
    raise NotImplementedError("modern 07: _read_file")


def convert_state_dict(hf_state: Mapping[str, NDArray[Any]], config: LlamaConfig) -> State:
    """The weights of a checkpoint, as MaxLlamaLMHeadModel wants them, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    # TODO: Keep names and layout: they are the model's own. Skip rotary_emb.inv_freq, which old
    #   files have in each layer: it holds speeds of the rotation, and they are not weights.
    # TODO: If the config ties the head to the embedding, use the embedding's weight, whatever is
    #   there.
    # TODO: Refuse a state whose names are not the model's; build it lazily to ask for its
    #   parameters.
    raise NotImplementedError("modern 07: convert_state_dict")


def load_pretrained(path: str | Path, *, device: Device | None = None) -> MaxLlamaLMHeadModel:
    """The model in a Hugging Face folder, in float32; on the CPU, unless `device` says otherwise.

    Raises ValueError as read_config and convert_state_dict do, and for a misshapen tensor.
    """
    # TODO: Read config.json, then the weights, and convert them.
    # TODO: Build the model lazily, so that no random weights are drawn, and load it;
    #   load_state_dict refuses what is misshapen.
    raise NotImplementedError("modern 07: load_pretrained")
