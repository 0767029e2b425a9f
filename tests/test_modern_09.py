"""Modern 09, a mixture of experts: parameters, shares, outputs, and folders of two families."""

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
from tests.llamas import parameter_shapes
from tests.oracle import Array, under
from tests.samples import (
    BATCH,
    GAP,
    LENGTH,
    OTHER,
    SMALL,
    first_that,
    random_array,
    random_tokens,
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

Entries = dict[str, Any]
Weights = dict[str, Array]

TOLERANCE = 1e-5  # of the largest value: noise 5e-7; shares that wrongly sum to 1, 4e-2


def experts(count: int, chosen: int, inner: int, normalize: bool) -> Entries:
    """The fields of a MoEConfig."""
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
    "4 of 6 experts": PLAIN,
    "3 of 7 experts with shares that sum to 1": NORMED,
    "1 of 4 experts": ONE,
}

# Sizes of a model of each family; C / H is not D, and H / G is not G.
SIZES: Entries = {
    "vocab_size": SMALL.vocab_size,
    "hidden_size": 24,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 0.05,
    "rope_theta": varied(80.0, [60.0, 90.0, 120.0], seed=35),
    "max_position_embeddings": 16,
}
MIXTRAL = SIZES | experts(4, 2, 20, True) | {"num_hidden_layers": 2}
TIED_QWEN = SIZES | experts(5, 3, 12, False) | {"num_hidden_layers": 1, "qk_norm": True}
QWEN = SIZES | experts(3, 2, 14, True) | {"num_hidden_layers": 1, "qk_norm": True}
# What Mixtral calls the parts of a block.
THEIRS = {".mlp.": ".block_sparse_moe.", "gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
UNKNOWN = varied("qwen2_moe", ("olmoe", "dbrx", "mistral", "llama"), seed=36)


def entries_of_mixtral(sizes: Entries) -> Entries:
    """The entries of its config.json, as transformers 4 writes them."""
    entries = {name: sizes[name] for name in (*SIZES, "num_hidden_layers", "intermediate_size")}
    own = {"num_local_experts": sizes["num_experts"], "sliding_window": None}
    chosen = {"num_experts_per_tok": sizes["num_experts_per_tok"]}
    return {"model_type": "mixtral", **entries, **own, **chosen, "tie_word_embeddings": False}


def entries_of_qwen(sizes: Entries, tied: bool) -> Entries:
    """Those of a Qwen3-MoE, as transformers 4 writes them, tied, or 5, with a head of its own."""
    entries = entries_of_mixtral(sizes) | {
        "model_type": "qwen3_moe",
        "moe_intermediate_size": sizes["intermediate_size"],
        "intermediate_size": 36,  # of blocks without experts; it has none of these
        "norm_topk_prob": sizes["norm_topk_prob"],
        "mlp_only_layers": [],
        "tie_word_embeddings": tied,
    }
    if tied:
        return entries | {"num_experts": entries.pop("num_local_experts")}
    rope = {"rope_type": "default", "rope_theta": entries.pop("rope_theta")}
    return entries | {"rope_parameters": rope}


def mixture_shapes(width: int, experts: Entries) -> dict[str, list[int]]:
    count, inner = experts["num_experts"], experts["intermediate_size"]
    names = {"gate_proj": [inner, width], "up_proj": [inner, width], "down_proj": [width, inner]}
    each = {f"experts.{i}.{name}.weight": names[name] for i in range(count) for name in names}
    return {"gate.weight": [count, width], **each}


def model_shapes(sizes: Entries) -> dict[str, list[int]]:
    """The parameters of a Llama, with experts in place of each MLP."""
    shapes = {name: shape for name, shape in parameter_shapes(sizes).items() if ".mlp." not in name}
    mixture = mixture_shapes(sizes["hidden_size"], sizes)
    layers = range(sizes["num_hidden_layers"])
    return shapes | {f"model.layers.{i}.mlp.{k}": v for i in layers for k, v in mixture.items()}


@contextmanager
def folder_of(entries: Entries, weights: Weights) -> Iterator[str]:
    """A Hugging Face folder; a Mixtral has two files of weights, and names of its own."""
    state = {name: values.astype(np.float32) for name, values in weights.items()}
    if entries["tie_word_embeddings"]:
        del state["lm_head.weight"]
    files = {"model.safetensors": state}
    with tempfile.TemporaryDirectory() as name:
        if entries["model_type"] == "mixtral":
            for ours, theirs in THEIRS.items():
                state = {key.replace(ours, theirs): values for key, values in state.items()}
            parts = [dict([*state.items()][i::2]) for i in range(2)]
            files = {f"model-0000{i + 1}-of-00002.safetensors": parts[i] for i in range(2)}
            index = {"weight_map": {key: file for file in files for key in files[file]}}
            Path(name, "model.safetensors.index.json").write_text(json.dumps(index))
        for file, part in files.items():
            save_file(part, Path(name, file))
        Path(name, "config.json").write_text(json.dumps(entries))
        yield name


def is_clear(weights: Weights, x: Array, experts: Entries) -> bool:
    """Whether rounding has no say in which experts are chosen, and some token chooses each."""
    scores, last = np.sort(x @ weights["gate.weight"].T), -experts["num_experts_per_tok"]
    apart = scores[..., last] - scores[..., last - 1]
    used = oracle_modern.shares(weights, x, experts) > 0
    return bool((apart > GAP * np.abs(scores).max()).all() and used.any(axis=(0, 1)).all())


def inputs(width: int, experts: Entries) -> tuple[Weights, Array]:
    """Weights of a mixture, and vectors for it."""
    weights = random_weights(mixture_shapes(width, experts))

    def draw(seed: int) -> Array:
        return random_array(BATCH, LENGTH, width, seed=seed)

    return weights, first_that(lambda x: is_clear(weights, x, experts), draw, 1)


def test_parameters(step: Workbench) -> None:
    for name, case in CASES.items():
        got = step.mixture_parameters(*case)
        expect_parameters(got, mixture_shapes(*case), f", with {name}")
    options = {**SIZES, "num_hidden_layers": 2, "intermediate_size": 36}
    got = step.moe_parameters(options, experts(4, 2, 20, True))
    expect_parameters(got, model_shapes(MIXTRAL), " of the model")


def test_shares(step: Workbench) -> None:
    for name, case in CASES.items():
        weights, x = inputs(*case)
        got, expected = step.route(*case, weights, x), oracle_modern.shares(weights, x, case[1])
        expect_close(f"the shares of {name}", got, expected, TOLERANCE)


def test_experts(step: Workbench) -> None:
    for name, case in CASES.items():
        weights, x = inputs(*case)
        got, expected = step.mixture(*case, weights, x), oracle_modern.mixture(weights, x, case[1])
        expect_close(f"the output of {name}", got, expected, TOLERANCE)
    width, traced = PLAIN[0], step.trace_mixture(*PLAIN)
    expect_equal("the shape in a graph", traced, ["batch", "length", str(width)])


def test_equal_experts(step: Workbench) -> None:
    weights, x = inputs(*NORMED)
    one = under(weights, "experts.0")
    count = NORMED[1]["num_experts"]
    equal = {f"experts.{i}.{name}": one[name] for i in range(count) for name in one}
    got = step.mixture(*NORMED, weights | equal, x)
    what = "the output of 3 of 7 experts, all of them the same MLP"
    expect_close(what, got, oracle_modern.mlp(one, x), TOLERANCE)


def test_checkpoints(step: Workbench) -> None:
    tokens = random_tokens(SMALL, BATCH, LENGTH)
    for name, sizes, entries in (
        ("a Mixtral in two files", MIXTRAL, entries_of_mixtral(MIXTRAL)),
        ("a Qwen3-MoE with a tied head", TIED_QWEN, entries_of_qwen(TIED_QWEN, tied=True)),
        ("a Qwen3-MoE of transformers 5", QWEN, entries_of_qwen(QWEN, tied=False)),
    ):
        weights = random_weights(model_shapes(sizes))
        if entries["tie_word_embeddings"]:
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        with folder_of(entries, weights) as folder:
            got = step.load_moe(folder, tokens)
        expect_parameters(got["parameters"], model_shapes(sizes), f" of {name}")
        expected = oracle_modern.lm_head_model(weights, tokens, sizes)
        expect_close(f"the logits of {name}", got["logits"], expected, TOLERANCE)
    other = entries_of_mixtral(MIXTRAL) | {"model_type": UNKNOWN}
    with folder_of(other, random_weights(model_shapes(MIXTRAL))) as folder:
        what = f"a folder whose model_type is {UNKNOWN}"
        expect_refusal(what, partial(step.load_moe, folder, tokens), UNKNOWN)
