"""Step 11, weight loading: what a checkpoint is converted to, what is refused, and a folder."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests import oracle
from tests.checkpoints import State, checkpoint, tied_weights, write_folder
from tests.samples import (
    BATCH,
    CONFIGS,
    LENGTH,
    random_array,
    random_tokens,
    shuffled,
    sizes,
    varied,
)
from tutor.check import stages
from tutor.check.expectations import (
    Array,
    MismatchError,
    expect_close,
    expect_entries,
    expect_equal,
    expect_refusal,
    expect_refusals,
)
from tutor.check.sandbox.workbench import Workbench
from tutor.check.sizes import Config

SMALL, OTHER = [replace(config, n_layer=1) for config in CONFIGS]
TWO_BLOCKS = replace(SMALL, n_layer=2)
MANY_BLOCKS = replace(SMALL, n_layer=11, n_embd=6)  # the last one's number has two digits
MASK_BUFFERS = (".attn.bias", ".attn.masked_bias")
PREFIXES = ("", "transformer.")  # checkpoints come without and with it
# A model, the prefix of its names in the checkpoint, and the dtype there.
LAYOUTS = (
    (TWO_BLOCKS, "", np.float32),
    (OTHER, "transformer.", np.float16),
    (MANY_BLOCKS, "", np.float32),
)
MISSING = (
    varied("ln_f.bias", ("ln_f.weight", "wpe.weight"), seed=13),
    f"h.0.{varied('attn.c_proj.weight', ('attn.c_attn.bias', 'mlp.c_fc.weight'), seed=14)}",
    "wte.weight",
)
UNKNOWN = (
    "h.1.ln_1.weight",  # of a block that the config does not have
    f"h.0.attn.{''.join(shuffled('rotary', seed=15))}.bias",
    f"{''.join(shuffled('score', seed=15))}.weight",
)
TABLE = "transformer.wte.weight"
EXACT = 0.0  # conversion moves and widens numbers, and computes none
TOLERANCE = 1e-5  # of the largest value: noise 5e-7; the nearest mistake is off by 1e-1


def expect_names(what: str, got: State, expected: Mapping[str, Array], says: str = "") -> None:
    missing, unknown = sorted(expected.keys() - got), sorted(got.keys() - expected)
    expect_equal(f"the names missing in {what}", missing, [], observed=got, says=says)
    expect_equal(f"the unknown names in {what}", unknown, [], observed=got, says=says)


def note_state(expected: Mapping[str, Array]) -> None:
    """Remember what belongs to each name, since it may be found under another."""
    for name, values in expected.items():
        stages.note(f"belongs to {name}", values)


def expect_state(what: str, got: State, expected: Mapping[str, Array], says: str = "") -> None:
    expect_names(what, got, expected, says)
    note_state(expected)
    for name, values in expected.items():
        dtype = np.float32 if values.dtype == np.float64 else values.dtype.type
        try:
            expect_close(f"{name} in {what}", got[name], values, EXACT, dtype=dtype)
        except MismatchError as error:
            error.observed = got  # all of it tells mistakes apart that begin in the same array
            raise


def expect_model(got: dict[str, Any], config: Config, weights: oracle.Weights) -> None:
    expect_entries("the config's", got["config"], {**asdict(config), "n_inner": config.inner})
    found = got["parameters"]
    expect_names("the loaded model", found, weights)
    wrong = [name for name in weights if not np.array_equal(found[name], weights[name])]
    expect_equal("the parameters that are not as in the file", wrong, [])


@contextmanager
def folder_of(config: Config, state: State, *left_out: str) -> Iterator[str]:
    """A Hugging Face folder, whose config.json lacks some entries."""
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), config, state)
        file = Path(name, "config.json")
        entries = json.loads(file.read_text())
        file.write_text(json.dumps({key: entries[key] for key in entries if key not in left_out}))
        yield name


def test_names(step: Workbench) -> None:
    old, new = checkpoint(tied_weights(SMALL)), checkpoint(tied_weights(OTHER), "transformer.")
    # Checkpoints of today have no buffers for the mask.
    new = {key: new[key] for key in new if not key.endswith(MASK_BUFFERS)}
    for config, state in ((SMALL, old), (OTHER, new)):
        got = dict(step.convert_state_dict(state, config))
        expect_names("the converted state", got, tied_weights(config))


def test_layout(step: Workbench) -> None:
    for config, prefix, dtype in LAYOUTS:
        weights = tied_weights(config)
        got = dict(step.convert_state_dict(checkpoint(weights, prefix, dtype), config))
        expect_state(f"what is converted from {dtype.__name__}", got, weights)


def test_head(step: Workbench) -> None:
    weights, name = tied_weights(SMALL), "lm_head.weight"
    own = random_array(*weights[name].shape, seed=5)
    head = {name: own.astype(np.float32)}
    bare, prefixed = (checkpoint(weights, prefix) for prefix in PREFIXES)
    cases = {
        "where the checkpoint has no head": (bare, weights[name]),
        "beside a head that comes last in the checkpoint": ({**bare, **head}, own),
        "beside a head that comes first in the checkpoint": ({**head, **prefixed}, own),
    }
    for what, (state, expected) in cases.items():
        got = dict(step.convert_state_dict(state, SMALL))
        # A head of its own leaves the embeddings as they are.
        note_state(weights | head)
        for each, values in {name: expected, TABLE: weights[TABLE]}.items():
            expect_equal(f"whether there is {each}, {what}", each in got, True, observed=got)
            expect_close(f"{each} {what}", got[each], values, EXACT)


def test_input_unchanged(step: Workbench) -> None:
    weights = tied_weights(SMALL)
    state = checkpoint(weights)
    state["lm_head.weight"] = state["wte.weight"]
    after = dict(step.state_after_conversion(state, SMALL))
    says = "hf_state belongs to the caller; it has to stay as it is."
    expect_state("hf_state after the call", after, state, says)
    again = dict(step.convert_state_dict(state, SMALL, calls=2))
    expect_state("what a second call converts", again, weights)


def test_refusals(step: Workbench) -> None:
    state = checkpoint(tied_weights(SMALL))
    cases: dict[str, tuple[Callable[[], object], list[object]]] = {}
    for name in MISSING:
        less = {key: state[key] for key in state if key != name}
        # Without wte, the head that is tied to it is missing as well, and may be named.
        words: list[object] = [] if name == "wte.weight" else [name]
        cases[f"a checkpoint without {name}"] = partial(step.convert_state_dict, less, SMALL), words
    for name in UNKNOWN:
        more = {**state, name: np.zeros(SMALL.n_embd, np.float32)}
        convert = partial(step.convert_state_dict, more, SMALL)
        cases[f"a checkpoint that also has {name}"] = convert, [name]
    expect_refusals(cases)


def test_folder(step: Workbench) -> None:
    weights = tied_weights(SMALL)
    with folder_of(SMALL, checkpoint(weights), "n_inner") as folder:  # as GPT-2's own folder is
        expect_model(step.load_pretrained(folder), SMALL, weights)
    weights, tokens = tied_weights(OTHER), random_tokens(OTHER, BATCH, LENGTH)
    with folder_of(OTHER, checkpoint(weights, "transformer.", np.float16)) as folder:
        got = step.load_pretrained(folder, tokens, as_path=True)
    expect_model(got, OTHER, weights)
    expected = oracle.lm_head_model(weights, tokens, **sizes(OTHER))
    expect_close("the logits of the loaded model", got["logits"], expected, TOLERANCE)


def test_misshapen(step: Workbench) -> None:
    state = checkpoint(tied_weights(SMALL))
    never_conv1d = np.ascontiguousarray(state["h.0.mlp.c_fc.weight"].T)
    rows, width = varied(15, (13, 14, 17, 18, 19), seed=16), varied(23, (21, 22, 25, 26), seed=17)
    cases = {  # a tensor, and the sizes that the message has to name: its own, and the right one
        "wpe.weight": (np.zeros((rows, 24), np.float32), (rows, 16)),
        "h.0.ln_2.bias": (np.zeros(width, np.float32), (width, 24)),
        "h.0.mlp.c_fc.weight": (never_conv1d, (24, 96)),
    }
    for name, (values, named) in cases.items():
        with folder_of(SMALL, {**state, name: values}) as folder:
            what = f"a folder whose {name} is {list(values.shape)}"
            expect_refusal(what, partial(step.load_pretrained, folder), name, *named)


def test_default_dtype(step: Workbench) -> None:
    weights = tied_weights(SMALL)
    with folder_of(SMALL, checkpoint(weights)) as folder:
        expect_model(step.load_pretrained(folder, default="bfloat16"), SMALL, weights)
