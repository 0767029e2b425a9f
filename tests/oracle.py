"""GPT-2 in NumPy and float64, written from its papers apart from the solutions, which are measured against it.

Weights are flat: a dotted path relative to the function's own module, linear weights as [out, in].
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]
Weights = Mapping[str, Array]


def under(weights: Weights, name: str) -> dict[str, Array]:
    """The weights of one submodule, under their names in it."""
    prefix = f"{name}."
    return {key[len(prefix) :]: value for key, value in weights.items() if key.startswith(prefix)}


def causal_mask(sequence_length: int, num_tokens: int = 0) -> Array:
    query = num_tokens + np.arange(sequence_length)[:, None]
    key = np.arange(num_tokens + sequence_length)
    return np.where(key <= query, 0.0, -np.inf)


def linear(weights: Weights, x: Array) -> Array:
    return x @ weights["weight"].T + weights["bias"]


def layer_norm(weights: Weights, x: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return weights["weight"] * centred / np.sqrt(variance + epsilon) + weights["bias"]


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def mlp(weights: Weights, x: Array) -> Array:
    return linear(under(weights, "c_proj"), gelu(linear(under(weights, "c_fc"), x)))


def attention(weights: Weights, x: Array, n_head: int) -> Array:
    mask = causal_mask(x.shape[1])
    query, key, value = np.split(linear(under(weights, "c_attn"), x), 3, axis=-1)  # 3 [B, T, C]
    heads = []
    for q, k, v in zip(*(np.split(part, n_head, axis=-1) for part in (query, key, value)), strict=True):
        scores = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])  # [B, T, D] -> [B, T, T]
        heads.append(softmax(scores + mask) @ v)  # [B, T, T] -> [B, T, D]
    return linear(under(weights, "c_proj"), np.concatenate(heads, axis=-1))  # H [B, T, D] -> [B, T, C]


def block(weights: Weights, x: Array, n_head: int, epsilon: float) -> Array:
    x = x + attention(under(weights, "attn"), layer_norm(under(weights, "ln_1"), x, epsilon), n_head)
    return x + mlp(under(weights, "mlp"), layer_norm(under(weights, "ln_2"), x, epsilon))


def model(weights: Weights, tokens: Tokens, n_layer: int, n_head: int, epsilon: float) -> Array:
    x = weights["wte.weight"][tokens] + weights["wpe.weight"][: tokens.shape[1]]  # [B, T] -> [B, T, C]
    for layer in range(n_layer):
        x = block(under(weights, f"h.{layer}"), x, n_head, epsilon)
    return layer_norm(under(weights, "ln_f"), x, epsilon)


def lm_head_model(weights: Weights, tokens: Tokens, n_layer: int, n_head: int, epsilon: float) -> Array:
    x = model(under(weights, "transformer"), tokens, n_layer, n_head, epsilon)
    return x @ weights["lm_head.weight"].T  # [B, T, C] -> [B, T, V]


def generate(
    weights: Weights, tokens: Tokens, max_new_tokens: int, n_layer: int, n_head: int, epsilon: float
) -> Tokens:
    n_positions = len(weights["transformer.wpe.weight"])
    for _ in range(max_new_tokens):
        logits = lm_head_model(weights, tokens[:, -n_positions:], n_layer, n_head, epsilon)
        tokens = np.append(tokens, logits[:, -1].argmax(axis=-1)[:, None], axis=1)  # [B, T + 1]
    return tokens
