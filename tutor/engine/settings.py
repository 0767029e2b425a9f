"""The settings of a model folder: its JSON files, the sizes of a GPT-2, and what ends a text."""

import json
import math
import reprlib
from pathlib import Path
from typing import Any

from tutor.errors import InputError, reason

CONFIG, GENERATION = "config.json", "generation_config.json"

# Entries of config.json that change what a GPT-2 computes, and the values that ours computes.
SUPPORTED = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
LARGEST_SIZE = 10**6  # no GPT-2 has more of anything
LARGEST_FILE = 16 * 2**20  # bytes; the index of a GPT-2 in many files has less than a hundredth


def read_text(path: Path) -> str:
    """A text as editors and shells save it: UTF-8 or UTF-16, with a byte order mark or without."""
    content = path.read_bytes()
    return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")


def read_json(path: Path) -> dict[str, Any]:
    """The entries of a small JSON file."""
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise InputError(f"{path} has {size >> 20} MB, but holds only settings; fetch it anew")
    try:
        entries = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({reason(error)}); fetch it anew") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds no settings; fetch it anew")
    return entries


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a config.json, if they are a GPT-2's."""
    entries = read_json(path)
    for name, value in entries.items():
        if wanted := what_is_wanted(name, value):
            found = reprlib.repr(value)
            raise InputError(f"{path} has {name} {found}, not {wanted}; choose another model")
    return entries


def what_is_wanted(name: str, value: Any) -> str:
    """What an entry of config.json ought to be; nothing if it is that, or does not matter."""
    if name in SUPPORTED and value not in SUPPORTED[name]:
        return f"{SUPPORTED[name][0]!r}, as in the GPT-2 of this course"
    if name == "quantization_config" and value is not None:
        return "null: quantized weights are not read"
    if name == "n_inner" and value is None:
        return ""
    if name in SIZES and not (type(value) is int and 1 <= value <= LARGEST_SIZE):
        return f"a whole number from 1 to {LARGEST_SIZE:,}"
    if name == "layer_norm_epsilon" and not (type(value) in (int, float) and 0 < value < math.inf):
        return "a small number above 0"
    return ""


def find_ends(folder: Path, vocab_size: int) -> list[int]:
    """The tokens that end a text, as generation_config.json says, or else config.json.

    None are named where neither has one that the model knows.
    """
    for file in (GENERATION, CONFIG):
        if not (folder / file).is_file():
            continue
        value = read_json(folder / file).get("eos_token_id")
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(each) is int for each in ids):
            raise InputError(
                f"{folder / file} has eos_token_id {reprlib.repr(value)}; "
                "make it a token id, a list of them, or null"
            )
        if known := [each for each in ids if 0 <= each < vocab_size]:
            return known
    return []
