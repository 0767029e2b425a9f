"""The parts of a Llama in NumPy and float64, written apart from the solutions.

A weight is named by its path within the module, as in tests/oracle.py; linear ones are [out, in].
"""

import numpy as np

from tests.oracle import Array, Weights
from tutor.check.stages import stage


@stage("RMSNorm")
def rms_norm(weights: Weights, x: Array, epsilon: float) -> Array:
    square: Array = np.einsum("...i,...i->...", x, x)[..., None] / x.shape[-1]
    return weights["weight"] * x * (square + epsilon) ** -0.5


@stage("SiLU")
def silu(x: Array) -> Array:
    return x * 0.5 * (1 + np.tanh(x / 2))  # the sigmoid, without an exponential that overflows


@stage("the MLP")
def mlp(weights: Weights, x: Array) -> Array:
    gate, up, down = (weights[f"{name}_proj.weight"] for name in ("gate", "up", "down"))
    product = silu(stage("gate_proj")(np.matmul)(x, gate.T)) * stage("up_proj")(np.matmul)(x, up.T)
    return product @ down.T
