"""Modern 05, grouped-query attention: parameters, one token, the equation, then its parts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests import oracle_modern
from tests.oracle import Array, Tokens, causal_mask
from tests.samples import as_float32, generator, random_array, random_weights, varied
from tutor.check.expectations import expect_close, expect_equal, expect_parameters
from tutor.check.sandbox.workbench import Workbench

Sizes = dict[str, Any]  # options of a LlamaConfig

# No two of these agree: batch, tokens, earlier ones, heads, groups, heads of a group, D, C, C / H.
BATCH, LENGTH, PAST = 4, 5, 10
GROUPED: Sizes = {
    "hidden_size": 48,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 14,
    "rms_norm_eps": 0.05,  # large enough to be seen
}
NORMED, BIASED = GROUPED | {"qk_norm": True}, GROUPED | {"qkv_bias": True}
KINDS = {
    "6 heads in 2 groups": GROUPED,
    "3 heads, each with a group": GROUPED | {"num_attention_heads": 3, "num_key_value_heads": None},
    "4 heads in one group": GROUPED | {"num_attention_heads": 4, "num_key_value_heads": 1},
}
THETA = varied(80.0, [60.0, 90.0, 120.0], seed=26)
# Late, with gaps, out of order, and others in each row.
POSITIONS = generator(27).permutation(4000)[: BATCH * LENGTH].reshape(BATCH, LENGTH)
TOLERANCE = 1e-5  # of the largest value: noise 1e-6, the nearest mistake is off by 1e-2


def counts(sizes: Sizes) -> tuple[int, int]:
    """How many heads and how many groups there are."""
    heads = sizes["num_attention_heads"]
    return heads, sizes["num_key_value_heads"] or heads


def weights_of(sizes: Sizes) -> dict[str, Array]:
    """Random weights, named and shaped as in the checkpoint; linear ones are [out, in]."""
    heads, groups = (count * sizes["head_dim"] for count in counts(sizes))
    width, shapes = sizes["hidden_size"], dict[str, list[int]]()
    for name, size in {"q": heads, "k": groups, "v": groups}.items():
        shapes[f"{name}_proj.weight"] = [size, width]
        if sizes.get("qkv_bias"):
            shapes[f"{name}_proj.bias"] = [size]
        if sizes.get("qk_norm") and name != "v":
            shapes[f"{name}_norm.weight"] = [sizes["head_dim"]]
    return random_weights(shapes | {"o_proj.weight": [width, heads]}, seed=28)


def turns(positions: Tokens) -> NDArray[np.complex128]:
    """The rotation of each pair at each position, as numbers that float32 has."""
    exact = oracle_modern.turns(positions, oracle_modern.speeds(GROUPED["head_dim"], THETA))
    return as_float32(exact.real) + 1j * as_float32(exact.imag)


def random_x(length: int = LENGTH) -> Array:
    """Small enough for scores that are about 1, so that no token gets all the attention."""
    return as_float32(0.5 * random_array(BATCH, length, GROUPED["hidden_size"], seed=29))


def random_mask(earlier: int = 0) -> Array:
    """Each token sees itself and some others, before it and after it, not the same in each row."""
    drawn = generator(30).random((BATCH, LENGTH, earlier + LENGTH)) < 0.6
    return np.where(drawn | np.eye(LENGTH, earlier + LENGTH, earlier, dtype=bool), 0.0, -np.inf)


def random_past() -> tuple[Array, Array]:
    """Keys and values of earlier tokens."""
    shape = 2, BATCH, GROUPED["num_key_value_heads"], PAST, GROUPED["head_dim"]
    keys, values = random_array(*shape, seed=31)
    return keys, values


def given(x: Array, turn: NDArray[np.complex128], mask: Array) -> list[Array]:
    """What attention is called with."""
    return [x, turn.real, turn.imag, mask]


def expect_equation(
    step: Workbench,
    what: str,
    sizes: Sizes,
    x: Array,
    positions: Tokens,
    mask: Array,
    past: tuple[Array, Array] | None = None,
) -> None:
    weights, turn, epsilon = weights_of(sizes), turns(positions), sizes["rms_norm_eps"]
    got = step.llama_attention(sizes, *given(x, turn, mask), weights=weights, past=past or ())
    expected = oracle_modern.attention(weights, x, turn, mask, *counts(sizes), epsilon, past)
    expect_close(what, got, expected, TOLERANCE)


def expect_handed(step: Workbench, sizes: Sizes) -> None:
    weights, turn, epsilon = weights_of(sizes), turns(POSITIONS), sizes["rms_norm_eps"]
    inputs, groups = given(random_x(), turn, random_mask()), counts(sizes)[1]
    got = step.handed_to_remember(sizes, *inputs, weights=weights)
    expected = oracle_modern.keys_and_values(weights, random_x(), turn, groups, epsilon)
    for name, found, wanted in zip(("keys", "values"), got, expected, strict=True):
        expect_close(f"the {name} that remember is handed", found, wanted, TOLERANCE)


def test_parameters(step: Workbench) -> None:
    cases = KINDS | {"norms": NORMED, "biases": BIASED}
    for name, sizes in cases.items():
        expected = {each: list(values.shape) for each, values in weights_of(sizes).items()}
        expect_parameters(step.attention_parameters(sizes), expected, f" for {name}")


def test_one_token(step: Workbench) -> None:
    alone = np.zeros((BATCH, 1, 1))
    what = "the output for one token in each row"
    expect_equation(step, what, GROUPED, random_x(1), POSITIONS[:, :1], alone)


def test_attention(step: Workbench) -> None:
    causal = causal_mask(LENGTH)[None]
    for name, sizes in KINDS.items():
        expect_equation(step, f"the output of {name}", sizes, random_x(), POSITIONS[:1], causal)


def test_mask_and_positions(step: Workbench) -> None:
    what = "the output with a mask and positions of its own for each row"
    expect_equation(step, what, GROUPED, random_x(), POSITIONS, random_mask())


def test_remember(step: Workbench) -> None:
    expect_handed(step, GROUPED)
    what = f"the output after {PAST} tokens that remember adds"
    inputs = random_x(), POSITIONS, random_mask(PAST)
    expect_equation(step, what, GROUPED, *inputs, random_past())


def test_norms_and_biases(step: Workbench) -> None:
    for name, sizes in {"norms": NORMED, "biases": BIASED}.items():
        inputs = random_x(), POSITIONS, random_mask()
        expect_equation(step, f"the output with {name}", sizes, *inputs)
        expect_handed(step, sizes)


def test_symbolic_lengths(step: Workbench) -> None:
    expected = ["batch", "length", str(GROUPED["hidden_size"])]
    for name, columns in {
        "the shape in a graph": 0,
        "the shape in a graph with caches": 64,
    }.items():
        expect_equal(name, step.trace_attention(GROUPED, columns), expected)
