"""Modern 07: a checkpoint of the Llama family, in one file or many, with 16 or 32 bits a number.

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

# Give NumPy's names for the dtypes F32, F16 and BF16 of a file. NumPy has no bfloat16, so read its
# 16 bits as a whole number.
DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def read_tensors(folder: str | Path) -> State:
    """All tensors of a folder, in float32: of model.safetensors, or of the files in its index."""
    # If there is a model.safetensors.index.json, its weight_map names the file of each tensor.
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
    # Read the length of the header from the first 8 bytes, lowest byte first. The header follows,
    # in JSON, and right after it come the numbers.
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    # Leave out the entry __metadata__. Each of the others is a tensor: it has a dtype, a shape, and
    # data_offsets, where its bytes begin and end, counted from the end of the header.
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(content[start + begin : start + end], DTYPES[entry["dtype"]])
        # A bfloat16 is the upper half of a float32. Move its 16 bits there, with zeros below them.
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        # Turn all others into float32, too, and give them their shape.
        state[name] = array.astype(np.float32).reshape(entry["shape"])
    return state


def convert_state_dict(hf_state: Mapping[str, NDArray[Any]], config: LlamaConfig) -> State:
    """The weights of a checkpoint, named as in MaxLlamaLMHeadModel, in float32.

    Raises ValueError for a key that is missing or unknown, naming it.
    """
    # Keep names and layout: the model has the same. Skip every rotary_emb.inv_freq, which old files
    # have in each layer: the speeds of the rotation are not weights.
    state = {
        name: np.ascontiguousarray(array, dtype=np.float32)
        for name, array in hf_state.items()
        if not name.endswith("rotary_emb.inv_freq")
    }
    # If the config ties the head to the embedding, give it the embedding's weight.
    embedding = "model.embed_tokens.weight"
    if config.tie_word_embeddings and embedding in state:
        state["lm_head.weight"] = state[embedding]
    # Build the model lazily to ask for its parameters, and refuse a state with other names.
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

    Raises ValueError as read_config and convert_state_dict do, and for a misshapen tensor, naming
    it and both shapes.
    """
    # Read config.json, then the weights, and convert these.
    config = read_config(json.loads((Path(path) / "config.json").read_text()))
    state = convert_state_dict(read_tensors(path), config)
    # Build the model lazily, so that no random weights are drawn, and load it; load_state_dict
    # refuses what is misshapen.
    with F.lazy(), default_device(device or CPU()), default_dtype(DType.float32):
        model = MaxLlamaLMHeadModel(config)
    model.load_state_dict(state)
    return model
