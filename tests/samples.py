"""What the suites of the steps share: sizes, and random numbers for weights and input.

Nothing here needs MAX, since the code under check runs in another process.
"""

from typing import TypedDict

import numpy as np

from tests.oracle import Array, Tokens
from tutor.grading.channel import Config

# No two of these sizes agree, in either configuration, so that none can stand in for another.
BATCH, LENGTH = 2, 5
SMALL = Config(vocab_size=61, n_positions=16, n_embd=24, n_layer=4, n_head=3)
# Here n_inner is not four times n_embd, and epsilon is large enough to be seen anywhere.
OTHER = Config(
    vocab_size=43,
    n_positions=11,
    n_embd=28,
    n_layer=3,
    n_head=4,
    n_inner=52,
    layer_norm_epsilon=0.05,
)
CONFIGS = (SMALL, OTHER)


class Sizes(TypedDict):
    """What the oracle wants to know of a configuration, beside the weights."""

    n_layer: int
    n_head: int
    epsilon: float


def sizes(config: Config) -> Sizes:
    return Sizes(n_layer=config.n_layer, n_head=config.n_head, epsilon=config.layer_norm_epsilon)


def block_shapes(config: Config) -> dict[str, list[int]]:
    """The parameters of one block, named as in the checkpoint, linear weights as [out, in]."""
    width, inner = config.n_embd, config.inner
    return {
        "ln_1.weight": [width],
        "ln_1.bias": [width],
        "attn.c_attn.weight": [3 * width, width],
        "attn.c_attn.bias": [3 * width],
        "attn.c_proj.weight": [width, width],
        "attn.c_proj.bias": [width],
        "ln_2.weight": [width],
        "ln_2.bias": [width],
        "mlp.c_fc.weight": [inner, width],
        "mlp.c_fc.bias": [inner],
        "mlp.c_proj.weight": [width, inner],
        "mlp.c_proj.bias": [width],
    }


def parameter_shapes(config: Config) -> dict[str, list[int]]:
    """The parameters of a whole GPT-2 with its head."""
    width, block = config.n_embd, block_shapes(config)
    layers = range(config.n_layer)
    return {
        "transformer.wte.weight": [config.vocab_size, width],
        "transformer.wpe.weight": [config.n_positions, width],
        **{f"transformer.h.{i}.{name}": block[name] for i in layers for name in block},
        "transformer.ln_f.weight": [width],
        "transformer.ln_f.bias": [width],
        "lm_head.weight": [config.vocab_size, width],
    }


def random_weights(shapes: dict[str, list[int]], seed: int = 0) -> dict[str, Array]:
    """Random numbers for parameters, all of them float32 in value.

    The scale lets attention be neither even nor settled on one token.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes.items():
        values = rng.normal(scale=0.3, size=shape)
        if name.endswith("weight") and len(shape) == 1:  # the scale of a layer norm
            values += 1
        weights[name] = as_float32(values)
    return weights


def random_array(*shape: int, seed: int = 1) -> Array:
    """Normal random numbers, float32 in value."""
    return as_float32(np.random.default_rng(seed).normal(size=shape))


def random_tokens(config: Config, *shape: int, seed: int = 2) -> Tokens:
    return np.random.default_rng(seed).integers(config.vocab_size, size=shape)


def as_float32(values: Array) -> Array:
    """The nearest numbers that float32 has, so that both sides compute with the same."""
    return values.astype(np.float32).astype(np.float64)
