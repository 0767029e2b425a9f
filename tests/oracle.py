"""GPT-2 in NumPy and float64, written apart from the solutions, which are measured against it.

A weight is named by its path within the module it is handed to; linear weights are [out, in].
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tutor.check.stages import stage

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]
Weights = Mapping[str, Array]
Entry = TypeVar("Entry")


def under(entries: Mapping[str, Entry], name: str) -> dict[str, Entry]:
    """The entries of one submodule, under their names in it."""
    prefix = f"{name}."
    return {key[len(prefix) :]: entries[key] for key in entries if key.startswith(prefix)}


def causal_mask(sequence_length: int, num_tokens: int = 0) -> Array:
    query = num_tokens + np.arange(sequence_length)[:, None]
    key = np.arange(num_tokens + sequence_length)
    return np.where(key <= query, 0.0, -np.inf)


@stage("a linear layer")
def linear(weights: Weights, x: Array) -> Array:
    return x @ weights["weight"].T + weights["bias"]


@stage("a layer norm")
def layer_norm(weights: Weights, x: Array, epsilon: float) -> Array:
    centred: Array = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    deviation: Array = np.sqrt(variance + epsilon)
    return weights["weight"] * centred / deviation + weights["bias"]


@stage("GELU")
def gelu(x: Array) -> Array:
    bend: Array = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + bend)


@stage("softmax")
def softmax(x: Array) -> Array:
    exponentials: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    total: Array = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / total


@stage("the MLP")
def mlp(weights: Weights, x: Array) -> Array:
    return linear(under(weights, "c_proj"), gelu(linear(under(weights, "c_fc"), x)))


def scores_and_values(weights: Weights, x: Array, n_head: int) -> list[tuple[Array, Array]]:
    """Of each head, masked scores and values. Shape: [B, T, C] -> H ([B, T, T], [B, T, D])."""
    mask = causal_mask(x.shape[1])
    parts = np.split(linear(under(weights, "c_attn"), x), 3, axis=-1)  # [B, T, C] -> 3 [B, T, C]
    queries, keys, values = (np.split(part, n_head, axis=-1) for part in parts)  # H [B, T, D]
    return [
        (query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]) + mask, value)
        for query, key, value in zip(queries, keys, values, strict=True)
    ]


@stage("attention")
def attention(weights: Weights, x: Array, n_head: int) -> Array:
    heads = [softmax(scores) @ value for scores, value in scores_and_values(weights, x, n_head)]
    merged = np.concatenate(heads, axis=-1)  # H [B, T, D] -> [B, T, C]
    return linear(under(weights, "c_proj"), merged)


@stage("a block")
def block(weights: Weights, x: Array, n_head: int, epsilon: float) -> Array:
    normalized = layer_norm(under(weights, "ln_1"), x, epsilon)
    x = x + attention(under(weights, "attn"), normalized, n_head)
    normalized = layer_norm(under(weights, "ln_2"), x, epsilon)
    return x + mlp(under(weights, "mlp"), normalized)


@stage("the stacked model")
def model(weights: Weights, tokens: Tokens, n_layer: int, n_head: int, epsilon: float) -> Array:
    length = tokens.shape[1]
    x = weights["wte.weight"][tokens] + weights["wpe.weight"][:length]  # [B, T] -> [B, T, C]
    for layer in range(n_layer):
        x = block(under(weights, f"h.{layer}"), x, n_head, epsilon)
    return layer_norm(under(weights, "ln_f"), x, epsilon)


def lm_head_model(
    weights: Weights, tokens: Tokens, n_layer: int, n_head: int, epsilon: float
) -> Array:
    x = model(under(weights, "transformer"), tokens, n_layer, n_head, epsilon)
    return x @ weights["lm_head.weight"].T  # [B, T, C] -> [B, T, V]


def next_logits(
    weights: Weights, tokens: Tokens, n_layer: int, n_head: int, epsilon: float
) -> Array:
    """The logits after the last token. Shape: [B, T] -> [B, V]."""
    n_positions = len(weights["transformer.wpe.weight"])
    return lm_head_model(weights, tokens[:, -n_positions:], n_layer, n_head, epsilon)[:, -1]


def generate(
    weights: Weights, tokens: Tokens, max_new_tokens: int, n_layer: int, n_head: int, epsilon: float
) -> Tokens:
    for _ in range(max_new_tokens):
        logits = next_logits(weights, tokens, n_layer, n_head, epsilon)
        tokens = np.append(tokens, logits.argmax(axis=-1)[:, None], axis=1)  # [B, T + 1]
    return tokens
