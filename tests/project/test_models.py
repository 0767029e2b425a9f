"""Model folders as people have them: each form of the same weights gives the same logits."""

import codecs
import json
import shutil
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from transformers import GPT2Tokenizer

from tests import oracle
from tests.project.commands import run_child, run_here
from tests.project.courses import make_course, solve
from tests.project.helpers import array, tensor
from tests.project.tiers import partly
from tutor import ROOT
from tutor.engine import checkpoint, loops, settings, trees, weights
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.generation import Engine, load_engine
from tutor.engine.loops import Options
from tutor.engine.tokenizer import Tokenizer
from tutor.errors import InputError
from tutor.runtime import graphs

State = dict[str, NDArray[Any]]

RANDOM_MODEL = ROOT / "tests" / "golden" / "random"
STORIES = json.loads((ROOT / "tests" / "golden" / "random.json").read_text())["stories"]

TOLERANCE = 1e-4  # of the logits, as in test_parity: rounding moves them by a tenth of that
WRONG = 1e-2  # what a weight that is wrong moves them by, at least
TWICE = 1.4  # of the weights' bytes: one tensor at a time takes a fourth more, all a half or more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model of Hugging Face's, and the tokenizer of the bundled one."""
    path = Path(shutil.copytree(RANDOM_MODEL, tmp_path / "model"))
    shutil.copy(BUNDLED_MODEL / "tokenizer.json", path)
    return path


def state_of(folder: Path) -> State:
    state: State = load_file(folder / "model.safetensors")
    return state


def change_json(path: Path, **entries: Any) -> None:
    old = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(old | entries))


def shard(folder: Path, state: State, count: int = 2) -> None:
    """Save weights as `save_pretrained` does where they are large."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    files: dict[str, str] = {}
    for number in range(count):
        part = dict(list(state.items())[number::count])
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def save_bfloat16(folder: Path, state: State) -> State:
    """Save weights as bfloat16, whose bits are the upper half of those of float32; these values."""
    header, data, rounded = {}, b"", {}
    for name, values in state.items():
        bits = values.astype(np.float32).view(np.uint32)
        upper = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
        rounded[name] = (upper.astype(np.uint32) << 16).view(np.float32)
        place = [len(data), len(data) + upper.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": place}
        data += upper.tobytes()
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + data
    (folder / "model.safetensors").write_bytes(content)
    return rounded


def assert_golden(folder: Path) -> None:
    """The model in a folder has the logits that Hugging Face's own has."""
    checkpoint.check_folder(folder)
    model = trees.load_model(folder)
    with np.load(ROOT / "tests" / "golden" / "random.npz", allow_pickle=False) as expected:
        wanted = next(iter(expected.values()))
    (logits,) = array(model(tensor(np.array([STORIES[0]["prompt_ids"]]))))
    np.testing.assert_allclose(logits[-len(wanted) :], wanted, rtol=0, atol=TOLERANCE)


def renamed(change: Callable[[str], str]) -> Callable[[State], State]:
    return lambda state: {change(name): values for name, values in state.items()}


def with_more(**more: NDArray[Any]) -> Callable[[State], State]:
    return lambda state: state | {name.replace("__", "."): array for name, array in more.items()}


def unprefixed(name: str) -> str:
    return name.removeprefix("transformer.")


MASK = np.tril(np.ones((1, 1, 32, 32)))
NUMBERS = np.ones((1, 40), np.float32)

FORMS: dict[str, Callable[[State], State]] = {
    "as it is": lambda state: state,
    "float32": lambda state: {name: each.astype(np.float32) for name, each in state.items()},
    "float64": lambda state: {name: each.astype(np.float64) for name, each in state.items()},
    "compiled by torch": renamed(lambda name: f"_orig_mod.{name}"),
    "each block compiled": renamed(lambda name: name.replace("h.1.", "h.1._orig_mod.")),
    "in parallel": renamed(lambda name: f"module.{name}"),
    "compiled, in parallel": renamed(lambda name: f"module._orig_mod.{name}"),
    "in parallel, compiled": renamed(lambda name: f"_orig_mod.module.{name}"),
    "part of another": renamed(lambda name: f"model.gpt.{name}"),
    "without prefix": renamed(unprefixed),
    "without prefix, compiled": renamed(lambda name: f"_orig_mod.{unprefixed(name)}"),
    "sharded modules": renamed(
        lambda name: name.replace("attn.", "attn._fsdp_wrapped_module.").replace(
            "mlp.", "_checkpoint_wrapped_module.mlp."
        )
    ),
    "a head of choices": with_more(multiple_choice_head__summary__weight=NUMBERS),
    "a head of values": with_more(v_head__summary__weight=NUMBERS, v_head__summary__bias=NUMBERS),
    "a head of classes": with_more(score__weight=NUMBERS),
    "a head of any name": with_more(my_reward__weight=NUMBERS),
    "a head beside the compiled": lambda state: with_more(_orig_mod__score__weight=NUMBERS)(
        FORMS["compiled by torch"](state)
    ),
    "a head without prefix": lambda state: with_more(v_head__weight=NUMBERS)(
        FORMS["without prefix"](state)
    ),
    "masks as bytes": with_more(transformer__h__0__attn__bias=MASK.astype(np.uint8)),
    "masks as numbers": with_more(
        transformer__h__0__attn__bias=MASK.astype(np.float32),
        transformer__h__0__attn__masked_bias=np.array(-1e4, np.float16),
        transformer__h__0__attn__causal_mask=MASK.astype(np.float32),
    ),
    "masks as truths": with_more(transformer__h__1__attn__bias=MASK.astype(bool)),
    "other buffers": with_more(
        transformer__position_ids=np.arange(32), transformer__h__2__attn__tril=MASK
    ),
}


QUICK = ("compiled by torch", "without prefix", "a head of choices", "masks as truths")


@pytest.mark.parametrize("form", partly("looks into models", FORMS, QUICK.__contains__))
def test_weights_are_those_of_hugging_face_in_every_form(form: str, folder: Path) -> None:
    state = FORMS[form](state_of(folder))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert_golden(folder)
    shard(folder, state)
    assert_golden(folder)


def test_these_logits_would_show_a_wrong_weight(folder: Path) -> None:
    state = state_of(folder)
    state["transformer.h.1.attn.c_proj.weight"] = state["transformer.h.1.attn.c_proj.weight"].T
    shard(folder, {name: np.ascontiguousarray(each) for name, each in state.items()})
    with pytest.raises(AssertionError) as failure:
        assert_golden(folder)
    (difference,) = [
        float(line.split()[-1].split("(")[0])
        for line in str(failure.value).splitlines()
        if line.startswith("Max absolute difference")
    ]
    assert difference > WRONG


def test_many_files_and_one_are_the_same(folder: Path) -> None:
    shard(folder, state_of(RANDOM_MODEL), 40)
    assert_golden(folder)
    shutil.copy(RANDOM_MODEL / "model.safetensors", folder)  # which comes first, as with theirs
    (folder / "model.safetensors.index.json").write_text("no index")
    assert_golden(folder)


@pytest.mark.parametrize("is_sharded", [False, True])
def test_bfloat16_is_read_as_it_is(folder: Path, is_sharded: bool) -> None:
    rounded = save_bfloat16(folder, state_of(folder))
    if is_sharded:
        (folder / "model.safetensors").rename(folder / "only.safetensors")
        index = {"weight_map": dict.fromkeys(rounded, "only.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint.check_folder(folder)
    conv1d = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    exact = {
        name: (values.T if name.endswith(conv1d) else values).astype(float)
        for name, values in rounded.items()
    }
    ids = np.array([STORIES[0]["prompt_ids"]])
    expected = oracle.lm_head_model(exact, ids, n_layer=3, n_head=5, epsilon=0.02)
    logits = array(trees.load_model(folder)(tensor(ids)))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "encoding",
    partly("looks into models", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"], "utf-16".__eq__),
)
def test_settings_are_read_as_editors_save_them(folder: Path, encoding: str) -> None:
    change_json(folder / "generation_config.json", eos_token_id=5)
    for name in ("config.json", "generation_config.json"):
        text = (folder / name).read_text()
        (folder / name).write_bytes(text.encode(encoding))
    assert_golden(folder)
    assert settings.find_ends(folder, 97) == [5]


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("form", ["as it is", "compiled by torch"])
def test_a_learners_own_step_11_reads_them_too(form: str, folder: Path, tmp_path: Path) -> None:
    course = make_course(tmp_path)
    solve(course, *map(str, range(1, 13)))
    shard(folder, FORMS[form](state_of(folder)))
    command = ("generate", "--prompt-tokens", "1,2,3", "--model", str(folder), "--greedy")
    options = ("--max-new-tokens", "5", "--format", "json")
    numpy = {"TUTOR_KERNELS": "numpy"}
    own, ours = (
        run_child(*command, *options, "--tree", tree, environment=numpy, course=root)
        for tree, root in (("steps", course), ("solutions", ROOT))
    )
    assert own.code == ours.code == 0, own.err + ours.err
    assert json.loads(own.out)["tokens"] == json.loads(ours.out)["tokens"]


# What is refused, and how to help it


def refused(folder: Path, *named: str) -> None:
    with pytest.raises(InputError) as error:
        load_engine(str(folder))
    for words in (str(folder), *named):
        assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "file",
    [
        "../model.safetensors",
        "/etc/model.safetensors",
        "sub/model.safetensors",
        "sub\\model.safetensors",
        "..",
        "",
        ".safetensors",
        "pytorch_model.bin",
        "model.safetensors\n",
        7,
        None,
        ["model.safetensors"],
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(folder: Path, file: Any) -> None:
    shutil.copy(folder / "model.safetensors", folder.parent)
    shard(folder, state_of(folder))
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["transformer.wte.weight"] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "model.safetensors.index.json", "no safetensors file of its folder")


def test_an_index_that_does_not_fit_is_refused(folder: Path) -> None:
    shard(folder, state_of(folder))
    index = folder / "model.safetensors.index.json"
    second = folder / "model-00002-of-00002.safetensors"
    state = load_file(second)
    name = next(iter(state))
    save_file({key: state[key] for key in state if key != name}, second)
    refused(folder, second.name, f"lacks {name}")
    second.unlink()
    refused(folder, f"has no {second.name}", "index")
    for content in ("{}", '{"weight_map": {}}', '{"weight_map": ["a"]}'):
        index.write_text(content)
        refused(folder, index.name, "no weight_map")
    names = {f"h.{number}": f"{number}.safetensors" for number in range(5000)}
    index.write_text(json.dumps({"weight_map": names}))
    refused(folder, index.name, "5000 files")
    index.write_text("[1]")
    refused(folder, index.name, "no settings")


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_settings_that_are_no_small_file_are_refused(folder: Path, file: str) -> None:
    with (folder / file).open("ab") as settings_file:
        settings_file.truncate(settings.LARGEST_FILE + 1)
    refused(folder, file, "only settings")


def test_weights_that_are_not_read_have_a_cure(folder: Path) -> None:
    state, path = state_of(folder), folder / "model.safetensors"

    def save(**changes: Any) -> None:
        names = {name.replace("__", "."): each for name, each in changes.items()}
        save_file(state | names, path)

    name = "transformer.h.0.mlp.c_fc.weight"
    save_file(state | {name: state[name].astype(np.int8)}, path)
    refused(folder, name, "I8", "BF16")
    save(transformer__h__0__attn__rotary__freq=NUMBERS)
    refused(folder, "rotary", "same GPT-2")
    save(lm_head__bias=NUMBERS)
    refused(folder, "lm_head.bias")
    save(_orig_mod__transformer__wte__weight=state["transformer.wte.weight"])
    refused(folder, "transformer.wte.weight twice")
    linear = {
        key: np.ascontiguousarray(each.T if key.endswith("c_attn.weight") else each)
        for key, each in state.items()
    }
    save_file(linear, path)
    refused(folder, "c_attn.weight", "[120, 40]", "transpose")
    path.unlink()
    (folder / "pytorch_model.bin").touch()
    refused(folder, "has no model.safetensors", "pytorch_model.bin", "pickle", "safetensors")


def test_quantized_weights_are_refused(folder: Path) -> None:
    change_json(folder / "config.json", quantization_config={"bits": 4})
    refused(folder, "quantization_config", "quantized")


# The Hub


def test_what_the_hub_has_is_downloaded_as_far_as_it_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache, asked = tmp_path / "cache", []

    def download(name: str, allow_patterns: list[str]) -> str:
        assert name == "someone/gpt2"
        asked.append(allow_patterns)
        for file in folder.iterdir():
            if file.name in allow_patterns:
                cache.mkdir(exist_ok=True)
                shutil.copy(file, cache)
        return str(cache)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    (folder / "pytorch_model.bin").touch()
    assert_golden(checkpoint.find_model("someone/gpt2"))
    assert {file.name for file in cache.iterdir()} == {*checkpoint.FILES}
    assert len(asked) == 1
    shutil.rmtree(cache)
    two_files(folder)
    shard(folder, state_of(folder), 3)
    assert_golden(checkpoint.find_model("someone/gpt2"))
    assert {file.name for file in cache.iterdir()} == {
        *(file.name for file in folder.iterdir() if file.name != "pytorch_model.bin")
    }


def test_shapes_are_those_of_the_file_as_it_is_read(folder: Path) -> None:
    shard(folder, FORMS["compiled by torch"](state_of(folder)))
    shown = run_here("show", "shapes", "11", "--model", str(folder))
    assert (shown.code, shown.err) == (0, "")
    assert "[C, 3C] → [3C, C]" in shown.out


# Tokenizers


def two_files(folder: Path) -> None:
    """Save the tokenizer of the bundled model as that of GPT-2 came, in two files."""
    saved = json.loads((BUNDLED_MODEL / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    merges = "\n".join(" ".join(pair) for pair in saved["merges"])
    (folder / "vocab.json").write_text(json.dumps(saved["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink(missing_ok=True)


TEXTS = (
    "Once upon a time, there was a #version of it.",
    "“It’s naïve,” said the fée  —\n\n 龍と妖精 🧚‍♀️",
    "<|endoftext|>A tale<|endoftext|>",
)


def test_two_files_make_a_tokenizer(folder: Path) -> None:
    two_files(folder)
    theirs = GPT2Tokenizer.from_pretrained(folder)
    one = Tokenizer(BUNDLED_MODEL / "tokenizer.json")
    two = load_engine(str(folder)).tokenizer
    for text in TEXTS:
        assert two.encode(text) == one.encode(text) == theirs.encode(text)
        assert two.decode(two.encode(text)) == text
    assert two.end_of_text() == one.end_of_text()
    content = (folder / "merges.txt").read_bytes().replace(b"\n", b"\r\n")
    (folder / "merges.txt").write_bytes(codecs.BOM_UTF8 + content)
    content = (folder / "vocab.json").read_bytes()
    (folder / "vocab.json").write_bytes(codecs.BOM_UTF8 + content)
    assert load_engine(str(folder)).tokenizer.encode(TEXTS[0]) == one.encode(TEXTS[0])


def test_one_of_two_files_is_not_enough(folder: Path) -> None:
    two_files(folder)
    (folder / "merges.txt").write_text("#version: 0.2\nno such merge\n")
    refused(folder, "vocab.json", "merges.txt", "cannot be read")
    (folder / "merges.txt").unlink()
    refused(folder, "no tokenizer.json", "no merges.txt")


def test_without_a_tokenizer_tokens_are_numbers(folder: Path) -> None:
    with_text = load_engine(str(folder)).story([1, 2, 3], seed=0)
    (folder / "tokenizer.json").unlink()
    engine = load_engine(str(folder))
    story = engine.story([1, 2, 3], seed=0)
    assert story.prompt == "1,2,3"
    assert "".join(map(story.add, [12, 7])) + story.finish() == ",12,7"
    assert story.prompt_ids == with_text.prompt_ids
    assert engine.tokenizer.show(12) == "12"
    assert not engine.silent.size
    with pytest.raises(InputError, match=r"no tokenizer\.json.*--prompt-tokens"):
        engine.story("Once")


def test_a_tokenizer_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    content = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(codecs.BOM_UTF8 + content)
    assert load_engine(str(folder)).tokenizer.encode(TEXTS[0])


# Ends


@pytest.mark.parametrize(
    ("generating", "config", "expected"),
    [
        (5, 7, [5]),
        ([5, 6], 7, [5, 6]),
        (None, 7, [7]),
        (None, [7, 8], [7, 8]),
        ([], 7, [7]),
        (None, None, []),
        (50256, 7, [7]),  # as transformers writes where nobody has thought of it
        ([50256, 5], 7, [5]),
        (-1, None, []),
        (0, None, [0]),
    ],
)
def test_the_end_of_a_text_is_what_the_folder_says(
    generating: Any, config: Any, expected: list[int], folder: Path
) -> None:
    change_json(folder / "config.json", eos_token_id=config)
    change_json(folder / "generation_config.json", eos_token_id=generating)
    assert settings.find_ends(folder, 97) == expected
    (folder / "generation_config.json").unlink()
    change_json(folder / "config.json", eos_token_id=expected)
    assert settings.find_ends(folder, 97) == expected


def test_without_any_it_is_that_of_gpt2(folder: Path) -> None:
    engine = load_engine(str(folder))
    assert [*engine.find_ends()] == [engine.tokenizer.end_of_text()]
    change_json(folder / "config.json", eos_token_id=[5, 6])
    assert [*load_engine(str(folder)).find_ends()] == [5, 6]


@pytest.mark.parametrize("value", ["5", 5.0, True, {"id": 5}, [5, "6"], [[5]]])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_an_end_that_is_no_token_is_refused(file: str, value: Any, folder: Path) -> None:
    change_json(folder / file, eos_token_id=value)
    refused(folder, file, "eos_token_id", "a token id, a list of them, or null")


def quick_engine(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Engine:
    """An engine whose model NumPy runs; MAX compiles nothing."""
    monkeypatch.setattr(loops, "compare", lambda *_: None)
    engine = load_engine(str(folder), **options)
    with graphs.postponed():
        assert engine.loop
    return engine


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("cache", [True, False])
def test_several_ends_stop_each_row_at_its_own(
    cache: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [story["prompt_ids"] for story in STORIES[:2]]

    def write(ends: Any) -> list[list[int]]:
        change_json(folder / "generation_config.json", eos_token_id=ends)
        engine = quick_engine(folder, monkeypatch, cache=cache)
        stories = [engine.story(prompt, 1) for prompt in prompts]
        for _ in engine.run(stories, Options(max_new_tokens=8, temperature=0)):
            pass
        assert [story.has_ended for story in stories] == [ends is not None] * 2
        return [story.new_ids for story in stories]

    endless = write(None)
    assert endless == [story["new_ids"][:8] for story in STORIES[:2]]
    ends = [endless[0][3], endless[1][1]]
    assert write(ends) == [row[: min(map(row.index, {*row} & {*ends}))] for row in endless]


# Vocabularies that differ


def small_tokenizer(folder: Path, size: int) -> None:
    """A tokenizer that knows only the first tokens."""
    path = folder / "tokenizer.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = {each: i for each, i in entries["model"]["vocab"].items() if i < size}
    entries["model"] |= {"vocab": vocabulary, "merges": []}
    path.write_text(json.dumps(entries), encoding="utf-8")


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("temperature", [0, 1, 50])
def test_tokens_without_text_are_not_drawn(
    cache: bool, temperature: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_tokenizer(folder, 40)
    engine = quick_engine(folder, monkeypatch, cache=cache)
    assert engine.config.vocab_size == 97
    assert engine.silent.tolist() == list(range(40, 97))
    stories = [engine.story([1, 2, 3], seed) for seed in range(3)]
    options = Options(max_new_tokens=60, temperature=temperature, top_k=90, stop_at_eos=False)
    for _ in engine.run(stories, options):
        pass
    drawn = {token for story in stories for token in story.new_ids}
    assert max(drawn) < 40
    assert temperature < 50 or len(drawn) > 30
    whole = [engine.tokenizer.decode([1, 2, 3, *story.new_ids]) for story in stories]
    assert [story.prompt + story.text for story in stories] == whole


def test_an_end_without_text_may_be_drawn(folder: Path) -> None:
    small_tokenizer(folder, 40)
    change_json(folder / "config.json", eos_token_id=[50, 3])
    engine = load_engine(str(folder))
    assert engine.silent.tolist() == [*range(40, 50), *range(51, 97)]


def test_next_shows_only_tokens_with_text(folder: Path) -> None:
    small_tokenizer(folder, 90)
    shown = run_here("show", "next", "#", "--model", str(folder), "--top", "5")
    assert (shown.code, shown.err) == (0, "")
    assert "85 others" in shown.out


def test_a_tokenizer_with_more_tokens_than_the_model_is_told(folder: Path) -> None:
    engine = load_engine(str(folder))
    assert not engine.silent.size
    with pytest.raises(InputError, match="the model knows 0 to 96"):
        engine.story("Once upon a time")


# Names that others use, too


@pytest.mark.full("commands in odd situations")
@pytest.mark.parametrize("tree", ["solutions", "steps"])
def test_a_foreign_package_of_the_same_name_is_not_taken(tree: str, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign" / tree
    foreign.mkdir(parents=True)
    for name in ("__init__", "solution_11", "solution_01", "step_01"):
        (foreign / f"{name}.py").write_text("raise SystemExit('foreign')")
    environment = {"PYTHONPATH": str(foreign.parent)}
    command = ("generate", "Once", "--max-new-tokens", "1", "--tree", tree)
    finished = run_child(*command, environment=environment, course=ROOT)
    assert "foreign" not in finished.out + finished.err
    assert finished.code == (0 if tree == "solutions" else 2), finished.err


def test_a_package_of_the_same_name_that_is_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = ModuleType("solutions")
    foreign.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "solutions", foreign)
    with pytest.raises(InputError, match="another package called solutions"):
        trees.claim("solutions")


def test_only_the_plain_form_is_left_to_step_11(folder: Path) -> None:
    assert weights.is_plain(BUNDLED_MODEL)
    assert checkpoint.is_plain(folder)
    text = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(codecs.BOM_UTF8 + text)
    assert not checkpoint.is_plain(folder)


def test_weights_are_in_memory_once(folder: Path) -> None:
    """Not a second time while they are converted, which GPT-2 XL would take 6 GB more for."""
    state = {name: each.astype(np.float32) for name, each in state_of(BUNDLED_MODEL).items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(BUNDLED_MODEL / "config.json", folder)
    tracemalloc.start()
    try:
        model = trees.load_model(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept = {parameter.to_numpy().ctypes.data: parameter for _, parameter in model.parameters}
    size = sum(parameter.to_numpy().nbytes for parameter in kept.values())
    assert peak < TWICE * size
