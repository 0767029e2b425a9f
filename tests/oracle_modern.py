"""The parts of a Llama in NumPy and float64, written apart from the solutions.

A weight is named by its path within the module, as in tests/oracle.py; linear ones are [out, in].
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracle import Array, Tokens, Weights, causal_mask, softmax, under
from tutor.check.stages import stage


@stage("RMSNorm")
def rms_norm(weights: Weights, x: Array, epsilon: float) -> Array:
    square: Array = np.einsum("...i,...i->...", x, x)[..., None] / x.shape[-1]
    scale: Array = (square + epsilon) ** -0.5
    return weights["weight"] * x * scale


@stage("SiLU")
def silu(x: Array) -> Array:
    sigmoid: Array = 0.5 * (1 + np.tanh(x / 2))  # without an exponential that overflows
    return x * sigmoid


@stage("a linear layer")
def project(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[f"{name}_proj.weight"].T + weights.get(f"{name}_proj.bias", 0.0)


@stage("the MLP")
def mlp(weights: Weights, x: Array) -> Array:
    return project(weights, "down", silu(project(weights, "gate", x)) * project(weights, "up", x))


def speeds(head_dim: int, theta: float, scaling: Mapping[str, Any] | None = None) -> Array:
    """Radians that each pair turns per position, by its wavelength. Shape: [D / 2]."""
    found = []
    for pair in range(head_dim // 2):
        wavelength = 2 * math.pi * theta ** (2 * pair / head_dim)
        kind = scaling["rope_type"] if scaling else "default"
        if scaling and kind == "linear":
            wavelength *= scaling["factor"]
        if scaling and kind == "llama3":
            context = scaling["original_max_position_embeddings"]
            longest, shortest = (context / scaling[f"{end}_freq_factor"] for end in ("low", "high"))
            if wavelength > longest:
                wavelength *= scaling["factor"]
            elif wavelength > shortest:
                share = (context / wavelength - context / longest) / (
                    context / shortest - context / longest
                )
                wavelength /= share + (1 - share) / scaling["factor"]
        found.append(2 * math.pi / wavelength)
    return np.array(found)


def turns(positions: Tokens, speed: Array) -> NDArray[np.complex128]:
    """Of each pair at each position, a point on the unit circle. Shape: [B, T] -> [B, T, D / 2]."""
    return np.exp(1j * np.multiply.outer(positions, speed))


def rotate(x: Array, turn: NDArray[np.complex128]) -> Array:
    """Each head by itself, as a product of complex numbers. Shape: [B, H, T, D] -> the same."""
    half = x.shape[-1] // 2
    points = x[..., :half] + 1j * x[..., half:]
    turned = np.stack([points[:, head] * turn for head in range(x.shape[1])], axis=1)
    return np.concatenate([turned.real, turned.imag], axis=-1)


@stage("the projection to heads")
def heads(weights: Weights, name: str, x: Array, count: int, epsilon: float) -> Array:
    """Queries, keys or values, with a norm if it has weights. Shape: [B, T, C] -> [B, n, T, D]."""
    split = np.stack(np.split(project(weights, name, x), count, axis=-1), axis=1)
    norm = under(weights, f"{name}_norm")
    return rms_norm(norm, split, epsilon) if norm else split


def keys_and_values(
    weights: Weights, x: Array, turn: NDArray[np.complex128], groups: int, epsilon: float
) -> tuple[Array, Array]:
    """What a cache is given for the tokens of x. Shape: [B, T, C] -> 2 [B, G, T, D]."""
    keys, values = (heads(weights, name, x, groups, epsilon) for name in "kv")
    return rotate(keys, turn), values


@stage("attention")
def attention(
    weights: Weights,
    x: Array,
    turn: NDArray[np.complex128],
    mask: Array,
    num_heads: int,
    groups: int,
    epsilon: float,
    past: tuple[Array, Array] | None = None,
) -> Array:
    """Each head by itself; `past` are keys and values of earlier tokens, as they are kept.

    Shape: [B, T, C], turn [B, T, D / 2], mask [B, T, S], past 2 [B, G, S - T, D] -> [B, T, C].
    """
    queries = rotate(heads(weights, "q", x, num_heads, epsilon), turn)
    keys, values = keys_and_values(weights, x, turn, groups, epsilon)
    if past:
        keys, values = (np.append(*each, axis=2) for each in zip(past, (keys, values), strict=True))
    mixed = []
    for head in range(num_heads):
        group = head * groups // num_heads
        scores = np.einsum("btd,bsd->bts", queries[:, head], keys[:, group])
        weight = softmax(scores / math.sqrt(queries.shape[-1]) + mask)  # [B, T, S]
        mixed.append(np.einsum("bts,bsd->btd", weight, values[:, group]))
    return project(weights, "o", np.concatenate(mixed, axis=-1))


@stage("the router")
def shares(weights: Weights, x: Array, sizes: Mapping[str, Any]) -> Array:
    """Of each expert in the output, found token by token. Shape: [B, T, C] -> [B, T, E]."""
    odds = softmax(x @ weights["gate.weight"].T)
    found = np.zeros_like(odds)
    for token in np.ndindex(*odds.shape[:-1]):
        ranked = sorted(range(odds.shape[-1]), key=lambda expert: odds[token][expert])
        best = ranked[-sizes["num_experts_per_tok"] :]
        total = odds[token][best].sum() if sizes["norm_topk_prob"] else 1.0
        found[token][best] = odds[token][best] / total
    return found


@stage("the mixture of experts")
def mixture(weights: Weights, x: Array, sizes: Mapping[str, Any]) -> Array:
    """Each expert computes the tokens that chose it, and no others. Shape: [B, T, C] -> same."""
    share, mixed = shares(weights, x, sizes), np.zeros_like(x)
    for expert in range(share.shape[-1]):
        its = share[..., expert] > 0  # [B, T]
        mixed[its] += share[its][:, expert, None] * mlp(under(weights, f"experts.{expert}"), x[its])
    return mixed


@stage("a block")
def block(
    weights: Weights,
    x: Array,
    turn: NDArray[np.complex128],
    mask: Array,
    sizes: Mapping[str, Any],
    past: tuple[Array, Array] | None = None,
) -> Array:
    epsilon = sizes["rms_norm_eps"]
    counts = sizes["num_attention_heads"], sizes["num_key_value_heads"]
    normalized = rms_norm(under(weights, "input_layernorm"), x, epsilon)
    attended = under(weights, "self_attn")
    x = x + attention(attended, normalized, turn, mask, *counts, epsilon, past)
    normalized = rms_norm(under(weights, "post_attention_layernorm"), x, epsilon)
    inner = under(weights, "mlp")
    mixed = "num_experts_per_tok" in sizes
    return x + (mixture(inner, normalized, sizes) if mixed else mlp(inner, normalized))


@stage("the stacked model")
def model(
    weights: Weights,
    tokens: Tokens,
    sizes: Mapping[str, Any],
    positions: Tokens | None = None,
    mask: Array | None = None,
    pasts: Sequence[tuple[Array, Array]] = (),
) -> Array:
    if positions is None:
        positions = np.arange(tokens.shape[1])[None]
    if mask is None:
        mask = causal_mask(tokens.shape[1])[None]
    theta, scaling = sizes["rope_theta"], sizes.get("rope_scaling")
    turn = turns(positions, speeds(sizes["head_dim"], theta, scaling))
    x = weights["embed_tokens.weight"][tokens]
    for layer in range(sizes["num_hidden_layers"]):
        past = pasts[layer] if pasts else None
        x = block(under(weights, f"layers.{layer}"), x, turn, mask, sizes, past)
    return rms_norm(under(weights, "norm"), x, sizes["rms_norm_eps"])


def lm_head_model(weights: Weights, tokens: Tokens, sizes: Mapping[str, Any]) -> Array:
    return model(under(weights, "model"), tokens, sizes) @ weights["lm_head.weight"].T
