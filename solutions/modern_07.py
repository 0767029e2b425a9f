"""Modern 07: a checkpoint of the Llama family, in one file or in many, in 16 bits or in 32.

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

from solutions.modern_01 import LlamaConfig, read_config
from solutions.modern_06 import MaxLlamaLMHeadModel

State = dict[str, NDArray[np.float32]]

# Name the NumPy type of each dtype that a file can have. NumPy knows no bfloat16: take its 16 bits.
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_tensors(folder: str | Path) -> State:
    """All tensors of a folder in float32: of model.safetensors, or of the files its index names."""
    # If there is a model.safetensors.index.json, its weight_map has the file of each tensor.
    index, files = Path(folder) / "model.safetensors.index.json", ["model.safetensors"]
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    # Put the tensors of all files into one dictionary.
    state: State = {}
    for file in files:
        state |= _read_file(Path(folder) / file)
    return state


def _read_file(path: Path) -> State:
    """The tensors of one safetensors file."""
    # The first 8 bytes are a number, little end first: so many bytes of JSON follow, the header.
    # The numbers begin after that.
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    # The entry __metadata__ is no tensor. Every other entry has a dtype, a shape, and where its
    # numbers begin and end, counted from the end of the header.
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(content[start + begin : start + end], DTYPES[entry["dtype"]])
        # A bfloat16 is the upper half of a float32: shift its bits there, and fill up with zeros.
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        state[name] = array.astype(np.float32).reshape(entry["shape"])
    return state


def convert_state_dict(hf_state: Mapping[str, NDArray[Any]], config: LlamaConfig) -> State:
    """The weights of a checkpoint, as MaxLlamaLMHeadModel wants them, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    # Keep names and layout: they are the model's own. Skip rotary_emb.inv_freq, which old files
    # have in each layer: it holds speeds of the rotation, and they are not weights.
    state = {
        name: np.ascontiguousarray(array, dtype=np.float32)
        for name, array in hf_state.items()
        if not name.endswith("rotary_emb.inv_freq")
    }
    # If the config ties the head to the embedding, use the embedding's weight, whatever is there.
    embedding = "model.embed_tokens.weight"
    if config.tie_word_embeddings and embedding in state:
        state["lm_head.weight"] = state[embedding]
    # Refuse a state whose names are not the model's; build it lazily to ask for its parameters.
    with F.lazy():
        parameters = dict(MaxLlamaLMHeadModel(config).parameters)
    for name in (*parameters, *state):
        if name not in state:
            raise ValueError(f"the checkpoint lacks {name}")
        if name not in parameters:
            raise ValueError(f"the checkpoint has {name}, which this Llama does not have")
    return state


def load_pretrained(path: str | Path, *, device: Device | None = None) -> MaxLlamaLMHeadModel:
    """The model in a Hugging Face folder, in float32; on the CPU, unless `device` says otherwise.

    Raises ValueError as read_config and convert_state_dict do, and for a misshapen tensor.
    """
    # Read config.json, then the weights, and convert them.
    config = read_config(json.loads((Path(path) / "config.json").read_text()))
    state = convert_state_dict(read_tensors(path), config)
    # Build the model lazily, so that no random weights are drawn, and load it; load_state_dict
    # refuses what is misshapen.
    with F.lazy(), default_device(device or CPU()), default_dtype(DType.float32):
        model = MaxLlamaLMHeadModel(config)
    model.load_state_dict(state)
    return model
