"""Modern 06, a Llama: the wiring of its block, the stack, its head, and what each is handed."""

import warnings

import numpy as np

from tests import oracle_modern
from tests.llamas import LLAMA, OTHER_LLAMA, Options, block_shapes, parameter_shapes
from tests.oracle import Array, Tokens, Weights, under
from tests.samples import as_float32, generator, random_array, random_weights
from tests.test_step_09 import PLAIN_LIST
from tutor.check.expectations import (
    AdviceWarning,
    expect_alike,
    expect_close,
    expect_entries,
    expect_equal,
    expect_parameters,
)
from tutor.check.sandbox.workbench import Workbench

BATCH, LENGTH, EARLIER = 2, 5, 3  # texts, their tokens, and those that a memory holds already
TOLERANCE = 1e-5  # of the largest value: noise 1e-6; the nearest mistake is off by 1e-2
EXACT = 1e-6  # of the largest value: x plus zeros is x itself
SHIFTED = 1e-4  # what rounding the angles of positions above 1000 costs is 1e-5
# With gaps, out of order, and others in each row.
POSITIONS = np.array([generator(27 + row).permutation(31)[:LENGTH] for row in range(BATCH)])
SHALLOW = {**LLAMA, "num_hidden_layers": 1}


def random_mask(seen: int) -> Array:
    """Of each text another one; every token sees the last column, at least."""
    hidden = generator(28).random(size=(BATCH, LENGTH, seen)) < 0.5
    hidden[:, :, -1] = False
    return np.where(hidden, -np.inf, 0.0)


def tokens_of(options: Options, length: int = LENGTH) -> Tokens:
    tokens = generator(2).integers(options["vocab_size"], size=(BATCH, length))
    tokens[-1, -1] = options["vocab_size"] - 1
    return tokens


def weights_of(options: Options) -> Weights:
    """Those of MaxLlamaModel."""
    return under(random_weights(parameter_shapes(options)), "model")


def pasts_of(options: Options) -> list[tuple[Array, Array]]:
    """Keys and values of earlier columns, others for each layer."""
    shape = BATCH, options["num_key_value_heads"], EARLIER, options["head_dim"]
    layers = options["num_hidden_layers"]
    drawn = [random_array(*shape, seed=seed) for seed in range(29, 29 + 2 * layers)]
    return list(zip(drawn[:layers], drawn[layers:], strict=True))


def turns_of(options: Options) -> tuple[Array, Array]:
    """Cosines and sines for the positions."""
    speeds = oracle_modern.speeds(options["head_dim"], options["rope_theta"])
    turns = oracle_modern.turns(POSITIONS, speeds)
    return as_float32(turns.real), as_float32(turns.imag)


def test_parameters(step: Workbench) -> None:
    if step.kind_of_layers(LLAMA) in ("list", "tuple", "dict"):
        warnings.warn(PLAIN_LIST.replace("h is", "layers is"), AdviceWarning, stacklevel=1)
    for options in (LLAMA, OTHER_LLAMA):
        got = step.llama_parameters("LlamaBlock", options)
        expect_parameters(got, block_shapes(options), " of LlamaBlock")
        got = step.llama_parameters("MaxLlamaLMHeadModel", options)
        expect_parameters(got, parameter_shapes(options), " of MaxLlamaLMHeadModel")
        carried = step.llama_carried(options)
        expected = options | {"n_positions": options["max_position_embeddings"]}
        expect_entries("the config's", carried, expected)


def test_identity(step: Workbench) -> None:
    x, mask = random_array(BATCH, LENGTH, LLAMA["hidden_size"]), np.zeros((1, LENGTH, LENGTH))
    weights = random_weights(block_shapes(LLAMA))
    silent = {
        name: values * (not name.endswith(("o_proj.weight", "down_proj.weight")))
        for name, values in weights.items()
    }
    got = step.llama_block(LLAMA, x, *turns_of(LLAMA), mask, weights=silent)
    expect_close("x after a block whose self_attn and mlp give zeros", got, x, EXACT)


def test_block(step: Workbench) -> None:
    x, (cos, sin) = random_array(BATCH, LENGTH, LLAMA["hidden_size"]), turns_of(LLAMA)
    weights, (past, *_) = random_weights(block_shapes(LLAMA)), pasts_of(LLAMA)
    for what, columns, earlier in (("", 0, None), (" with a memory", EARLIER, past)):
        mask = random_mask(columns + LENGTH)
        expected = oracle_modern.block(weights, x, cos + 1j * sin, mask, LLAMA, earlier)
        got = step.llama_block(LLAMA, x, cos, sin, mask, weights=weights, past=earlier or ())
        expect_close(f"the output of a block{what}", got, expected, TOLERANCE)


def test_model(step: Workbench) -> None:
    tokens = tokens_of(LLAMA)
    got = step.llama_model(LLAMA, tokens, weights=weights_of(LLAMA))
    expected = oracle_modern.model(weights_of(LLAMA), tokens, LLAMA)
    expect_close(f"the vectors after {LLAMA['num_hidden_layers']} layers", got, expected, TOLERANCE)
    lengths, weights = (LENGTH, 1), random_weights(parameter_shapes(OTHER_LLAMA))
    texts = [tokens_of(OTHER_LLAMA, length) for length in lengths]
    logits = step.llama_logits(OTHER_LLAMA, *texts, weights=weights)
    for length, ids, got in zip(lengths, texts, logits, strict=True):
        expected = oracle_modern.lm_head_model(weights, ids, OTHER_LLAMA)
        expect_close(f"the logits of {length} tokens", got, expected, TOLERANCE)


def test_positions_and_mask(step: Workbench) -> None:
    tokens, mask, weights = tokens_of(SHALLOW), random_mask(LENGTH), weights_of(SHALLOW)
    got = step.llama_model(SHALLOW, tokens, POSITIONS, mask, weights=weights)
    expected = oracle_modern.model(weights, tokens, SHALLOW, POSITIONS, mask)
    expect_close("the vectors for given positions and masks", got, expected, TOLERANCE)


def test_shift(step: Workbench) -> None:
    tokens, weights = tokens_of(SHALLOW), weights_of(SHALLOW)
    near, later, apart = (
        step.llama_model(SHALLOW, tokens, positions, weights=weights)
        for positions in (POSITIONS, POSITIONS + 1000, 2 * POSITIONS)
    )
    what = "the vectors for positions that are all 1000 later"
    expect_close(what, later, near.astype(np.float64), SHIFTED)
    expect_alike("the vectors for positions twice as far apart", apart, near, alike=False)


def test_memories(step: Workbench) -> None:
    tokens, pasts, weights = tokens_of(LLAMA), pasts_of(LLAMA), weights_of(LLAMA)
    mask = random_mask(EARLIER + LENGTH)
    got = step.llama_model(LLAMA, tokens, POSITIONS, mask, weights=weights, pasts=pasts)
    expected = oracle_modern.model(weights, tokens, LLAMA, POSITIONS, mask, pasts)
    expect_close("the vectors of layers that each have a memory", got, expected, TOLERANCE)


def test_symbolic_lengths(step: Workbench) -> None:
    traced = step.trace_llama(LLAMA)
    for name, size in (("MaxLlamaLMHeadModel", "vocab_size"), ("MaxLlamaModel", "hidden_size")):
        expected = ["batch", "length", str(LLAMA[size])]
        expect_equal(f"the shape that {name} has in a graph", traced[name], expected)
