"""Model folders that hold no GPT-2: each is refused in a line that names what is wrong."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.project.commands import assert_refused, run_here
from tutor import ROOT
from tutor.engine import generation
from tutor.engine.checkpoint import BUNDLED_MODEL

RANDOM_MODEL = ROOT / "tests" / "golden" / "random"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model that can be loaded, with a tokenizer; nothing is compiled for it."""
    monkeypatch.setattr(generation, "make_loop", None)
    path = Path(shutil.copytree(RANDOM_MODEL, tmp_path / "model"))
    shutil.copy(BUNDLED_MODEL / "tokenizer.json", path)
    return path


def refused(folder: Path, *named: str) -> None:
    assert_refused(run_here("generate", "Once", "--model", str(folder)), *named)


def change_config(folder: Path, name: str, value: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


def trap(path: Path) -> bytes:
    """A pickle that touches a file when it is read."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {path}",)

    return pickle.dumps(Trap())


def header(dtype: str, size: int) -> bytes:
    """A safetensors file with one tensor of zeros."""
    entry = {"wte.weight": {"dtype": dtype, "shape": [size], "data_offsets": [0, 2 * size]}}
    text = json.dumps(entry).encode()
    return len(text).to_bytes(8, "little") + text + bytes(2 * size)


def test_the_folder_that_these_tests_spoil_can_be_loaded(folder: Path) -> None:
    refused(folder, "the prompt has token", "knows 0 to 96", "same folder")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_is_not_there_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    refused(folder, str(folder), f"has no {file}")
    (folder / file).mkdir()
    refused(folder, str(folder), f"has no {file}")


def test_weights_in_a_pickle_are_not_read(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(trap(tmp_path / "sprung"))
    refused(folder, "has no model.safetensors")
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    refused(folder, "model.safetensors", "damaged")
    assert not (tmp_path / "sprung").exists()
    pickle.loads((folder / "model.safetensors").read_bytes())  # noqa: S301 (it is ours)
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [b"", b"once", b"Once upon a time there was a king", bytes(64), header("F99", 3)]
)
def test_weights_that_are_no_safetensors_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, "model.safetensors", "no safetensors")


@pytest.mark.parametrize("kept", [7, 100, 20_000, -1])
def test_truncated_weights_are_refused(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, "model.safetensors", "damaged")


def test_numbers_that_numpy_cannot_read_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(header("I16", 3))
    refused(folder, "wte.weight", "I16", "BF16", "F32")


NAME = "transformer.h.2.mlp.c_fc.weight"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop(NAME), NAME),
        (lambda state: state.update({"h.3.extra": state[NAME]}), "h.3.extra"),
        (lambda state: state.update({NAME: state[NAME].T.copy()}), "[72, 40]"),
        (lambda state: state[NAME].put(5, np.nan), NAME),
        (lambda state: state[NAME].put(5, np.inf), NAME),
        (dict.clear, "0 tensors"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    folder: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    change_weights(folder, change)
    refused(folder, str(folder), named)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_type", "gemma"),
        ("activation_function", "relu"),
        ("activation_function", "gelu"),
        ("activation_function", ["gelu_new"]),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("n_head", 0),
        ("n_head", -5),
        ("n_layer", 10**5),
        ("n_layer", 10**30),
        ("vocab_size", "97"),
        ("vocab_size", 97.0),
        ("vocab_size", None),
        ("vocab_size", True),
        ("n_positions", [32]),
        ("n_positions", 10**18),
        ("n_inner", 10**18),
        ("n_inner", "72"),
        ("layer_norm_epsilon", None),
        ("layer_norm_epsilon", "1e-5"),
        ("layer_norm_epsilon", 0),
        ("layer_norm_epsilon", float("nan")),
        ("layer_norm_epsilon", float("inf")),
    ],
)
def test_settings_that_gpt2_does_not_have_are_named(folder: Path, name: str, value: object) -> None:
    change_config(folder, name, value)
    refused(folder, str(folder / "config.json"), name)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("n_embd", 41, "n_embd"),
        ("n_layer", 2, "h.2."),
        ("n_layer", 4, "h.3."),
        ("vocab_size", 98, "98"),
        ("n_positions", 1000, "1000"),
        ("n_inner", None, "160"),
    ],
)
def test_a_size_that_does_not_fit_the_weights_is_named(
    folder: Path, name: str, value: int | None, named: str
) -> None:
    change_config(folder, name, value)
    refused(folder, str(folder), named)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"gpt2",
        b'{"n_layer": 3',
        b"\xff\xfe",
        b"[" * 10**5,
        b'{"n_layer": 1%s}' % (b"0" * 5000),
    ],
)
def test_a_config_that_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, "config.json", "not JSON")


@pytest.mark.parametrize("content", ["[]", "null", '"gpt2"', "12"])
def test_a_config_that_holds_no_settings_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    refused(folder, "config.json", "settings")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"version": "1.0", "model": 3}'])
def test_a_damaged_tokenizer_is_refused(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    refused(folder, "tokenizer.json", "cannot be read")


def test_a_tokenizer_that_knows_nothing_of_the_prompt_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.json"
    entries = json.loads(path.read_text())
    entries["model"] |= {"vocab": {"é": 0}, "merges": []}
    path.write_text(json.dumps(entries | {"added_tokens": []}))
    refused(folder, "no tokens", "prompt")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_may_not_be_read_is_named(folder: Path, file: str) -> None:
    (folder / file).chmod(0)
    if os.access(folder / file, os.R_OK):
        pytest.skip("this user may read everything")
    refused(folder, str(folder / file), "Permission denied")
