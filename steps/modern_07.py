"""Modern 07: a checkpoint of the Llama family, in one file or many, with 16 or 32 bits a number.

Task:    fill in every TODO, then delete the `raise NotImplementedError` line below it.
Chapter: uv run tutor read m7   or   uv run tutor book m7
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

# TODO: Give NumPy's names for the dtypes F32, F16 and BF16 of a file. NumPy has no bfloat16, so
#   read its 16 bits as a whole number.


def read_tensors(folder: str | Path) -> State:
    """All tensors of a folder, in float32: of model.safetensors, or of the files in its index."""
    # TODO: If there is a model.safetensors.index.json, its weight_map names the file of each
    #   tensor.
    # TODO: Put the tensors of all files into one dictionary.
    raise NotImplementedError("modern 07: read_tensors")


def _read_file(path: Path) -> State:
    """The tensors of one safetensors file."""
    # TODO: Read the length of the header from the first 8 bytes, lowest byte first. The header
    #   follows, in JSON, and right after it come the numbers.
    # TODO: Leave out the entry __metadata__. Each of the others is a tensor: it has a dtype, a
    #   shape, and data_offsets, where its bytes begin and end, counted from the end of the header.
    # TODO: A bfloat16 is the upper half of a float32. Move its 16 bits there, with zeros below
    #   them.
    # TODO: Turn all others into float32, too, and give them their shape.
    raise NotImplementedError("modern 07: _read_file")


def convert_state_dict(hf_state: Mapping[str, NDArray[Any]], config: LlamaConfig) -> State:
    """The weights of a checkpoint, named as in MaxLlamaLMHeadModel, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    # TODO: Keep names and layout: the model has the same. Skip every rotary_emb.inv_freq, which old
    #   files have in each layer: the speeds of the rotation are not weights.
    # TODO: If the config ties the head to the embedding, give it the embedding's weight.
    # TODO: Build the model lazily to ask for its parameters, and refuse a state with other names.
    raise NotImplementedError("modern 07: convert_state_dict")


def load_pretrained(path: str | Path, *, device: Device | None = None) -> MaxLlamaLMHeadModel:
    """The model in a Hugging Face folder, in float32; on the CPU, unless `device` says otherwise.

    Raises ValueError as read_config and convert_state_dict do, and for a misshapen tensor, naming
    it and both shapes.
    """
    # TODO: Read config.json, then the weights, and convert these.
    # TODO: Build the model lazily, so that no random weights are drawn, and load it;
    #   load_state_dict refuses what is misshapen.
    raise NotImplementedError("modern 07: load_pretrained")
