"""The widgets show what the bundled model computes, and NumPy apart from the solutions agrees."""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from max.experimental import functional as F
from numpy.typing import NDArray
from safetensors.numpy import load_file

from solutions.engine_02 import Sampling, probabilities
from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel
from tests import oracle
from tools.book.export_widget_data import SENTENCE, TOKEN
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.settings import read_config
from tutor.engine.tokenizer import Tokenizer

BOOK = ROOT / "book"
MODEL_FILE = BUNDLED_MODEL / "model.safetensors"
DATA, FALLBACKS = BOOK / "src" / "data", BOOK / "fallbacks"
MOST_BYTES = 300_000  # of all data together
STATISTICS: dict[str, Callable[[Any], Any]] = {
    "norm": np.linalg.norm,
    "mean": np.mean,
    "spread": np.std,
}

# Half of the last digit that is written, and a little for float32, which the solutions compute in.
LOGIT_TOLERANCE = 0.8e-4
VECTOR_TOLERANCE = 0.6e-3
# What that of the logits makes of probabilities at the lowest temperature of the slider.
PROBABILITY_TOLERANCE = 5e-4

Array = NDArray[np.float64]


def read(name: str) -> Any:
    """The data of a widget: JSON in a line of JavaScript."""
    script = (DATA / f"{name}.js").read_text(encoding="utf-8")
    return json.loads(script.partition("] = ")[2].rstrip().removesuffix(";"))


@cache
def weights() -> dict[str, Array]:
    """The weights of the bundled model as tests/oracle.py takes them, by their names in it."""
    found = {}
    for name, weight in load_file(MODEL_FILE).items():
        is_conv1d = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        found[name] = (weight.T if is_conv1d else weight).astype(np.float64)
    return {**found, "lm_head.weight": found["transformer.wte.weight"]}


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer(BUNDLED_MODEL / "tokenizer.json")


@cache
def config() -> dict[str, Any]:
    return read_config(BUNDLED_MODEL / "config.json")


def follow(
    text: str, named: dict[str, Array] | None = None
) -> tuple[list[Array], list[list[Array]]]:
    """By layer, the weights of all heads, [H, T, T], and the stages of all tokens, each [T, C]."""
    model, epsilon = oracle.under(named or weights(), "transformer"), config()["layer_norm_epsilon"]
    tokens, heads = np.array(tokenizer().encode(text)), config()["n_head"]
    x = model["wte.weight"][tokens] + model["wpe.weight"][: len(tokens)]  # [T] -> [T, C]
    attention, stages = [], []
    for layer in range(config()["n_layer"]):
        block = oracle.under(model, f"h.{layer}")
        ln_1 = oracle.layer_norm(oracle.under(block, "ln_1"), x, epsilon)
        query_key_value = oracle.linear(oracle.under(block, "attn.c_attn"), ln_1)
        query, key, value = (
            np.stack(np.split(part, heads, axis=1)) for part in np.split(query_key_value, 3, axis=1)
        )  # [T, 3C] -> 3 [H, T, D]
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        shares = oracle.softmax(scores + oracle.causal_mask(len(tokens)))
        merged = np.concatenate(list(shares @ value), axis=1)  # [H, T, D] -> [T, C]
        attn = oracle.linear(oracle.under(block, "attn.c_proj"), merged)
        ln_2 = oracle.layer_norm(oracle.under(block, "ln_2"), x + attn, epsilon)
        mlp = oracle.mlp(oracle.under(block, "mlp"), ln_2)
        attention.append(shares)
        stages.append([x, ln_1, attn, x + attn, ln_2, mlp, x + attn + mlp])
        x = x + attn + mlp
    return attention, stages


def test_data_are_small() -> None:
    assert sum(file.stat().st_size for file in DATA.iterdir()) <= MOST_BYTES


def test_tokens_are_those_of_the_vocabulary() -> None:
    vocabulary = read("next-token")["vocabulary"]
    assert vocabulary == [tokenizer().decode([token]) for token in range(config()["vocab_size"])]


@pytest.mark.parametrize("prompt", read("next-token")["prompts"], ids=lambda it: it["text"])
def test_next_tokens_are_those_of_the_model(prompt: dict[str, Any]) -> None:
    tokens = np.array([tokenizer().encode(prompt["text"])])
    sizes = (config()[name] for name in ("n_layer", "n_head", "layer_norm_epsilon"))
    expected = oracle.lm_head_model(weights(), tokens, *sizes)[:, -1]
    logits = np.array([prompt["logits"]])
    np.testing.assert_allclose(logits, expected, rtol=0, atol=LOGIT_TOLERANCE)
    for sampling in (Sampling(0.1), Sampling(), Sampling(0.7, 20, 0.9), Sampling(2.0, 500, 0.5)):
        shown, wanted = probabilities(logits, sampling), probabilities(expected, sampling)
        np.testing.assert_array_equal(shown > 0, wanted > 0)
        np.testing.assert_allclose(shown, wanted, rtol=0, atol=PROBABILITY_TOLERANCE)


def test_merges_are_those_of_the_tokenizer() -> None:
    parts = tokenizer().parts()
    assert parts
    assert read("merges")["merges"] == [" ".join(pair) for pair in parts[1]]


def test_the_checkpoint_is_the_file_and_fits_the_model() -> None:
    data = read("checkpoint")
    shapes = {name: [*each.shape] for name, each in load_file(MODEL_FILE).items()}
    assert {each["name"]: each["shape"] for each in data["tensors"]} == shapes
    with F.lazy():  # so that no weights are drawn
        parameters = dict(MaxGPT2LMHeadModel(GPT2Config(4096, 256, 192, 6, 6)).parameters)
    fitted = {
        each["name"]: each["shape"][:: -1 if each["isTransposed"] else 1]
        for each in data["tensors"]
    }
    fitted["lm_head.weight"] = fitted[data["head"]]
    assert fitted == {name: [int(n) for n in each.shape] for name, each in parameters.items()}
    square = [each for each in data["tensors"] if each["shape"] == [192, 192]]
    assert [each["isTransposed"] for each in square] == [True] * 6  # no shape tells


def test_vectors_are_those_of_the_model() -> None:
    data = read("block")
    assert data["token"] == tokenizer().decode([tokenizer().encode(SENTENCE)[TOKEN]])
    assert data["width"] == config()["n_embd"]
    _, expected = follow(SENTENCE)
    for block, stages in zip(data["blocks"], expected, strict=True):
        for shown, stage in zip(block, stages, strict=True):
            vector = stage[TOKEN]
            first = vector[: len(shown["numbers"])]
            np.testing.assert_allclose(shown["numbers"], first, rtol=0, atol=VECTOR_TOLERANCE)
            for name, compute in STATISTICS.items():
                assert shown[name] == pytest.approx(compute(vector), abs=VECTOR_TOLERANCE), name


@pytest.mark.parametrize("file", sorted(FALLBACKS.iterdir()), ids=lambda file: file.stem)
def test_a_fallback_is_a_block_of_html(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "\n\n" not in text, "a blank line ends the block"
    tables = ElementTree.fromstring(f"<main>{text}</main>")  # noqa: S314 - it is ours
    assert {table.get("class") for table in tables} == {"fallback"}
