"""A TransformerLM as CS336's students save it is the Llama that computes the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests import oracle_modern
from tutor.engine import cs336
from tutor.errors import InputError

Array = NDArray[Any]

SIZES = {"vocab_size": 61, "d_model": 24, "num_layers": 2, "d_ff": 40}
HEADS, CONTEXT, THETA, EPSILON = 4, 32, 100.0, 1e-5
TOLERANCE = 1e-5  # of the largest logit: rounding 2e-6; pairs in the wrong order 1


def make_state() -> dict[str, Array]:
    """Random weights by the names of the handout."""
    rng, width, inner = np.random.default_rng(5), SIZES["d_model"], SIZES["d_ff"]
    shapes = {name: (width, width) for name in cs336.LAYER_NAMES if name.startswith("attn")}
    shapes |= {"ffn.w1": (inner, width), "ffn.w2": (width, inner), "ffn.w3": (inner, width)}
    state = {
        f"layers.{layer}.{name}.weight": rng.normal(0, 0.3, shape)
        for layer in range(SIZES["num_layers"])
        for name, shape in shapes.items()
    }
    for name in ("token_embeddings", "lm_head"):
        state[f"{name}.weight"] = rng.normal(0, 0.5, (SIZES["vocab_size"], width))
    norms = [f"layers.{layer}.ln{i}" for layer in range(SIZES["num_layers"]) for i in (1, 2)]
    for name in ("ln_final", *norms):
        state[f"{name}.weight"] = rng.normal(1, 0.3, width)
    return {name: array.astype(np.float32) for name, array in state.items()}


def logits(state: Mapping[str, Array], ids: Array) -> Array:
    """What such a model computes: head by head, and pairs of neighbors as complex numbers."""
    (length,) = ids.shape
    head_dim = SIZES["d_model"] // HEADS
    speeds = THETA ** (-2 * np.arange(head_dim // 2) / head_dim)
    turns = np.exp(1j * np.outer(np.arange(length), speeds))
    later = np.triu(np.full((length, length), -np.inf), 1)
    x = state["token_embeddings.weight"][ids].astype(np.float64)

    def norm(name: str, x: Array) -> Array:
        return oracle_modern.rms_norm({"weight": state[f"{name}.weight"]}, x, EPSILON)

    for layer in range(SIZES["num_layers"]):
        own = {
            name: state[f"layers.{layer}.{name}.weight"].astype(np.float64)
            for name in cs336.LAYER_NAMES
        }
        normed, mixed = norm(f"layers.{layer}.ln1", x), []
        for head in range(HEADS):
            rows = slice(head * head_dim, (head + 1) * head_dim)
            query, key, value = (normed @ own[f"attn.{part}_proj"][rows].T for part in "qkv")
            query, key = ((x[:, ::2] + 1j * x[:, 1::2]) * turns for x in (query, key))
            scores = (query @ key.conj().T).real / np.sqrt(head_dim) + later
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            mixed.append(weights / weights.sum(axis=-1, keepdims=True) @ value)
        x = x + np.concatenate(mixed, axis=-1) @ own["attn.output_proj"].T
        normed = norm(f"layers.{layer}.ln2", x)
        gated = oracle_modern.silu(normed @ own["ffn.w1"].T) * (normed @ own["ffn.w3"].T)
        x = x + gated @ own["ffn.w2"].T
    return norm("ln_final", x) @ state["lm_head.weight"].T


def load(folder: Path, state: Mapping[str, Array], **changed: Any) -> Any:
    """The model from a file of these weights."""
    save_file(dict(state), folder / "model.safetensors")
    options = {"context_length": CONTEXT, "num_heads": HEADS, "rope_theta": THETA} | SIZES | changed
    return cs336.load_model_from_checkpoint(folder / "model.safetensors", **options)


def test_the_llama_computes_what_the_transformer_does(tmp_path: Path) -> None:
    from max.experimental.tensor import Tensor

    state, ids = make_state(), np.random.default_rng(6).integers(SIZES["vocab_size"], size=19)
    model = load(tmp_path, {f"_orig_mod.{name}": array for name, array in state.items()})
    got, expected = model(Tensor.from_dlpack(ids[None])).to_numpy()[0], logits(state, ids)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_names_are_changed_as_a_whole_or_in_part() -> None:
    theirs = {
        name.replace("attn.output_proj", "attention.o_proj").replace("ln1", "ln_1"): array
        for name, array in make_state().items()
    }
    names = {"attention": "attn", "o_proj": "output_proj", "ln_1": "ln1"}
    assert cs336.renamed(theirs, names).keys() == make_state().keys()
    with pytest.raises(InputError, match=r"has layers\.0\.attention\.o_proj\.weight.*--rename"):
        cs336.renamed(theirs, {"ln_1": "ln1"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vocab_size": 60}, "vocab_size is 60, but the checkpoint has 61"),
        ({"num_layers": 3}, "num_layers is 3, but the checkpoint has 2"),
        ({"d_ff": 24}, "d_ff is 24, but the checkpoint has 40"),
        ({"num_heads": 5}, "num_heads must divide d_model .24.*but is 5"),
        ({"num_heads": 0}, "num_heads must divide d_model .24.*but is 0"),
        ({"num_heads": 8}, "heads of an even size, but is 8"),
    ],
)
def test_other_sizes_are_refused(tmp_path: Path, changed: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, make_state(), **changed)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    state = make_state()
    del state["layers.1.ffn.w3.weight"]
    with pytest.raises(InputError, match=r"lacks layers\.1\.ffn\.w3\.weight"):
        load(tmp_path, state)
    state["layers.1.ffn.w3.weight"] = state["layers.1.ffn.w2.weight"]
    with pytest.raises(InputError, match=r"ffn\.w3\.weight is \[24, 40\], and has to be"):
        load(tmp_path, state)
    with pytest.raises(InputError, match="is not there"):
        cs336.load_model_from_checkpoint(tmp_path / "no.safetensors", 61, 32, 24, 2, 4, 40)
    with pytest.raises(InputError, match="convert_checkpoint"):
        cs336.load_model_from_checkpoint(tmp_path / "model.pt", 61, 32, 24, 2, 4, 40)
