"""What the tests share: small configurations, random weights, and the way from and to NumPy."""

from typing import Any, TypedDict

import numpy as np
from max.experimental.nn import Module
from max.experimental.tensor import Tensor
from numpy.typing import NDArray

from solutions.solution_01 import GPT2Config
from tests.oracle import Array, Tokens, Weights

# No two of these sizes agree, in either configuration, so that none can stand in for another.
BATCH, LENGTH = 2, 5
SMALL = GPT2Config(vocab_size=61, n_positions=16, n_embd=24, n_layer=4, n_head=3)
# Here n_inner is not four times n_embd, and epsilon is large enough to be seen anywhere.
OTHER = GPT2Config(
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


def sizes(config: GPT2Config) -> Sizes:
    return Sizes(n_layer=config.n_layer, n_head=config.n_head, epsilon=config.layer_norm_epsilon)


def parameter_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """The parameters of a whole GPT-2, named as in the checkpoint, linear weights as [out, in]."""
    width, inner = config.n_embd, config.n_inner or 4 * config.n_embd
    block: dict[str, tuple[int, ...]] = {
        "ln_1.weight": (width,),
        "ln_1.bias": (width,),
        "attn.c_attn.weight": (3 * width, width),
        "attn.c_attn.bias": (3 * width,),
        "attn.c_proj.weight": (width, width),
        "attn.c_proj.bias": (width,),
        "ln_2.weight": (width,),
        "ln_2.bias": (width,),
        "mlp.c_fc.weight": (inner, width),
        "mlp.c_fc.bias": (inner,),
        "mlp.c_proj.weight": (width, inner),
        "mlp.c_proj.bias": (width,),
    }
    layers = range(config.n_layer)
    return {
        "transformer.wte.weight": (config.vocab_size, width),
        "transformer.wpe.weight": (config.n_positions, width),
        **{f"transformer.h.{i}.{name}": block[name] for i in layers for name in block},
        "transformer.ln_f.weight": (width,),
        "transformer.ln_f.bias": (width,),
        "lm_head.weight": (config.vocab_size, width),
    }


def shapes(module: Module[..., Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(map(int, tensor.shape)) for name, tensor in module.parameters}


def random_weights(wanted: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    """Random numbers for parameters, all of them float32 in value.

    The scale lets attention be neither even nor settled on one token.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in wanted.items():
        values = rng.normal(scale=0.3, size=shape)
        if name.endswith("weight") and len(shape) == 1:  # the scale of a layer norm
            values += 1
        weights[name] = values.astype(np.float32).astype(np.float64)
    return weights


def randomize(module: Module[..., Any], seed: int = 0) -> dict[str, Array]:
    """Load random weights into a module; return them for the oracle."""
    weights = random_weights(shapes(module), seed)
    load(module, weights)
    return weights


def load(module: Module[..., Any], weights: Weights) -> None:
    state = {name: values.astype(np.float32, order="C") for name, values in weights.items()}
    module.load_state_dict(state)


def random_array(*shape: int, seed: int = 1) -> Array:
    """Normal random numbers, float32 in value."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def random_tokens(config: GPT2Config, *shape: int, seed: int = 2) -> Tokens:
    return np.random.default_rng(seed).integers(config.vocab_size, size=shape)


def tensor(values: NDArray[Any]) -> Tensor:
    """A tensor of a copy: int64 for whole numbers, float32 for the others."""
    whole = np.issubdtype(values.dtype, np.integer)
    return Tensor.from_dlpack(values.astype(np.int64 if whole else np.float32))


def array(values: Tensor) -> NDArray[Any]:
    return np.array(values.to_numpy())


def deviation(actual: Tensor, expected: Array) -> float:
    """The largest difference, as a part of the largest expected value."""
    values = array(actual)
    assert values.shape == expected.shape
    assert values.dtype == np.float32
    return float(np.abs(values - expected).max() / np.abs(expected).max())


class Bigrams:
    """A stand-in for a model: a row of logits for every token, and a record of what it saw."""

    def __init__(self, table: Array, n_positions: int = 16) -> None:
        self.config = GPT2Config(vocab_size=len(table), n_positions=n_positions)
        self.table = table
        self.seen: list[Tokens] = []

    def __call__(self, input_ids: Tensor) -> Tensor:
        self.seen.append(array(input_ids))
        return tensor(self.table[self.seen[-1]])  # [B, T] -> [B, T, V]
