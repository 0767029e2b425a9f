"""Tiny checkpoints of the Llama family, made in NumPy, named and stored as Hugging Face does."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.llamas import Options, parameter_shapes
from tests.test_modern_01 import DEFAULTS

Entries = dict[str, Any]  # of a config.json
Shapes = dict[str, list[int]]
State = dict[str, NDArray[np.float32]]

# What every config.json here has; no two of the sizes agree. Others of a family replace them.
COMMON: Entries = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-2,  # large enough to be seen
    "rope_theta": 100.0,  # small enough for all pairs to turn visibly within a short text
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds: its config.json as transformers 4 writes it, and how numbers are kept.

    `dtype` is that of the file; `files` is how many there are.
    """

    entries: Entries
    dtype: str = "F32"
    files: int = 1


def of_family(family: str, **others: Any) -> Entries:
    return {**COMMON, "model_type": family, **others}


QWEN3_MOE = of_family(
    "qwen3_moe",
    head_dim=8,
    num_experts=6,
    num_experts_per_tok=3,
    moe_intermediate_size=20,
    decoder_sparse_step=1,
    mlp_only_layers=[],
    norm_topk_prob=False,
)
CHECKPOINTS = {
    "llama": Checkpoint(of_family("llama", attention_bias=False), files=3),
    "llama_tied": Checkpoint(of_family("llama", tie_word_embeddings=True), "F16"),
    "llama_linear": Checkpoint(
        of_family("llama", rope_scaling={"rope_type": "linear", "factor": 2.0})
    ),
    "llama3": Checkpoint(
        of_family("llama", num_key_value_heads=3, head_dim=8, rope_theta=500.0, rope_scaling=LLAMA3)
    ),
    "mistral": Checkpoint(of_family("mistral", head_dim=10, sliding_window=32)),
    "qwen2": Checkpoint(of_family("qwen2", use_sliding_window=False, sliding_window=16), "BF16"),
    "qwen3": Checkpoint(of_family("qwen3", head_dim=16, attention_bias=False)),
}
EXPERTS = {  # those of modern 09
    "mixtral": Checkpoint(
        of_family("mixtral", num_local_experts=5, num_experts_per_tok=2, sliding_window=None),
        files=2,
    ),
    "qwen3_moe": Checkpoint(QWEN3_MOE),
    "qwen3_moe_norm": Checkpoint({**QWEN3_MOE, "norm_topk_prob": True}, "BF16"),
}


def options_of(entries: Entries) -> Options:
    """What a LlamaConfig of these entries has, but for the experts."""
    family = entries["model_type"]
    return {
        "head_dim": entries["hidden_size"] // entries["num_attention_heads"],
        **{name: entries[name] for name in entries if name in DEFAULTS},
        "qkv_bias": family == "qwen2",
        "qk_norm": family.startswith("qwen3"),
    }


def folder_shapes(entries: Entries) -> Shapes:
    """The tensors in the files of such a model."""
    shapes: Shapes = {}
    for name, shape in parameter_shapes(options_of(entries)).items():
        layer, is_mlp, _ = name.partition("mlp.gate_proj")
        if is_mlp:
            shapes |= {layer + part: size for part, size in mlp_shapes(entries).items()}
        elif ".mlp." not in name:
            shapes[name] = shape
    if entries["tie_word_embeddings"]:
        del shapes["lm_head.weight"]
    return shapes


def mlp_shapes(entries: Entries) -> Shapes:
    """Those of a layer's MLP, or of its experts."""
    width, inner = entries["hidden_size"], entries["intermediate_size"]
    place, count, names = "mlp", 0, ("gate_proj", "up_proj", "down_proj")
    if entries["model_type"] == "mixtral":
        place, count, names = "block_sparse_moe", entries["num_local_experts"], ("w1", "w3", "w2")
    if entries["model_type"] == "qwen3_moe":
        count, inner = entries["num_experts"], entries["moe_intermediate_size"]
    sizes = dict(zip(names, ([inner, width], [inner, width], [width, inner]), strict=True))
    parts = [f"{place}.experts.{i}" for i in range(count)] or [place]
    gate = {f"{place}.gate.weight": [count, width]} if count else {}
    return gate | {f"{part}.{name}.weight": sizes[name] for part in parts for name in names}


def drawn(checkpoint: Checkpoint, rng: np.random.Generator) -> State:
    """Random numbers for the tensors of a folder, which its dtype has exactly.

    They are even in a range, of which NumPy makes the same on every machine.
    """
    state = {}
    for name, shape in folder_shapes(checkpoint.entries).items():
        values = rng.uniform(-0.5, 0.5, size=shape) + ("norm" in name)
        state[name] = rounded(values.astype(np.float32), checkpoint.dtype)
    return state


def digest(state: State) -> str:
    """A fingerprint of all the numbers, to see whether two machines draw the same."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(state[name].tobytes())
    return found.hexdigest()


def rounded(values: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """The nearest numbers that a dtype has; of two as near, the one whose last bit is 0."""
    if dtype == "BF16":
        bits = values.view(np.uint32)
        odd = bits >> 16 & 1
        return (bits + 0x7FFF + odd & 0xFFFF0000).view(np.float32)
    return values.astype({"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)


def encoded(values: NDArray[np.float32], dtype: str) -> bytes:
    """Such numbers as a file has them."""
    if dtype == "BF16":
        return values.view(np.uint16)[..., 1::2].tobytes()  # little end first: the upper halves
    return values.astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def write_file(path: Path, state: State, dtypes: Mapping[str, str]) -> None:
    """A safetensors file, whose numbers are in the order of the names backwards."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers, begin = [], 0
    for name in sorted(state, reverse=True):
        # A number by itself has no axis whose bytes could be told apart, so give it one.
        numbers.append(encoded(np.atleast_1d(state[name]), dtypes[name]))
        end = begin + len(numbers[-1])
        shape = list(state[name].shape)
        header[name] = {"dtype": dtypes[name], "shape": shape, "data_offsets": [begin, end]}
        begin = end
    order = ["__metadata__", *state]  # which need not be that of the numbers
    text = json.dumps({name: header[name] for name in order}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + b"".join([text, *numbers]))


def write_files(folder: Path, state: State, names: Sequence[str], dtype: str = "F32") -> None:
    """The tensors in several files, a row of them in each, and an index of where each one is."""
    rows = np.array_split(np.array(list(state)), len(names))
    index = {str(tensor): name for name, row in zip(names, rows, strict=True) for tensor in row}
    for name in names:
        part = {tensor: state[tensor] for tensor in state if index[tensor] == name}
        write_file(folder / name, part, dict.fromkeys(part, dtype))
    size = sum(values.size for values in state.values()) * (4 if dtype == "F32" else 2)
    content = {"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def write_checkpoint(folder: Path, checkpoint: Checkpoint, state: State) -> None:
    """A folder as `from_pretrained` reads it."""
    (folder / "config.json").write_text(json.dumps(checkpoint.entries))
    if checkpoint.files == 1:
        dtypes = dict.fromkeys(state, checkpoint.dtype)
        write_file(folder / "model.safetensors", state, dtypes)
        return
    count = checkpoint.files
    names = [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]
    write_files(folder, state, names, checkpoint.dtype)
