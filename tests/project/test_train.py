"""`tutor train`: what is read, held out, planned and refused; with PyTorch, also the training."""

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solutions.text_01 import BPETokenizer
from tests import checkpoints
from tests.checkpoints import tied_weights
from tests.project.commands import TUTOR, Finished, assert_refused, run_child, run_here
from tutor import ROOT
from tutor.check.sizes import Config
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import END_OF_TEXT, Tokenizer
from tutor.errors import InputError
from tutor.train import card, data, folder, plan, run, texts, tokens
from tutor.train.plan import Plan, Wanted
from tutor.train.settings import Settings

SECONDS = 600  # to import PyTorch and to train a little, however busy the machine is
TALES = 7_000_000  # bytes: as many as the bundled model has read
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

trains = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch (extra train) is missing")


def paragraphs(first: int, count: int) -> list[str]:
    """No two are the same, and nobody has written them."""
    words = np.random.default_rng(first).choice(NUMBERS, (count, 12))
    return [f"Part {first + i} of it: {' '.join(row)}." for i, row in enumerate(words)]


def text(first: int, count: int = 200) -> str:
    return "\n\n".join(paragraphs(first, count))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(text(0))
    return path


def parts(of: Sequence[str]) -> list[str]:
    return [part for each in of for part in re.findall(r"Part \d+", each)]


@pytest.mark.parametrize("count", [1, 3, 30])
def test_what_is_held_out_is_not_learned_from(count: int) -> None:
    given = [text(1000 * i) for i in range(count)]
    kept, heldout = texts.divide(given, 0.1, seed=1)
    assert sorted(parts([*kept, *heldout])) == sorted(parts(given))
    assert not {*parts(kept)} & {*parts(heldout)}
    assert 0.05 < len(parts(heldout)) / len(parts(given)) < 0.15
    if count == 30:
        assert set(heldout) <= set(given)  # whole texts, so that no neighbour was learned


def test_ends_are_held_out_where_whole_texts_would_be_too_much_or_too_little() -> None:
    given = [*(text(1000 * i, 5) for i in range(30)), text(90_000, 2000)]
    for seed in range(8):
        kept, heldout = texts.divide(given, 0.1, seed)
        assert 0.05 < texts.size(heldout) / texts.size(given) < 0.2
        assert not {*parts(kept)} & {*parts(heldout)}


def test_a_text_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{text(0)}\n{END_OF_TEXT}\n{text(1000)}")
    assert texts.read([tmp_path / "a", tmp_path / "b", tmp_path / "a"]) == [text(0), text(1000)]


def test_a_byte_order_mark_and_returns_are_no_part_of_a_text(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + text(0).replace("\n", "\r\n").encode())
    assert texts.read([file]) == [text(0)]


def test_a_long_text_is_cut_between_words_even_if_it_has_no_lines() -> None:
    kept, end = texts.cut("word " * 2000, 0.1)
    assert set(kept.split()) == set(end.split()) == {"word"}
    kept, end = texts.cut("字" * 2000, 0.1)
    assert (len(kept), len(end)) == (1800, 200)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"too little", "have 11 bytes"),
        (b"caf\xe9 " * 3000, "not text in UTF-8: byte 4 "),
        (b"PK\x03\x04\xff" * 3000, "not text in UTF-8: byte 5 "),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused(file: Path, content: bytes, named: str) -> None:
    file.write_bytes(content)
    assert_refused(run_here("train", str(file), "--output", str(file.parent / "new")), named)
    assert not (file.parent / "new").exists()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert_refused(run_here("train", str(tmp_path / "none.txt")), "none.txt is not there")
    assert_refused(run_here("train", str(tmp_path)), "is a folder", "*.txt")
    assert_refused(run_here("train"), "TEXT", "--help")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--minutes", value) for value in ("0", "nan", "soon")),
        *[("--architecture", "rnn"), ("--n-layer", "0")],
    ],
)
def test_an_option_that_makes_no_sense_is_named(file: Path, option: str, value: str) -> None:
    assert_refused(run_here("train", str(file), option, value), option, value)


def test_without_pytorch_it_says_how_to_get_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "find_spec", lambda _: None)
    finished = run_here("train", str(file), "--output", str(file.parent / "new"))
    assert_refused(finished, "PyTorch", "uv run --extra train", "pixi run -e train")
    assert not (file.parent / "new").exists()


def test_a_folder_of_something_else_is_left_alone(file: Path, tmp_path: Path) -> None:
    for name, content in (("notes.md", "mine"), ("training.json", '{"history": []}')):
        other = tmp_path / name.partition(".")[0]
        other.mkdir()
        (other / name).write_text(content)
        assert_refused(run_here("train", str(file), "--output", str(other)), "something else")
        assert [each.name for each in other.iterdir()] == [name]
        assert (other / name).read_text() == content
    assert_refused(run_here("train", str(file), "--output", str(file)), "something else")
    assert_refused(
        run_here("train", str(file), "--output", str(BUNDLED_MODEL)), "something else", "--output"
    )


def record_of(path: Path, wanted: Wanted, **more: Any) -> folder.Record:
    """A training that has begun."""
    asked = folder.request(wanted, texts.read([path]))
    return folder.begin(path.parent / "model", asked, Plan(Settings(**more), 1.5))


def test_only_the_same_command_continues(file: Path) -> None:
    record = record_of(file, Wanted(minutes=5), steps=7)
    output = str(file.parent / "model")
    found = folder.look(Path(output), record["request"])
    assert found == record
    assert folder.plan_of(record) == Plan(Settings(steps=7), 1.5)
    begun = ("train", str(file), "--output", output, "--minutes")
    assert_refused(run_here(*begun, "6"), "was begun with other --minutes")
    assert_refused(run_here(*begun, "5", "--n-embd", "64"), "was begun with other --n-embd")
    file.write_text(text(5))
    assert_refused(run_here(*begun, "5"), "was begun with other texts")


def test_a_finished_training_is_not_begun_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "find_spec", None)  # nothing is asked of PyTorch
    record = record_of(file, Wanted())
    output = file.parent / "my model"
    (file.parent / "model").rename(output)
    folder.keep(
        output, {**record, "finished": True, "heldout_nats_per_token": 3.5, "opening": "It's me"}
    )
    finished = run_here("train", str(file), "--output", str(output))
    assert (finished.code, finished.err) == (0, "")
    assert "3.50 nats per token" in finished.out
    assert finished.out.endswith(f"tutor generate 'It'\"'\"'s me' --model '{output}'\n")


def planned(minutes: float, train_tokens: int, speed: float, **wanted: Any) -> Plan:
    """A plan for a machine that computes so many products of a parameter and a token a second."""
    settings = Settings(vocab_size=tokens.fitting_vocabulary(4 * train_tokens))
    return plan.make_plan(
        Wanted(minutes=minutes, **wanted),
        settings,
        train_tokens,
        train_tokens // 20,
        lambda each: each.tokens_per_step * plan.parameters(each) / speed,
    )


TIMES = 1, 5, 20, 60  # minutes
TWO_CORES = 2.5e10  # so that the bundled model takes about a second for a step


def test_more_time_is_for_more_steps_and_then_for_larger_models() -> None:
    plans = [planned(minutes, TALES // 4, TWO_CORES) for minutes in TIMES]
    sizes = [plan.parameters(each.settings) for each in plans]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    for each, minutes in zip(plans, TIMES, strict=True):
        assert 0.9 * minutes < each.minutes <= minutes * 1.001
        read = each.settings.steps * each.settings.tokens_per_step
        assert read <= plan.PASSES * TALES // 4


def test_a_short_text_gets_a_small_model_and_no_more_time_than_it_is_worth() -> None:
    short = planned(60, 20_000, TWO_CORES)
    assert short.minutes < 1
    assert short.settings.n_embd == plan.SHAPES[0][1]
    long = planned(1e5, 50_000_000, TWO_CORES)
    assert plan.parameters(long.settings) > 20 * plan.parameters(short.settings)
    assert plan.parameters(long.settings) <= plan.PARAMETERS * 50_000_000


def test_sizes_that_are_given_are_kept() -> None:
    made = planned(
        *(20, 100_000, TWO_CORES),
        n_layer=3,
        n_embd=48,
        n_head=4,
        n_positions=64,
        steps=12,
    )
    settings = made.settings
    assert (settings.n_layer, settings.n_embd, settings.n_head) == (3, 48, 4)
    assert (settings.n_positions, settings.steps) == (64, 12)
    assert settings.warmup < settings.steps


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_heads_divide_the_width(architecture: str) -> None:
    settings = Settings(architecture)
    for _, width in (*plan.SHAPES, (1, 40), (1, 34)):
        sized = plan.resize(settings, None, 1, width)
        assert sized.n_embd % sized.n_head == sized.n_head % sized.groups == 0
        assert (sized.n_embd // sized.n_head) % 2 == 0
    with pytest.raises(InputError, match=r"30 cannot .* 4; choose a multiple of"):
        plan.resize(settings, 4, 1, 30)


def test_heads_of_a_llama_have_pairs_of_numbers() -> None:
    with pytest.raises(InputError, match="choose a multiple of 8"):
        plan.resize(Settings("llama"), 4, 1, 36)


def test_too_few_tokens_are_refused() -> None:
    with pytest.raises(InputError, match=r"90 held out are too few .* 32 at once; give more text$"):
        plan.fit_text(Settings(), None, 10_000, 90)
    with pytest.raises(InputError, match="or fewer --n-positions"):
        plan.fit_text(Settings(), 256, 10_000, 900)
    small = plan.fit_text(Settings(), None, 1500, 200)
    assert (small.n_positions, small.batch_size) == (32, 32)


def test_a_model_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "not" / "there"
    plan.check_room(Settings(), deep)
    monkeypatch.setattr(plan, "free_space", lambda _: 10**6)
    with pytest.raises(InputError, match=r"takes 0\.084 GB on the disk .* make room"):
        plan.check_room(Settings(), deep)
    with pytest.raises(InputError, match=r"of memory, .* choose a smaller model"):
        plan.check_room(Settings(n_embd=10**5), deep)


def test_the_plan_counts_the_parameters_of_the_bundled_model() -> None:
    report = json.loads((BUNDLED_MODEL / "training.json").read_text())
    assert plan.parameters(Settings()) == pytest.approx(report["parameters"], rel=0.01)


def test_a_vocabulary_fits_its_text() -> None:
    assert tokens.fitting_vocabulary(TALES) == 4096
    assert [tokens.fitting_vocabulary(size) for size in (10**4, 10**6, 10**9)] == [512, 1024, 4096]


def test_a_tokenizer_of_a_text_is_one_for_the_text_track(tmp_path: Path) -> None:
    prepared = data.prepare([text(0), text(1000)], [text(2000, 9)], 400)
    prepared.tokenizer.save(str(tmp_path / "tokenizer.json"))
    own = Tokenizer(tmp_path / "tokenizer.json").parts()
    assert own
    mine = BPETokenizer(*own)
    for sample in (text(2000, 9), "Ünseen, 字!"):
        assert mine.encode(sample) == prepared.tokenizer.encode(sample).ids
    end = prepared.tokenizer.token_to_id(END_OF_TEXT)
    assert list(prepared.train_ids).count(end) == 2
    assert mine.decode(prepared.heldout_ids[1:].tolist()) == text(2000, 9)
    assert prepared.opening == "Part 2000 of it:"
    assert prepared.heldout_bytes == texts.size([text(2000, 9)])


def test_the_card_tells_what_was_measured() -> None:
    report = json.loads((BUNDLED_MODEL / "training.json").read_text())
    report["options"] |= {"architecture": "gpt2"}
    said = card.card("Mine", report, ["tales.txt"])
    for words in (
        "3.62 nats per token, 0.946 nats per byte",
        "3.5 million parameters",
        "6 layers, 6 heads, width 192, context 256, vocabulary 4,096",
        "`tales.txt`: 1,823,265 tokens to learn from, and 83,488 held out",
        "of step 2,900",
        "3,000 of\n3,000 steps",
    ):
        assert words in said


def test_a_plan_and_a_tokenizer_make_a_folder_that_the_course_runs(tmp_path: Path) -> None:
    """All but the training, so that it runs without PyTorch."""
    prepared = data.prepare([text(0)], [text(1000)], 400)
    made = plan.make_plan(
        Wanted(n_layer=1, n_embd=32),
        Settings(vocab_size=prepared.tokenizer.get_vocab_size()),
        len(prepared.train_ids),
        len(prepared.heldout_ids),
        lambda _: 1.0,
    )
    shared = {field.name for field in dataclasses.fields(Config)}
    options = dataclasses.asdict(made.settings).items()
    config = Config(**{name: value for name, value in options if name in shared} | {"n_inner": 128})
    checkpoints.write_folder(tmp_path, config, checkpoints.checkpoint(tied_weights(config)))
    prepared.tokenizer.save(str(tmp_path / "tokenizer.json"))
    write_a_story(tmp_path, prepared.opening)


def write_a_story(model: Path, opening: str) -> None:
    """With the twelve steps, and without a compiler."""
    few = ("--max-new-tokens", "5", "--no-cache")
    numpy = {"TUTOR_KERNELS": "numpy"}
    story = run_child("generate", opening, "--model", str(model), *few, environment=numpy)
    assert story.code == 0, story.err
    assert len(story.out.strip()) > len(opening)
    assert story.out.startswith(opening)


def train(file: Path, *more: str, interrupt: bool = False) -> Finished:
    """`tutor train` of a tiny model in a process of its own, or Ctrl-C in its third step."""
    after = """
from tutor.train import trainer; import os; step = trainer.Trainer.train_step
def third(self):
    step(self)
    if self.step == 3 and self.settings.steps == 12: os.kill(os.getpid(), signal.SIGINT)
trainer.Trainer.train_step = third"""
    code = TUTOR[-1].partition("; from tutor")
    command = f"{code[0]}{after if interrupt else ''}{code[1]}{code[2]}"
    arguments = ["train", str(file), "--output", str(file.parent / "m"), "--steps", "12"]
    sizes = ["--n-layer", "1", "--n-embd", "32", "--n-positions", "32"]
    done = subprocess.run(
        [TUTOR[0], "-c", command, *arguments, *sizes, *more],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@trains
@pytest.mark.full("training")
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_from_a_text_to_a_model_that_the_course_runs(file: Path, architecture: str) -> None:
    done = train(file, "--architecture", architecture)
    assert done.code == 0, done.err
    assert "12 steps" in done.out
    model, command = file.parent / "m", done.out.splitlines()[-1]
    assert command.startswith("tutor generate 'Part ")
    record = json.loads((model / "training.json").read_text())
    assert record["history"][-1]["step"] == 12
    assert record["history"][-1]["heldout_loss"] < record["history"][0]["heldout_loss"]
    assert not list(model.glob("checkpoint.*"))
    assert f"{record['heldout_nats_per_token']:.2f} nats" in (model / "README.md").read_text()
    write_a_story(model, "Part 1")
    again = train(file, "--architecture", architecture)
    assert (again.code, again.err) == (0, "")
    assert "is finished" in again.out


@trains
@pytest.mark.full("training")
def test_ctrl_c_keeps_the_model_and_the_same_command_ends_where_it_would_have(file: Path) -> None:
    whole = train(file)
    assert whole.code == 0, whole.err
    model = file.parent / "m"
    expected = (model / "model.safetensors").read_bytes()
    model.rename(file.parent / "whole")
    stopped = train(file, interrupt=True)
    assert stopped.code == 130, stopped.err
    assert "Interrupted at step 3 of 12" in stopped.out
    write_a_story(model, "Part 1")
    rest = train(file)
    assert rest.code == 0, rest.err
    assert "Continuing from step 3." in rest.out
    assert (model / "model.safetensors").read_bytes() == expected
