"""A TransformerLM as CS336's students save it is the Llama that computes the same."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests import oracle_modern
from tests.project.commands import run_child
from tutor.engine import cs336, tokenizer
from tutor.engine.checkpoint import BUNDLED_MODEL
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


def generate(*arguments: str) -> list[dict[str, Any]]:
    """The stories that `tutor generate` writes, with NumPy, so that nothing is compiled."""
    finished = run_child(
        *("generate", *arguments, "--max-new-tokens", "6", "--format", "json"),
        environment={"TUTOR_KERNELS": "numpy"},
    )
    assert finished.code == 0, finished.err
    return [json.loads(line) for line in finished.out.splitlines()]


def greedy(state: Mapping[str, Array], ids: list[int], count: int) -> list[int]:
    """The most likely tokens, one after the other."""
    written = list(ids)
    for _ in range(count):
        written.append(int(logits(state, np.array(written))[-1].argmax()))
    return written[len(ids) :]


@pytest.mark.full("commands in odd situations")
def test_the_options_of_the_assignments_generator_have_their_places(tmp_path: Path) -> None:
    state, prompt = make_state(), [1, 2, 3]
    expected = greedy(state, prompt, 6)
    folder = tmp_path / "model"
    sizes: dict[str, Any] = {"context_length": CONTEXT, "rope_theta": THETA}
    cs336.write_folder(folder, state, HEADS, **sizes, end=expected[2])
    ids = ("--model", str(folder), "--prompt-tokens", "1,2,3", "--device", "cpu")
    # Ids in and ids out, up to the end of text, or past it.
    [story] = generate(*ids, "--temperature", "0")
    count = expected.index(expected[2])
    assert (story["tokens"], story["finish"]) == (expected[:count], "eos")
    assert (story["prompt"], story["text"]) == ("1,2,3", "".join(f",{i}" for i in expected[:count]))
    [story] = generate(*ids, "--temperature", "0", "--no-stop-at-eos")
    assert story["tokens"] == expected
    drawn = ("--no-stop-at-eos", "--temperature", "2", "--top-p", "0.9", "--seed", "1")
    stories = generate(*ids, *drawn, "--num-samples", "2")
    assert [story["seed"] for story in stories] == [1, 2]
    assert stories[0]["tokens"] != stories[1]["tokens"] != expected


@pytest.mark.full("commands in odd situations")
def test_with_vocabulary_and_merges_there_is_text(tmp_path: Path) -> None:
    saved = json.loads((BUNDLED_MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    files = [tmp_path / "vocab.json", tmp_path / "merges.txt"]
    files[0].write_text(json.dumps(saved["vocab"]), encoding="utf-8")
    files[1].write_text("\n".join(" ".join(pair) for pair in saved["merges"]), encoding="utf-8")
    state, rng = make_state(), np.random.default_rng(7)
    for name in ("token_embeddings.weight", "lm_head.weight"):
        state[name] = rng.normal(0, 0.5, (len(saved["vocab"]), 24)).astype(np.float32)
    folder, words = tmp_path / "model", tokenizer.read(*files)
    cs336.write_folder(folder, state, HEADS, words=words)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Once upon a time\nThe witch\n", encoding="utf-8")
    stories = generate("--model", str(folder), "--batch-file", str(prompts), "--greedy")
    for story, text in zip(stories, ("Once upon a time", "The witch"), strict=True):
        assert story["prompt"] == text
        assert story["text"] == words.decode(story["tokens"])
    end = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
    assert end == saved["vocab"]["<|endoftext|>"]
