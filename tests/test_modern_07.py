"""Modern 07, checkpoints of Llamas: how files are read, what is refused, folders of each family."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tests import oracle_modern
from tests.llama_folders import (
    CHECKPOINTS,
    Checkpoint,
    State,
    drawn,
    options_of,
    rounded,
    write_checkpoint,
    write_file,
    write_files,
)
from tests.samples import generator, shuffled, varied
from tests.test_modern_01 import as_version_5_writes
from tests.test_step_11 import expect_state
from tutor.check.expectations import Array, expect_close, expect_equal, expect_refusals
from tutor.check.sandbox.workbench import Workbench

Cases = dict[str, tuple[Callable[[], object], list[object]]]

TOLERANCE = 1e-5  # of the largest logit: noise 1e-6; the nearest mistake is off by 1e-2
EXACT = 0.0  # reading and converting move and widen numbers, and compute none
TEXTS, LENGTH = 2, 9
HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"
# What the three dtypes can hold: usual, large and small numbers.
RANGES = {
    "F32": {"usual": 1.0, "large": 1e30, "small": 1e-30},
    "BF16": {"usual": 1.0, "large": 1e30, "small": 1e-30},
    "F16": {"usual": 1.0, "large": 6e4, "small": 1e-6},
}
# One with square q_proj and o_proj, and one with all that it lacks.
PLAIN, FULL = (replace(CHECKPOINTS[name], files=1, dtype="F16") for name in ("llama", "qwen3"))
TIED = CHECKPOINTS["llama_tied"]
MISSING = (
    "model.norm.weight",
    f"model.layers.1.{varied('mlp.up', ('self_attn.o', 'mlp.down'), seed=30)}_proj.weight",
    f"model.layers.0.self_attn.{varied('k', 'qv', seed=30)}_proj.weight",
)
UNKNOWN = (
    "model.layers.2.input_layernorm.weight",  # of a layer that the config does not have
    f"model.layers.0.self_attn.{varied('q', 'kv', seed=31)}_proj.bias",
    "model.layers.1.self_attn.k_norm.weight",
    f"{''.join(shuffled('score', seed=31))}.weight",
)


def weights_of(checkpoint: Checkpoint, seed: int = 32) -> State:
    """The tensors of its files."""
    return drawn(checkpoint, generator(seed))


def tied(state: State) -> State:
    """The weights of a model, whose head is the embedding unless there is another."""
    return {HEAD: state[TABLE], **state}


@contextmanager
def folder_of(checkpoint: Checkpoint, state: State) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        write_checkpoint(Path(name), checkpoint, state)
        yield name


def test_names(step: Workbench) -> None:
    for checkpoint in (PLAIN, FULL):
        state = weights_of(checkpoint)
        got = dict(step.convert_llama(state, options_of(checkpoint.entries)))
        expect_state(f"what is converted of a {checkpoint.entries['model_type']}", got, state)
    halves = {name: values.astype(np.float16) for name, values in state.items()}
    got = dict(step.convert_llama(halves, options_of(checkpoint.entries)))
    expect_state("what is converted from float16", got, state)


def test_sixteen_bits(step: Workbench) -> None:
    rng, state, dtypes = generator(33), State(), {}
    for dtype, ranges in RANGES.items():
        for shape, (kind, scale) in zip(([3, 7], [5], [2, 3, 4]), ranges.items(), strict=True):
            name = f"{kind}.{dtype}"
            values = rng.uniform(-scale, scale, size=shape).astype(np.float32)
            state[name], dtypes[name] = rounded(values, dtype), dtype
    state["single.BF16"], dtypes["single.BF16"] = np.array(-2.5, np.float32), "BF16"
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder, "model.safetensors"), state, dtypes)
        for as_path in (False, True):
            got = dict(step.read_tensors(folder, as_path=as_path))
            expect_state("a file of three dtypes", got, state)


def test_shards(step: Workbench) -> None:
    state, other = weights_of(PLAIN), weights_of(PLAIN, seed=34)
    usual = [f"model-{i:05}-of-00003.safetensors" for i in (1, 2, 3)]
    named = [f"{name}.safetensors" for name in shuffled(["tail", "body", "head"], seed=34)]
    # What is left of an older download, and Mistral's: all once more, by Meta's names.
    left = {"model-00004-of-00004.safetensors": other}
    left["consolidated.safetensors"] = {"tok_embeddings.weight": other[TABLE]}
    for what, names, others in (("shards", usual, {}), ("shards and other files", named, left)):
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), state, names)
            for name, tensors in others.items():
                write_file(Path(folder, name), tensors, dict.fromkeys(tensors, "F32"))
            expect_state(f"a folder of {what}", dict(step.read_tensors(folder)), state)


def test_head(step: Workbench) -> None:
    state, own = weights_of(TIED), weights_of(PLAIN)[HEAD]
    options = options_of(TIED.entries)
    cases = {
        "tied and not in the file": (state, True, state[TABLE]),
        "tied and in the file, too": (tied(state), True, state[TABLE]),
        "of its own": ({**state, HEAD: own}, False, own),
        "of its own and first in the file": ({HEAD: own, **state}, False, own),
    }
    for what, (given, with_tie, expected) in cases.items():
        got = dict(step.convert_llama(given, options | {"tie_word_embeddings": with_tie}))
        for name, values in {HEAD: expected, TABLE: state[TABLE]}.items():
            expect_equal(f"whether there is {name}, with a head {what}", name in got, True)
            expect_close(f"{name} with a head {what}", got[name], values, EXACT)
    convert = partial(step.convert_llama, state, options | {"tie_word_embeddings": False})
    expect_refusals({"a file without a head that is not tied": (convert, [HEAD])})


def test_buffers(step: Workbench) -> None:
    state = weights_of(PLAIN)
    layers = [f"model.layers.{i}.self_attn." for i in range(PLAIN.entries["num_hidden_layers"])]
    speeds = {f"{layer}rotary_emb.inv_freq": np.array([1.0, 0.1], np.float32) for layer in layers}
    got = dict(step.convert_llama({**speeds, **state}, options_of(PLAIN.entries)))
    expect_state("what is converted beside inv_freq", got, state)


def test_missing_and_unknown(step: Workbench) -> None:
    state, options, cases = weights_of(PLAIN), options_of(PLAIN.entries), Cases()
    for name in MISSING:
        less = {key: state[key] for key in state if key != name}
        convert = partial(step.convert_llama, less, options)
        cases[f"a checkpoint without {name}"] = convert, [name]
    for name in UNKNOWN:
        more = {**state, name: np.zeros(24, np.float32)}
        convert = partial(step.convert_llama, more, options)
        cases[f"a checkpoint that also has {name}"] = convert, [name]
    # Without its table, the head that is tied to it is missing as well, and may be named.
    less = {key: values for key, values in weights_of(TIED).items() if key != TABLE}
    convert = partial(step.convert_llama, less, options_of(TIED.entries))
    cases[f"a checkpoint without {TABLE}, to which the head is tied"] = convert, []
    expect_refusals(cases)


def test_misshapen(step: Workbench) -> None:
    state = weights_of(PLAIN)
    rows = varied(13, (15, 17, 19, 21), seed=35)
    up, norm = "model.layers.1.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight"
    for name, values, named in (  # and the sizes that the message has to name: its own, and right
        (norm, np.ones(rows, np.float32), (rows, 24)),
        (up, np.ascontiguousarray(state[up].T), (24, 40)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder), PLAIN, {**state, name: values})
            load = partial(step.load_llama, folder, np.zeros((1, 1), np.int64))
            what = f"a folder whose {name} is {list(values.shape)}"
            expect_refusals({what: (load, [name, *named])})


def test_families(step: Workbench) -> None:
    for at, (name, checkpoint) in enumerate(CHECKPOINTS.items()):
        shallow = {**checkpoint.entries, "num_hidden_layers": 2 if checkpoint.files > 1 else 1}
        shorter = replace(checkpoint, entries=shallow)
        state = weights_of(shorter, seed=36 + at)
        tokens = generator(50 + at).integers(shallow["vocab_size"], size=(TEXTS, LENGTH))
        with folder_of(shorter, state) as folder:
            if at % 2:
                saved = json.dumps(as_version_5_writes(shallow))
                Path(folder, "config.json").write_text(saved)
            # Where there is an accelerator, MAX's default is bfloat16.
            default = "float32" if at else "bfloat16"
            got = step.load_llama(folder, tokens, as_path=bool(at % 2), default=default)
        weights: Mapping[str, Array] = {
            key: values.astype(np.float64) for key, values in tied(state).items()
        }
        expected = oracle_modern.lm_head_model(weights, tokens, options_of(shallow))
        expect_close(f"the logits of {name}", got, expected, TOLERANCE)
