"""Logits, tokens and text are those of Hugging Face's own GPT-2, and of its Llamas.

This is what tools/models/make_golden.py saw of it; nothing here needs PyTorch.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoConfig, AutoTokenizer

from solutions.modern_07 import load_pretrained as load_llama
from solutions.modern_09 import load_moe
from solutions.solution_11 import load_pretrained
from solutions.solution_12 import LanguageModel, generate_tokens
from tests.llama_folders import CHECKPOINTS, EXPERTS, digest, drawn, write_checkpoint
from tests.project.helpers import array, tensor
from tests.project.tiers import partly
from tutor import ROOT
from tutor.check.probes.steps import LazyModel
from tutor.engine.checkpoint import BUNDLED, BUNDLED_MODEL, check_folder
from tutor.engine.loops import CompiledModel
from tutor.engine.tokenizer import Tokenizer

GOLDEN = ROOT / "tests" / "golden"
FOLDERS = {folder.name: folder for folder in (*BUNDLED, GOLDEN / "random")}
LLAMA = BUNDLED[1]

# Rounding in float32 moves these logits, of up to 11, by 1.2e-5. Of the mistakes that were tried,
# an epsilon of 1e-6 moves those of the bundled model least, by 3.5e-4, and GELU by erf the random
# model's, by 9e-4.
LOGIT_TOLERANCE = 1e-4
# Of the largest logit of a Llama: rounding moves one by 1.2e-6. Of the mistakes that were tried,
# a low_freq_factor of 2 moves those of llama3 least, by 6e-2.
LLAMA_TOLERANCE = 1e-5
FEW = 2  # tokens of a model with experts, all of which are computed for each
VERSIONS = (4, 5)  # of transformers, each of which writes config.json in its own way

MOST_BYTES = 10_000_000  # of a bundled folder
TEXTS = (
    "Once upon a time, in a far-off land, there lived a King.",
    "  two spaces, a\ttab,\n\na paragraph and a trailing blank ",
    "“It’s naïve,” said the fée — «où est l’œuf?»",
    "don't we'll I'd 1234567890 !?#%&/()=[]{}",
    "🧚‍♀️🐉 龍と妖精 Привет \N{REPLACEMENT CHARACTER}\0",
    "<|endoftext|>Tale<|endoftext|>",
)


@pytest.fixture(scope="module", params=FOLDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> LanguageModel:
    if FOLDERS[name] == LLAMA:
        llama = load_llama(LLAMA)
        return LazyModel(llama, llama.config)
    return load_pretrained(FOLDERS[name])


@pytest.fixture(scope="module")
def compiled_model() -> CompiledModel:
    return CompiledModel(load_pretrained(BUNDLED_MODEL))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(BUNDLED_MODEL / "tokenizer.json")


def golden(name: str) -> dict[str, Any]:
    """What was computed from which weights; see tools/models/make_golden.py."""
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return content


def assert_logits(model: LanguageModel, name: str) -> None:
    """The logits at the last positions of each prompt are the golden ones."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as expected:
        for story, wanted in zip(golden(name)["stories"], expected.values(), strict=True):
            (logits,) = array(model(tensor(np.array([story["prompt_ids"]]))))
            assert wanted.dtype == np.float32
            np.testing.assert_allclose(logits[-len(wanted) :], wanted, rtol=0, atol=LOGIT_TOLERANCE)


def test_golden_files_are_of_these_weights(name: str) -> None:
    content = (FOLDERS[name] / "model.safetensors").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    assert golden(name)["model_sha256"] == found, "changed: run python -m tools.models.make_golden"


def test_logits_are_those_of_hugging_face(model: LanguageModel, name: str) -> None:
    assert_logits(model, name)


def test_compiled_logits_are_those_of_hugging_face(compiled_model: CompiledModel) -> None:
    assert_logits(compiled_model, "fairy-tales")


@pytest.mark.full("looks into models")
def test_greedy_tokens_of_a_batch_are_those_of_hugging_face() -> None:
    stories = golden("random")["stories"]
    prompts, expected = (
        np.array([story[part] for story in stories]) for part in ("prompt_ids", "new_ids")
    )
    model = load_pretrained(FOLDERS["random"])
    made = array(generate_tokens(model, tensor(prompts), expected.shape[1], do_sample=False))
    np.testing.assert_array_equal(made, np.hstack([prompts, expected]))


def test_greedy_tokens_and_text_are_those_of_hugging_face(
    compiled_model: CompiledModel, tokenizer: Tokenizer
) -> None:
    for story in golden("fairy-tales")["stories"]:
        assert tokenizer.encode(story["prompt"]) == story["prompt_ids"]
        prompt, count = tensor(np.array([story["prompt_ids"]])), len(story["new_ids"])
        (made,) = array(generate_tokens(compiled_model, prompt, count, do_sample=False)).tolist()
        assert made == story["prompt_ids"] + story["new_ids"]
        assert tokenizer.decode(made) == story["text"]


@pytest.mark.parametrize(
    "version", partly("looks into models", VERSIONS, VERSIONS[-1:].__contains__)
)
@pytest.mark.parametrize(
    "name", partly("looks into models", CHECKPOINTS | EXPERTS, [*CHECKPOINTS][::2].__contains__)
)
def test_each_llama_is_hugging_faces(name: str, version: int, tmp_path: Path) -> None:
    told = golden("llamas")["models"][name]
    model = write_llama(tmp_path, name, told, version)
    prompts, new_ids = np.array(told["prompt_ids"]), np.array(told["new_ids"])
    with np.load(GOLDEN / "llamas.npz", allow_pickle=False) as expected:
        wanted = expected[name]
    got = array(model(tensor(prompts)))[:, -wanted.shape[1] :]
    allowed = LLAMA_TOLERANCE * np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=allowed)
    if version == VERSIONS[-1]:
        new_ids = new_ids[:, : FEW if name in EXPERTS else None]
        made = array(generate_tokens(model, tensor(prompts), new_ids.shape[1], do_sample=False))
        np.testing.assert_array_equal(made, np.hstack([prompts, new_ids]))


def write_llama(folder: Path, name: str, told: dict[str, Any], version: int) -> LazyModel:
    """The model in a folder, drawn once more from its seed, whose config.json is of a version."""
    checkpoint = (CHECKPOINTS | EXPERTS)[name]
    state = drawn(checkpoint, np.random.default_rng(told["seed"]))
    assert digest(state) == told["weights_sha256"], "run python -m tools.models.make_golden llamas"
    write_checkpoint(folder, checkpoint, state)
    if version == 5:
        (folder / "config.json").write_text(json.dumps(told["entries_of_version_5"]))
    model = load_moe(folder) if name in EXPERTS else load_llama(folder)
    return LazyModel(model, model.config)


@pytest.mark.parametrize("text", TEXTS)
def test_transformers_and_our_tokenizer_agree(text: str, tokenizer: Tokenizer) -> None:
    theirs = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    ids = tokenizer.encode(text)
    assert theirs.encode(text) == ids
    assert theirs.decode(ids) == tokenizer.decode(ids) == text
    part = ids[: len(ids) // 2 + 1]  # which may end within a character
    assert theirs.decode(part) == tokenizer.decode(part)


def test_every_byte_has_a_token(tokenizer: Tokenizer) -> None:
    text = "".join(map(chr, [*range(0xD800), 0xFFFD, 0x1F9DA, 0x10FFFF]))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(("folder", "kind"), [*zip(BUNDLED, ("gpt2", "llama"), strict=True)])
def test_transformers_opens_a_bundled_folder(folder: Path, kind: str) -> None:
    config = AutoConfig.from_pretrained(folder)
    assert config.model_type == kind
    theirs = AutoTokenizer.from_pretrained(folder)
    assert len(theirs) == config.vocab_size
    assert theirs.eos_token_id == theirs.bos_token_id == config.eos_token_id
    assert theirs.decode([config.eos_token_id]) == "<|endoftext|>"
    assert theirs.model_max_length == config.max_position_embeddings


def test_the_bundled_models_have_one_tokenizer() -> None:
    one, other = ((folder / "tokenizer.json").read_bytes() for folder in BUNDLED)
    assert one == other


@pytest.mark.parametrize("folder", BUNDLED)
def test_a_bundled_folder_is_small_and_its_weights_are_float16(folder: Path) -> None:
    check_folder(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    weights = load_file(folder / "model.safetensors")
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float16)}
    assert 3e6 <= sum(array.size for array in weights.values()) <= 4.5e6


def test_no_pickle_is_shipped() -> None:
    shipped = [path.suffix for folder in FOLDERS.values() for path in Path(folder).iterdir()]
    assert not {".bin", ".pt", ".pth", ".pkl", ".ckpt"} & set(shipped)
