"""A checkpoint of the TransformerLM that CS336 has its students write, as a Llama.

The two compute the same, under other names; and where a Llama pairs the halves of a head to rotate
them, a TransformerLM pairs neighbors.
Source: the handout of its first assignment, sections 3.4 to 3.6.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tutor.course.registry import step_that
from tutor.engine import tokenizer, trees, weights
from tutor.engine.settings import CONFIG, GENERATION
from tutor.errors import InputError

if TYPE_CHECKING:
    from max.driver import Device

State = dict[str, NDArray[Any]]

NAMES = {
    "token_embeddings": "model.embed_tokens",
    "ln_final": "model.norm",
    "lm_head": "lm_head",
}
LAYER_NAMES = {
    "ln1": "input_layernorm",
    "attn.q_proj": "self_attn.q_proj",
    "attn.k_proj": "self_attn.k_proj",
    "attn.v_proj": "self_attn.v_proj",
    "attn.output_proj": "self_attn.o_proj",
    "ln2": "post_attention_layernorm",
    "ffn.w1": "mlp.gate_proj",
    "ffn.w2": "mlp.down_proj",
    "ffn.w3": "mlp.up_proj",
}
ROTATED = ("attn.q_proj.weight", "attn.k_proj.weight")


def load_model_from_checkpoint(
    checkpoint_path: str | Path,
    vocab_size: int,
    context_length: int,
    d_model: int,
    num_layers: int,
    num_heads: int,
    d_ff: int,
    rope_theta: float = 10000.0,
    device: "Device | None" = None,
) -> Any:
    """The MaxLlamaLMHeadModel that computes what a TransformerLM in a safetensors file does.

    Raises InputError for a file that is not one of such a model, or not one of these sizes.
    """
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental import functional as F
    from max.experimental.tensor import default_device, default_dtype

    path = Path(checkpoint_path)
    if path.suffix != ".safetensors":
        raise InputError(
            f"{path} is no .safetensors file; python -m tools.models.convert_checkpoint makes "
            "a model folder from a .pt file"
        )
    if not path.is_file():
        raise InputError(f"{path} is not there")
    state = {name: entry.read() for name, entry in weights.read_header(path).items()}
    given = {"vocab_size": vocab_size, "d_model": d_model, "num_layers": num_layers, "d_ff": d_ff}
    check_sizes(state := renamed(state), given)
    settings = llama_settings(state, num_heads, context_length, rope_theta)
    config = trees.load_step("solutions", step_that("llama_sizes")).read_config(settings)
    kind = trees.load_step("solutions", step_that("llama_model")).MaxLlamaLMHeadModel
    with F.lazy(), default_device(device or CPU()), default_dtype(DType.float32):
        model = kind(config)
    model.load_state_dict(llama_state(state, num_heads))
    return model


def write_folder(
    folder: Path,
    state: Mapping[str, NDArray[Any]],
    num_heads: int,
    *,
    context_length: int = 1024,
    rope_theta: float = 10000.0,
    end: int | None = None,
    words: Any = None,
) -> None:
    """Write a TransformerLM as the model folder of a Llama, with the tokenizer `words`, if any.

    `end` is the token that ends a text; without it, the tokenizer's own <|endoftext|> does.
    """
    from safetensors.numpy import save_file

    settings = llama_settings(state, num_heads, context_length, rope_theta)
    converted = llama_state(state, num_heads)
    if end is None and words:
        end = words.token_to_id(tokenizer.END_OF_TEXT)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(converted, folder / weights.WEIGHTS, metadata={"format": "pt"})
    for file, entries in ((CONFIG, settings), (GENERATION, {})):
        text = json.dumps({**entries, "eos_token_id": end}, indent=2)
        (folder / file).write_text(f"{text}\n", encoding="utf-8")
    if words:
        words.save(str(folder / tokenizer.TOKENIZER))


def renamed(state: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A state under the names of the handout, `names` given for those that are others.

    A name can stand for a part of others: `attention` for `attn` renames all that is in there.
    """
    renamed = {}
    for key, array in state.items():
        name = weights.WRAPPERS.sub("", key)
        for old, new in (names or {}).items():
            name = re.sub(rf"(?<![^.]){re.escape(old)}(?![^.])", new, name)
        if llama_name(name) is None:
            raise InputError(
                f"the checkpoint has {key}, which the TransformerLM of the handout does not have; "
                "--rename OLD=NEW gives it the name that it has there"
            )
        renamed[name] = array
    return renamed


def llama_name(name: str) -> str | None:
    """What a weight of the handout is called in a Llama; None if there is none of this name."""
    found = re.fullmatch(r"(?:layers\.(\d+)\.)?(.+)\.weight", name)
    part = found and (LAYER_NAMES if found[1] else NAMES).get(found[2])
    if not (found and part):
        return None
    return f"model.layers.{found[1]}.{part}.weight" if found[1] else f"{part}.weight"


def sizes(state: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """The sizes of a TransformerLM, by the handout's names, as the shapes of its weights tell."""
    for name in ("token_embeddings.weight", "layers.0.ffn.w1.weight"):
        if name not in state or state[name].ndim != 2:
            raise InputError(f"the checkpoint lacks {name}, a matrix; is it a TransformerLM?")
    vocab_size, d_model = state["token_embeddings.weight"].shape
    layers = {int(name.split(".")[1]) for name in state if name.startswith("layers.")}
    d_ff = state["layers.0.ffn.w1.weight"].shape[0]
    return {
        "vocab_size": vocab_size,
        "d_model": d_model,
        "num_layers": max(layers) + 1,
        "d_ff": d_ff,
    }


def check_sizes(state: Mapping[str, NDArray[Any]], given: Mapping[str, int | None]) -> None:
    """Refuse sizes that are not those of the weights; None is not given."""
    for name, found in sizes(state).items():
        if given.get(name) not in (None, found):
            raise InputError(f"{name} is {given[name]}, but the checkpoint has {found}")


def llama_settings(
    state: Mapping[str, NDArray[Any]], num_heads: int, context_length: int, rope_theta: float
) -> dict[str, Any]:
    """The entries of the config.json of such a Llama."""
    found = sizes(state)
    if num_heads < 1 or found["d_model"] % num_heads or found["d_model"] // num_heads % 2:
        raise InputError(
            f"num_heads must divide d_model ({found['d_model']}) into heads of an even size, "
            f"but is {num_heads}"
        )
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": found["vocab_size"],
        "hidden_size": found["d_model"],
        "intermediate_size": found["d_ff"],
        "num_hidden_layers": found["num_layers"],
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_heads,
        "max_position_embeddings": context_length,
        "rms_norm_eps": 1e-5,
        "rope_theta": rope_theta,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
    }


def llama_state(state: Mapping[str, NDArray[Any]], num_heads: int) -> State:
    """The weights under a Llama's names, the rows of queries and keys in a Llama's order."""
    for name, shape in expected_shapes(state).items():
        if name not in state:
            raise InputError(f"the checkpoint lacks {name}")
        if state[name].shape != shape:
            raise InputError(f"{name} is {[*state[name].shape]}, and has to be {[*shape]}")
    converted = {}
    for name, array in state.items():
        rows = halves(array, num_heads) if name.endswith(ROTATED) else array
        converted[str(llama_name(name))] = np.ascontiguousarray(rows, np.float32)
    return converted


def expected_shapes(state: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights of a TransformerLM of these sizes."""
    vocab_size, d_model, num_layers, d_ff = sizes(state).values()
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(LAYER_NAMES, (d_model, d_model))
    shapes |= dict.fromkeys(("token_embeddings", "lm_head"), (vocab_size, d_model))
    shapes |= dict.fromkeys(("ln1", "ln2", "ln_final"), (d_model,))
    shapes |= dict.fromkeys(("ffn.w1", "ffn.w3"), (d_ff, d_model)) | {"ffn.w2": (d_model, d_ff)}
    in_layers = {
        f"layers.{layer}.{name}.weight": shapes[name]
        for layer in range(num_layers)
        for name in LAYER_NAMES
    }
    return {f"{name}.weight": shapes[name] for name in NAMES} | in_layers


def halves(weight: NDArray[Any], num_heads: int) -> NDArray[Any]:
    """Rows in which neighbors are pairs, sorted so that halves are. Shape: [H D, C] -> [H D, C]."""
    rows, width = weight.shape
    pairs = weight.reshape(num_heads, rows // num_heads // 2, 2, width)  # [H, D / 2, 2, C]
    return pairs.swapaxes(1, 2).reshape(rows, width)
