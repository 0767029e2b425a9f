"""What the suites of the steps share: sizes, and random numbers for weights and input.

All of it follows from the seed of the run, which a grader chooses: no table of answers fits.
Nothing here needs MAX, since the code under check runs in another process.
"""

import itertools
import os
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import numpy as np

from tests.oracle import Array, Tokens
from tutor.check.sizes import Config

Value = TypeVar("Value")

# With 0 the inputs are those that everybody sees.
RUN_SEED = int(os.environ.get("TUTOR_SEED") or 0)

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

# How far apart the largest numbers of a row have to be, as a part of the largest one, for rounding
# to have no say in which of them it is: a hundred times what rounding costs.
GAP = 1e-4
FELT = 1e-2  # of the largest number: how far apart rows have to be for a check of what moves; 1e-3


def generator(seed: int) -> np.random.Generator:
    """Random numbers that follow from this seed and from that of the run."""
    return np.random.default_rng([seed, RUN_SEED] if RUN_SEED else seed)


def varied(usual: Value, others: Sequence[Value], seed: int) -> Value:
    """What is usual; in a run with a seed of its own, one of the others."""
    return others[int(generator(seed).integers(len(others)))] if RUN_SEED else usual


SPELLING = str.maketrans(
    string.ascii_lowercase,
    varied(
        string.ascii_lowercase,
        ["".join(sorted(generator(n).permutation([*string.ascii_letters])[:26])) for n in range(9)],
        seed=40,
    ),
)


def shuffled(values: Sequence[Value], seed: int) -> list[Value]:
    """The values as they are; in a run with a seed of its own, in another order."""
    order = generator(seed).permutation(len(values)) if RUN_SEED else range(len(values))
    return [values[i] for i in order]


def respelled(given: Any) -> Any:
    """Strings, or what holds them, as they are; in a run with a seed of its own, in other letters.

    These are in the order of the usual ones, so that ties are decided as they were.
    """
    if isinstance(given, str):
        return given.translate(SPELLING)
    if isinstance(given, Mapping):
        return {respelled(key): respelled(value) for key, value in given.items()}
    return type(given)(map(respelled, given)) if isinstance(given, (list, tuple)) else given


def first_that(holds: Callable[[Value], bool], draw: Callable[[int], Value], seed: int) -> Value:
    """The first that has a property, of what is drawn with this seed and then with others."""
    return next(filter(holds, map(draw, itertools.count(seed, 1000))))


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
    rng = generator(seed)
    weights = {}
    for name, shape in shapes.items():
        values = rng.normal(scale=0.3, size=shape)
        if name.endswith("weight") and len(shape) == 1:  # the scale of a layer norm
            values += 1
        weights[name] = as_float32(values)
    return weights


def random_array(*shape: int, seed: int = 1) -> Array:
    """Normal random numbers, float32 in value."""
    return as_float32(generator(seed).normal(size=shape))


def random_tokens(config: Config, *shape: int, seed: int = 2) -> Tokens:
    return generator(seed).integers(config.vocab_size, size=shape)


def as_float32(values: Array) -> Array:
    """The nearest numbers that float32 has, so that both sides compute with the same."""
    return values.astype(np.float32).astype(np.float64)


def is_clear(scores: Array) -> bool:
    """Whether rounding has no say in which is the largest number of each row."""
    ranked = np.sort(scores, axis=-1)
    return bool((ranked[..., -1] - ranked[..., -2] > GAP * np.abs(scores).max()).all())


def is_felt(both: Array, first: int) -> bool:
    """Whether two rows [2, T, …] are well apart at the token `first`, and at all after it."""
    apart = np.abs(both[0] - both[1]).max(axis=tuple(range(1, both.ndim - 1)))
    return bool(apart[first:].min() > FELT * np.abs(both).max())


# Logits for each token, so close together that sampling would hardly ever take the largest.
NEAR_TIES = as_float32(generator(3).uniform(size=(SMALL.vocab_size, SMALL.vocab_size)))
ALPHABET = "".join(shuffled((string.ascii_letters + string.digits)[: SMALL.vocab_size], seed=6))


def likeliest(tokens: Tokens, count: int) -> Tokens:
    """The tokens and those after them that the table of near ties puts first."""
    for _ in range(count):
        tokens = np.append(tokens, NEAR_TIES[tokens[:, -1:]].argmax(axis=-1), axis=1)
    return tokens
