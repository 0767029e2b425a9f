"""The parts of a Llama in NumPy and float64, written apart from the solutions.

A weight is named by its path within the module, as in tests/oracle.py; linear ones are [out, in].
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracle import Array, Tokens, Weights, softmax, under
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
    return x @ weights[f"{name}_proj.weight"].T


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


@stage("the router")
def shares(weights: Weights, x: Array, chosen: int, normalize: bool) -> Array:
    """Of each expert in the output, found token by token. Shape: [B, T, C] -> [B, T, E]."""
    odds = softmax(x @ weights["gate.weight"].T)
    found = np.zeros_like(odds)
    for token in np.ndindex(*odds.shape[:-1]):
        best = sorted(range(odds.shape[-1]), key=lambda expert: odds[token][expert])[-chosen:]
        found[token][best] = odds[token][best] / (odds[token][best].sum() if normalize else 1)
    return found


@stage("the mixture of experts")
def mixture(weights: Weights, x: Array, chosen: int, normalize: bool) -> Array:
    """Each expert computes the tokens that chose it, and no others. Shape: [B, T, C] -> same."""
    share, mixed = shares(weights, x, chosen, normalize), np.zeros_like(x)
    for expert in range(share.shape[-1]):
        its = share[..., expert] > 0  # [B, T]
        output = mlp(under(weights, f"experts.{expert}"), x[its])
        mixed[its] += share[its][:, expert, None] * output
    return mixed
