"""Modern 09, a mixture of experts: parameters, shares, the equation, and folders of two families."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests import oracle_modern
from tests.oracle import Array, Tokens
from tests.samples import (
    BATCH,
    GAP,
    LENGTH,
    OTHER,
    SMALL,
    first_that,
    generator,
    random_array,
    random_weights,
    varied,
)
from tutor.check.expectations import (
    expect_close,
    expect_equal,
    expect_parameters,
    expect_refusal,
)
from tutor.check.sandbox.workbench import Workbench

Experts = dict[str, Any]  # the fields of a MoEConfig
Weights = dict[str, Array]

TOLERANCE = 1e-5  # of the largest value


def experts(count: int, chosen: int, inner: int, normalize: bool) -> Experts:
    return {
        "num_experts": count,
        "num_experts_per_tok": chosen,
        "intermediate_size": inner,
        "norm_topk_prob": normalize,
    }


# The width of the vectors, and the experts; no two sizes of a case agree.
NORMED = SMALL.n_embd, experts(7, 3, 10, True)
PLAIN = OTHER.n_embd, experts(6, 4, 14, False)
ONE = SMALL.n_embd, experts(4, 1, 12, False)
CASES = {
    "3 of 7 experts, whose shares sum to 1": NORMED,
    "4 of 6 experts, whose shares stay as they are": PLAIN,
    "1 of 4 experts": ONE,
}

# What the config.json of both families says; C / H is not D, and H / G is not G.
COMMON = {
    "vocab_size": 43,
    "hidden_size": 24,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "rms_norm_eps": 0.05,
    "hidden_act": "silu",
}
THETA = 100.0
MIXTRAL = COMMON | {
    "model_type": "mixtral",
    "num_hidden_layers": 2,
    "intermediate_size": 20,
    "rope_theta": THETA,
    "sliding_window": None,
    "num_local_experts": 5,
    "num_experts_per_tok": 2,
    "tie_word_embeddings": False,
}
QWEN = COMMON | {
    "model_type": "qwen3_moe",
    "num_hidden_layers": 1,
    "intermediate_size": 36,  # of blocks without experts, which there are none of
    "moe_intermediate_size": 12,
    "num_experts_per_tok": 3,
    "use_sliding_window": False,
    "mlp_only_layers": [],
}
# As transformers 4 writes them, and as 5 does.
OLDER = {"rope_theta": THETA, "num_experts": 7, "norm_topk_prob": False}
NEWER = {
    "rope_parameters": {"rope_theta": THETA, "rope_type": "default"},
    "num_local_experts": 4,
    "norm_topk_prob": True,
}
FOLDERS = {
    "a Mixtral in two files": MIXTRAL,
    "a Qwen3-MoE of transformers 4, with a tied head": QWEN | OLDER | {"tie_word_embeddings": True},
    "a Qwen3-MoE of transformers 5": QWEN | NEWER | {"tie_word_embeddings": False},
}
NAMES_OF_MIXTRAL = {
    ".mlp.": ".block_sparse_moe.",
    "gate_proj": "w1",
    "up_proj": "w3",
    "down_proj": "w2",
}
UNKNOWN = varied("qwen2_moe", ("olmoe", "dbrx", "mistral", "llama"), seed=35)


def mixture_shapes(width: int, experts: Experts) -> dict[str, list[int]]:
    count, inner = experts["num_experts"], experts["intermediate_size"]
    names = {"gate_proj": [inner, width], "up_proj": [inner, width], "down_proj": [width, inner]}
    each = {f"experts.{i}.{name}.weight": names[name] for i in range(count) for name in names}
    return {"gate.weight": [count, width], **each}


def experts_of(entries: dict[str, Any]) -> Experts:
    mixtral = entries["model_type"] == "mixtral"
    return experts(
        entries.get("num_local_experts") or entries["num_experts"],
        entries["num_experts_per_tok"],
        entries["intermediate_size" if mixtral else "moe_intermediate_size"],
        mixtral or entries["norm_topk_prob"],
    )


def model_shapes(entries: dict[str, Any]) -> dict[str, list[int]]:
    """The parameters of a model with these entries in its config.json, by our names."""
    width, size, vocabulary = (entries[k] for k in ("hidden_size", "head_dim", "vocab_size"))
    own = {f"mlp.{k}": v for k, v in mixture_shapes(width, experts_of(entries)).items()}
    for name, heads in (("q", "attention"), ("k", "key_value"), ("v", "key_value")):
        own[f"self_attn.{name}_proj.weight"] = [entries[f"num_{heads}_heads"] * size, width]
    own["self_attn.o_proj.weight"] = own["self_attn.q_proj.weight"][::-1]
    norms = ["input_layernorm", "post_attention_layernorm"]
    own |= {f"{name}.weight": [width] for name in norms}
    if entries["model_type"] == "qwen3_moe":
        own |= {f"self_attn.{name}_norm.weight": [size] for name in "qk"}
    layers = range(entries["num_hidden_layers"])
    return {
        "model.embed_tokens.weight": [vocabulary, width],
        **{f"model.layers.{i}.{name}": shape for i in layers for name, shape in own.items()},
        "model.norm.weight": [width],
        "lm_head.weight": [vocabulary, width],
    }


def model_weights(entries: dict[str, Any]) -> Weights:
    weights = random_weights(model_shapes(entries), seed=36)
    if entries["tie_word_embeddings"]:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    return weights


@contextmanager
def folder_of(entries: dict[str, Any], weights: Weights) -> Iterator[str]:
    """A Hugging Face folder with one file of weights, or with two, if it is a Mixtral's."""
    state = {name: values.astype(np.float32) for name, values in weights.items()}
    files = {"model.safetensors": state}
    if entries["tie_word_embeddings"]:
        del state["lm_head.weight"]
    with tempfile.TemporaryDirectory() as name:
        if entries["model_type"] == "mixtral":
            for ours, theirs in NAMES_OF_MIXTRAL.items():
                state = {key.replace(ours, theirs): values for key, values in state.items()}
            parts = [dict(list(state.items())[i::2]) for i in range(2)]
            files = {f"model-0000{i + 1}-of-00002.safetensors": parts[i] for i in range(2)}
            index = {"weight_map": {key: file for file in files for key in files[file]}}
            Path(name, "model.safetensors.index.json").write_text(json.dumps(index))
        for file, part in files.items():
            save_file(part, Path(name, file))
        Path(name, "config.json").write_text(json.dumps(entries))
        yield name


def route(weights: Weights, x: Array, experts: Experts) -> Array:
    return oracle_modern.shares(
        weights, x, experts["num_experts_per_tok"], experts["norm_topk_prob"]
    )


def mix(weights: Weights, x: Array, experts: Experts) -> Array:
    return oracle_modern.mixture(
        weights, x, experts["num_experts_per_tok"], experts["norm_topk_prob"]
    )


def is_clear(weights: Weights, x: Array, experts: Experts) -> bool:
    """Whether rounding has no say in which experts are chosen, and each of them is by a token."""
    ranked = np.sort(x @ weights["gate.weight"].T, axis=-1)
    place = -experts["num_experts_per_tok"]
    clear = ranked[..., place] - ranked[..., place - 1] > GAP * np.abs(ranked).max()
    return bool(clear.all() and (route(weights, x, experts) > 0).any(axis=(0, 1)).all())


def inputs(width: int, experts: Experts) -> tuple[Weights, Array]:
    """Weights and vectors."""
    weights = random_weights(mixture_shapes(width, experts))

    def draw(seed: int) -> Array:
        return random_array(BATCH, LENGTH, width, seed=seed)

    return weights, first_that(lambda x: is_clear(weights, x, experts), draw, 1)


def test_parameters(step: Workbench) -> None:
    for name, case in CASES.items():
        got = step.mixture_parameters(*case)
        expect_parameters(got, mixture_shapes(*case), f", with {name}")


def test_shares(step: Workbench) -> None:
    for name, case in CASES.items():
        weights, x = inputs(*case)
        got, expected = step.route(*case, weights, x), route(weights, x, case[1])
        expect_close(f"the shares with {name}", got, expected, TOLERANCE)


def test_experts(step: Workbench) -> None:
    for name, case in CASES.items():
        weights, x = inputs(*case)
        got, expected = step.mixture(*case, weights, x), mix(weights, x, case[1])
        expect_close(f"the output with {name}", got, expected, TOLERANCE)
    traced = step.trace_mixture(*PLAIN)
    expect_equal("the shape in a graph", traced, ["batch", "length", str(PLAIN[0])])


def test_equal_experts(step: Workbench) -> None:
    weights, x = inputs(*NORMED)
    parts = {name.split(".", 2)[-1]: name for name in weights if name.startswith("experts.0")}
    for name in weights:
        if name.startswith("experts"):
            weights[name] = weights[parts[name.split(".", 2)[-1]]]
    expected = oracle_modern.mlp({part: weights[name] for part, name in parts.items()}, x)
    got = step.mixture(*NORMED, weights, x)
    expect_close("the output of 3 of 7 equal experts", got, expected, TOLERANCE)


def test_checkpoints(step: Workbench) -> None:
    tokens = generator(37).integers(43, size=(BATCH, LENGTH))
    for name, entries in FOLDERS.items():
        weights = model_weights(entries)
        with folder_of(entries, weights) as folder:
            got = step.load_moe(folder, tokens)
        expect_parameters(got["parameters"], model_shapes(entries), f" of {name}")
        expected = oracle_modern.moe_logits(weights, tokens, entries, experts_of(entries))
        expect_close(f"the logits of {name}", got["logits"], expected, TOLERANCE)
    with folder_of(MIXTRAL | {"model_type": UNKNOWN}, model_weights(MIXTRAL)) as folder:
        what = f"a folder whose model_type is {UNKNOWN}"
        expect_refusal(what, partial(step.load_moe, folder, tokens), UNKNOWN)
