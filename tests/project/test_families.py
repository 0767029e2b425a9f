"""Models of the Llama family in the engine: each writes what Hugging Face's own does.

What that is, is in tests/golden/llamas.json. Others are refused. MAX compiles nothing here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from tests.llama_folders import (
    CHECKPOINTS,
    COMMON,
    EXPERTS,
    LLAMA3,
    Checkpoint,
    State,
    drawn,
    write_checkpoint,
    write_file,
)
from tests.project.commands import assert_refused, run_child, run_here
from tests.project.courses import make_course, solve
from tests.project.test_quantization import unpack
from tests.project.tiers import partly
from tests.test_modern_01 import FILES
from tutor import ROOT
from tutor.engine import checkpoint, drafts, generation, loops, settings, weights
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.families import FAMILIES
from tutor.engine.generation import Engine, load_engine
from tutor.engine.loops import Options, SpeculativeLoop
from tutor.engine.quantization import pack
from tutor.errors import InputError
from tutor.runtime import graphs

ALL = CHECKPOINTS | EXPERTS
GOLDEN = json.loads((ROOT / "tests" / "golden" / "llamas.json").read_text())["models"]
NEW = 5  # tokens that each golden text goes on for
TOLERANCE = 1e-4  # of the largest logit: rounding moves them by a hundredth of that
WRONG = 1e-2  # what is wrong moves one by more

# All widths are whole blocks of four-bit weights.
WIDE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}


def write_model(folder: Path, entries: dict[str, Any], state: State | None = None) -> Path:
    """A model folder with a tokenizer that has as many tokens as the model."""
    folder.mkdir(exist_ok=True)
    model = Checkpoint(entries)
    write_checkpoint(folder, model, state or drawn(model, np.random.default_rng(0)))
    write_tokenizer(folder, entries["vocab_size"])
    return folder


def write_tokenizer(folder: Path, size: int) -> None:
    saved = json.loads((BUNDLED_MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = {each: i for each, i in saved["model"]["vocab"].items() if i < size}
    saved["model"] |= {"vocab": vocabulary, "merges": []}
    (folder / "tokenizer.json").write_text(json.dumps(saved), encoding="utf-8")


def write_golden(folder: Path, name: str, version: int = 4) -> Path:
    """The model of a golden text, whose config.json is as transformers of a version writes it."""
    state = drawn(ALL[name], np.random.default_rng(GOLDEN[name]["seed"]))
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder, ALL[name], state)
    if version == 5:
        (folder / "config.json").write_text(json.dumps(GOLDEN[name]["entries_of_version_5"]))
    write_tokenizer(folder, COMMON["vocab_size"])
    return folder


def change_config(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def engine_of(folder: Path, **options: Any) -> Engine:
    """An engine whose model NumPy runs."""
    engine = load_engine(str(folder), **options)
    with graphs.postponed():
        assert engine.loop
    return engine


def write_on(engine: Engine, prompts: list[list[int]], count: int = NEW) -> list[list[int]]:
    stories = [engine.story(prompt, 0) for prompt in prompts]
    pieces = [*engine.run(stories, Options(count, 0, stop_at_eos=False))]
    for number, story in enumerate(stories):
        assert "".join(piece[number] for piece in pieces) == story.text
        whole = engine.tokenizer.decode([*story.prompt_ids, *story.new_ids])
        assert story.prompt + story.text == whole
    return [story.new_ids for story in stories]


# What each family writes


QUICK = {("llama", True), ("qwen3_moe", True), ("llama3", False)}
BOTH = [(name, cache) for name in ALL for cache in (True, False)]


@pytest.mark.parametrize(("name", "cache"), partly("looks into models", BOTH, QUICK.__contains__))
def test_each_writes_what_hugging_face_does(name: str, cache: bool, tmp_path: Path) -> None:
    folder = write_golden(tmp_path / name, name, version=5 if cache else 4)
    engine = engine_of(folder, cache=cache)
    assert write_on(engine, GOLDEN[name]["prompt_ids"]) == GOLDEN[name]["new_ids"]


@pytest.mark.parametrize("cache", [True, False])
def test_rows_of_any_length_are_written_side_by_side(cache: bool, tmp_path: Path) -> None:
    engine = engine_of(write_golden(tmp_path, "llama"), cache=cache)
    first, second = GOLDEN["llama"]["prompt_ids"]
    alone = [write_on(engine, [prompt])[0] for prompt in (first[:3], second)]
    assert write_on(engine, [first[:3], second]) == alone
    assert alone[1] == GOLDEN["llama"]["new_ids"][1]


def test_a_seed_draws_the_same_with_the_cache_and_without(tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "qwen3")
    prompt = GOLDEN["qwen3"]["prompt_ids"][0]
    made = []
    for cache in (True, False):
        engine = engine_of(folder, cache=cache)
        story = engine.story(prompt, 7)
        options = Options(8, 1.5, top_k=40, top_p=0.9, stop_at_eos=False)
        assert [*engine.run([story], options)]
        made.append(story.new_ids)
    assert made[0] == made[1]


def test_every_family_is_golden() -> None:
    tried = {each.entries["model_type"] for each in ALL.values()}
    assert tried | {"gpt2"} == FAMILIES.keys()


# Four bits, and guesses


@pytest.mark.full("looks into models")
def test_four_bits_say_what_such_weights_say(tmp_path: Path) -> None:
    entries, ids = {**COMMON, "model_type": "llama", **WIDE}, [*range(20)]
    state = drawn(Checkpoint(entries), np.random.default_rng(0))
    folder = write_model(tmp_path / "exact", entries, state)
    coarse = {
        name: unpack(pack(array), array.shape[1]).astype(np.float32)
        if name.endswith(("_proj.weight", "lm_head.weight"))
        else array
        for name, array in state.items()
    }
    expected = engine_of(write_model(tmp_path / "coarse", entries, coarse)).loop.logits(ids)
    got = engine_of(folder, dtype="q4_0").loop.logits(ids)
    exact = engine_of(folder).loop.logits(ids)
    # MAX rounds what comes into such a product as well, to eight bits, which is much less.
    off, off_exactly = (np.abs(each - expected).max() for each in (got, exact))
    assert off < 0.05 * np.abs(expected).max() < 0.1 * np.abs(expected).max() < off_exactly
    with pytest.raises(InputError, match="multiples of 32"):
        load_engine(str(write_golden(tmp_path / "narrow", "llama")), dtype="q4_0")


@pytest.mark.full("texts with and without guesses")
@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_a_text_is_the_same_with_guesses(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "FEWEST", 0)
    monkeypatch.setattr(graphs, "is_postponing", lambda: False)  # NumPy runs the draft as well
    entries = {**ALL[family].entries, **WIDE, "model_type": family, "max_position_embeddings": 40}
    folder = write_model(tmp_path, entries)
    made = []
    for speculation in (True, False):
        engine = engine_of(folder, speculation=speculation, context=30)
        assert isinstance(engine.loop, SpeculativeLoop) == speculation
        made.append(engine.write("(,", seed=1, max_new_tokens=40, stop_at_eos=False))
        assert bool(engine.loop.remark) == speculation
    assert made[0] == made[1]


# Positions and memory


def test_so_many_positions_are_reserved(tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "mistral")
    assert load_engine(str(folder)).config.n_positions == 32  # its window
    for context in (1, 9, 32):
        assert load_engine(str(folder), context=context).config.n_positions == context
    change_config(folder, sliding_window=None, max_position_embeddings=10**6)
    assert load_engine(str(folder)).config.n_positions == checkpoint.CONTEXT
    assert load_engine(str(folder), context=5000).config.n_positions == 5000
    assert load_engine().config.n_positions == 256
    assert load_engine(context=20).config.n_positions == 20


@pytest.mark.parametrize("context", [0, -1, 33])
def test_positions_that_there_are_not_are_refused(context: int, tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "mistral")
    command = ("generate", "Once", "--model", str(folder), "--context", str(context))
    assert_refused(run_here(*command), "--context must be 1 to 32", f"but is {context}")


def test_a_long_prompt_is_told_of_more_positions(tmp_path: Path) -> None:
    engine = load_engine(str(write_golden(tmp_path, "mistral")), context=10)
    with pytest.raises(InputError, match=r"11 tokens, but .* 10 at most; .* larger --context"):
        engine.story([1] * 11)
    with pytest.raises(InputError, match=r"10 at most; shorten it$"):
        engine.story([1] * 33)


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("cache", [True, False])
def test_a_text_that_outgrows_them_goes_on(cache: bool, tmp_path: Path) -> None:
    """A window of the last half, as engine 03 has it."""
    folder = write_golden(tmp_path, "llama")
    engine = engine_of(folder, cache=cache, context=8)
    ids = GOLDEN["llama"]["prompt_ids"][0][:6]
    (made,) = write_on(engine, [ids], 9)
    model, start = load_engine(str(folder)).model, 0
    for token in made:
        if len(ids) - start > 8:
            start = len(ids) - 4
        logits = model(loops.as_tensor([ids[start:]])).to_numpy()[0, -1]
        assert token == logits.argmax()
        ids = [*ids, token]


def test_a_model_that_is_larger_than_the_free_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_golden(tmp_path, "llama_tied")
    state = drawn(ALL["llama_tied"], np.random.default_rng(0))
    numbers = sum(array.size for array in state.values())
    needed = 4 * (numbers + 2 * 2 * 2 * 4 * 50)  # keys and values of 2 layers, 2 groups of 4

    def have(free: int) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))

    have(needed)
    assert load_engine(str(folder), context=50)
    monkeypatch.setattr(weights, "read", None)  # nothing is read before
    have(needed - 1)
    with pytest.raises(InputError, match=f"{numbers:,} parameters .* 50 positions"):
        load_engine(str(folder), context=50)
    change_config(folder, max_position_embeddings=10**8)
    have(8 * 10**9)
    command = ("generate", "Once", "--model", str(folder), "--context", str(10**8))
    assert_refused(run_here(*command), "needs 12.8 GB", "100,000,000 positions", "8.0 GB are free")


# Forms of folders


def error_of(folder: Path, name: str) -> Any:
    """How far logits are off those of Hugging Face's own model, of the largest of these."""
    with np.load(ROOT / "tests" / "golden" / "llamas.npz", allow_pickle=False) as expected:
        wanted = expected[name]
    logits = load_engine(str(folder)).model(loops.as_tensor(GOLDEN[name]["prompt_ids"])).to_numpy()
    return np.abs(logits[:, -wanted.shape[1] :] - wanted).max() / np.abs(wanted).max()


def renamed(change: Callable[[str], str]) -> Callable[[State], State]:
    return lambda state: {change(name): array for name, array in state.items()}


def with_buffers(state: State) -> State:
    speeds = np.ones(2, np.float32)
    return state | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": speeds for i in (0, 1)}


FORMS: dict[str, Callable[[State], State]] = {
    "compiled by torch": renamed(lambda name: f"_orig_mod.{name}"),
    "each layer compiled": renamed(lambda name: name.replace("layers.1.", "layers.1._orig_mod.")),
    "in parallel, compiled": renamed(lambda name: f"module._orig_mod.{name}"),
    "part of another": renamed(lambda name: f"language_model.{name}"),
    "without the trunk": renamed(lambda name: name.removeprefix("model.")),
    "speeds in each layer": with_buffers,
    "another head": lambda state: state | {"score.weight": np.ones((2, 24), np.float32)},
}


@pytest.mark.parametrize("form", partly("looks into models", FORMS, "speeds in each layer".__eq__))
@pytest.mark.parametrize("name", ["llama", "llama_tied", "mixtral"])
def test_weights_are_the_same_in_every_form(form: str, name: str, tmp_path: Path) -> None:
    state = drawn(ALL[name], np.random.default_rng(GOLDEN[name]["seed"]))
    folder = write_model(tmp_path, ALL[name].entries, FORMS[form](state))
    assert error_of(folder, name) < TOLERANCE


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("name", ["llama", "mixtral"])
def test_these_logits_would_show_a_wrong_weight(name: str, tmp_path: Path) -> None:
    state = drawn(ALL[name], np.random.default_rng(GOLDEN[name]["seed"]))
    query = "model.layers.1.self_attn.q_proj.weight"
    state[query] = state[query][::-1].copy()
    assert error_of(write_model(tmp_path, ALL[name].entries, state), name) > WRONG


def test_ends_are_those_of_the_files(tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "llama")
    first, *_, last = GOLDEN["llama"]["new_ids"][0]
    assert first != last
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [last, 60]}))
    engine = engine_of(folder)
    story = engine.story(GOLDEN["llama"]["prompt_ids"][0], 0)
    assert [*engine.run([story], Options(50, 0))]
    row = GOLDEN["llama"]["new_ids"][0]
    assert story.has_ended
    assert story.new_ids == row[: row.index(last)]


# What is refused


CHANGES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("llama", {"model_type": "gemma2"}, ("model_type 'gemma2'", "'llama'", "'qwen3_moe'")),
    ("llama", {"model_type": ["llama"]}, ("model_type",)),
    ("llama", {"hidden_act": "gelu"}, ("hidden_act 'gelu'", "'silu'")),
    ("llama", {"attention_bias": True}, ("attention_bias True", "False")),
    ("llama", {"mlp_bias": True}, ("mlp_bias True", "False")),
    ("llama", {"partial_rotary_factor": 0.5}, ("partial_rotary_factor 0.5",)),
    ("llama", {"rope_interleaved": True}, ("rope_interleaved True",)),
    ("llama", {"quantization_config": {"bits": 4}}, ("quantization_config", "not read")),
    ("llama", {"rope_scaling": {"type": "yarn", "factor": 4.0}}, ("rope_scaling", "'yarn'")),
    ("llama", {"rope_scaling": {"type": "dynamic", "factor": 4.0}}, ("'dynamic'", "'linear'")),
    ("llama", {"rope_scaling": {"rope_type": "linear"}}, ("factor None",)),
    ("llama", {"rope_scaling": LLAMA3 | {"factor": "8"}}, ("factor '8'",)),
    ("llama", {"rope_scaling": LLAMA3 | {"low_freq_factor": 4}}, ("low_freq_factor",)),
    ("llama", {"rope_scaling": 2.0}, ("rope_scaling 2.0",)),
    ("llama", {"rope_parameters": {"rope_type": "longrope"}}, ("rope_parameters", "'longrope'")),
    ("llama", {"rope_parameters": {"rope_theta": -1}}, ("rope_theta -1",)),
    ("llama", {"rope_parameters": {"partial_rotary_factor": 0.5}}, ("partial_rotary_factor 0.5",)),
    ("llama", {"layer_types": ["chunked_attention"] * 2}, ("'chunked_attention'",)),
    ("llama", {"layer_types": ["sliding_attention"] * 2}, ("no sliding_window",)),
    ("llama", {"layer_types": "full_attention"}, ("layer_types", "list")),
    ("llama", {"num_hidden_layers": 0}, ("num_hidden_layers 0",)),
    ("llama", {"num_hidden_layers": 5000}, ("num_hidden_layers 5000", "tensors")),
    ("llama", {"num_key_value_heads": 4}, ("num_key_value_heads", "same Llama")),
    ("llama", {"hidden_size": "24"}, ("hidden_size '24'",)),
    ("llama", {"max_position_embeddings": None}, ("max_position_embeddings None",)),
    ("llama", {"rms_norm_eps": 0}, ("rms_norm_eps 0",)),
    ("llama", {"rope_theta": "1e4"}, ("rope_theta '1e4'",)),
    ("llama", {"tie_word_embeddings": 1}, ("tie_word_embeddings 1", "true or false")),
    ("llama", {"tie_word_embeddings": True}, ()),  # that is another model, but a right one
    ("llama", {"hidden_size": 30, "head_dim": 4}, ("same Llama",)),
    ("llama_tied", {"tie_word_embeddings": False}, ("lm_head.weight", "same Llama")),
    ("qwen2", {"model_type": "llama"}, ("_proj.bias", "this Llama does not have")),
    ("qwen3", {"head_dim": None}, ("head_dim None",)),
    ("mistral", {"sliding_window": 0}, ("sliding_window 0",)),
    ("mixtral", {"num_experts_per_tok": 6}, ("num_experts_per_tok 6", "5 experts")),
    ("mixtral", {"num_local_experts": 5000}, ("num_local_experts 5000", "tensors")),
    ("mixtral", {"num_local_experts": 4}, ("experts.4", "same Mixtral")),
    ("qwen3_moe", {"norm_topk_prob": None}, ("norm_topk_prob None",)),
    ("qwen3_moe", {"decoder_sparse_step": 2}, ("decoder_sparse_step 2",)),
    ("qwen3_moe", {"mlp_only_layers": [0]}, ("mlp_only_layers [0]",)),
    ("qwen3_moe", {"shared_expert_intermediate_size": 8}, ("shared_expert_intermediate_size 8",)),
]


@pytest.mark.parametrize(("name", "changes", "named"), CHANGES)
def test_what_our_code_does_not_compute_is_refused(
    name: str,
    changes: dict[str, Any],
    named: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generation, "make_loop", None)
    folder = write_golden(tmp_path / "model", name)
    change_config(folder, **changes)
    finished = run_here("generate", "--prompt-tokens", "99", "--model", str(folder))
    assert_refused(finished, *(named or ("the prompt has token 99",)))


@pytest.mark.parametrize("name", FILES)
def test_settings_of_models_on_the_hub_are_taken(name: str) -> None:
    assert settings.find_fault(FILES[name]) == ""
    kinds = {"layer_types": ["full_attention"] * FILES[name]["num_hidden_layers"]}
    assert settings.find_fault(FILES[name] | kinds) == ""


NEEDED = [
    ("llama", "hidden_size"),
    ("mistral", "sliding_window"),
    ("qwen2", "num_key_value_heads"),
    ("qwen3", "head_dim"),
    ("mixtral", "rope_theta"),
    ("mixtral", "num_local_experts"),
    ("qwen3_moe", "norm_topk_prob"),
    ("qwen3_moe", "num_experts"),
]


@pytest.mark.parametrize(("name", "entry"), NEEDED)
def test_an_entry_whose_default_differs_is_needed(name: str, entry: str, tmp_path: Path) -> None:
    folder = write_golden(tmp_path / "model", name)
    entries = json.loads((folder / "config.json").read_text())
    del entries[entry]
    (folder / "config.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match=f"has (no|neither) .*{entry}"):
        load_engine(str(folder))


def test_sliding_layers_are_as_the_others_within_their_window(tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "qwen2")
    kinds = ["sliding_attention", "full_attention"]
    change_config(folder, layer_types=kinds, use_sliding_window=True)
    assert load_engine(str(folder)).config.n_positions == 16


@pytest.mark.parametrize("dtype", ["I8", "F8_E4M3"])
def test_weights_of_few_bits_are_refused(dtype: str, tmp_path: Path) -> None:
    folder = write_golden(tmp_path, "qwen3")
    name = "model.layers.0.mlp.up_proj.weight"
    state = drawn(ALL["qwen3"], np.random.default_rng(0))
    write_file(folder / "model.safetensors", state, dict.fromkeys(state, "F32"))
    content = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header[name] |= {"dtype": dtype, "shape": [40, 96]}
    text = json.dumps(header).encode()
    new = len(text).to_bytes(8, "little") + text + content[8 + size :]
    (folder / "model.safetensors").write_bytes(new)
    with pytest.raises(InputError, match=f"{name} in {dtype}; save it as F16, BF16 or F32"):
        load_engine(str(folder))


# What other commands say of them


def test_next_shows_them_and_attention_does_not(tmp_path: Path) -> None:
    folder = write_golden(tmp_path / "model", "qwen3_moe")
    shown = run_here("show", "next", "(,", "--model", str(folder), "--top", "3")
    assert (shown.code, shown.err) == (0, "")
    assert "58 others" in shown.out
    for command in (("attention", "(,"), ("shapes", "7"), ("shapes", "11"), ("shapes", "e4")):
        finished = run_here("show", *command, "--model", str(folder))
        assert_refused(finished, "shows a GPT-2", f"{folder} has a Qwen3-MoE")


# A learner's own steps


def test_a_learner_needs_the_steps_that_load_one(tmp_path: Path) -> None:
    course = make_course(tmp_path)
    solve(course, *map(str, range(1, 13)))
    folder = write_golden(tmp_path / "model", "llama")
    command = ("generate", "--prompt-tokens", "1", "--model", str(folder), "--tree", "steps")
    numpy = {"TUTOR_KERNELS": "numpy"}
    finished = run_child(*command, environment=numpy, course=course)
    assert (finished.code, finished.out) == (2, "")
    said = finished.err.splitlines()[-1]
    assert said.startswith("tutor: modern 07 uses modern 01, 02, 03, 04, 05 and 06, and ")
    assert " and steps/modern_01.py is not finished; see tutor check m1" in said


@pytest.mark.full("looks into models")
@pytest.mark.parametrize(
    ("name", "solved", "said"),
    [
        ("llama", ("m1", "m2", "m3", "m4", "m5", "m6", "m7"), "using generate_next_token"),
        ("llama", ("e2", "e3", *[f"m{n}" for n in range(1, 8)]), "The KV cache is not finished"),
        ("llama", ("e2", "e3", "e4", *[f"m{n}" for n in range(1, 9)]), ""),
        ("mixtral", ("e2", "e3", "e4", *[f"m{n}" for n in range(1, 10)]), ""),
    ],
)
def test_a_learners_own_steps_write_the_same(
    name: str, solved: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    course = make_course(tmp_path)
    solve(course, *map(str, range(1, 13)), *solved)
    folder = write_golden(tmp_path / "model", name)
    ids = ",".join(map(str, GOLDEN[name]["prompt_ids"][0]))
    finished = run_child(
        *("generate", "--prompt-tokens", ids, "--model", str(folder), "--greedy"),
        *("--max-new-tokens", str(NEW), "--no-stop-at-eos", "--format", "json", "--tree", "steps"),
        environment={"TUTOR_KERNELS": "numpy"},
        course=course,
    )
    assert finished.code == 0, finished.err
    assert json.loads(finished.out)["tokens"] == GOLDEN[name]["new_ids"][0]
    assert said in finished.err
    assert said or "not finished" not in finished.err
