"""`tutor generate` writes a story: what it prints where, and how it ends."""

import json
import os
import pty
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.project.commands import SECONDS, assert_refused, run_child, run_here, start_child
from tutor import ROOT
from tutor.engine.generation import Engine
from tutor.runtime import own

STORY: dict[str, Any] = json.loads(
    (ROOT / "tests" / "golden" / "fairy-tales.json").read_text(encoding="utf-8")
)["stories"][0]
ENDLESS = ("--max-new-tokens", "1000000", "--no-stop-at-eos")
PROMPT, TEXT, COUNT = STORY["prompt"], STORY["text"] + "\n", str(len(STORY["new_ids"]))


def test_a_fresh_start_compiles_nothing_and_prints_the_golden_text(tmp_path: Path) -> None:
    finished = run_child(
        "generate",
        *("-", "--greedy", "--max-new-tokens", COUNT),
        stdin=PROMPT.encode() + b"\n",
        environment={own.CACHE_VARIABLE: str(tmp_path / "cache")},
    )
    assert (finished.code, finished.out) == (0, TEXT), finished.err
    assert re.search(rf"^{COUNT} tokens in [\d.]+ s: \d+ tokens/s\n$", finished.err, re.MULTILINE)
    assert not list(tmp_path.iterdir())


@pytest.mark.full("commands in odd situations")
def test_a_reader_that_goes_away_ends_the_story_quietly() -> None:
    with start_child("generate", PROMPT, *ENDLESS) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.read(1) == b"O"
        child.stdout.close()
        assert child.wait(SECONDS) == 0
        assert child.stderr.read() == b""


@pytest.mark.full("commands in odd situations")
def test_an_interrupt_ends_the_story_without_a_traceback() -> None:
    with start_child("generate", PROMPT, *ENDLESS) as child:
        assert child.stdout
        assert child.stdout.read(len(PROMPT) + 1).decode().startswith(PROMPT)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=SECONDS)
        assert (child.returncode, err.strip()) == (130, b"")


def test_output_that_cannot_be_written_is_an_error_of_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full, start_child("--help", stdout=full) as child:
        _, err = child.communicate(timeout=SECONDS)
        assert child.returncode == 2
        assert err.count(b"\n") == 1
        assert b"No space left" in err


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "options", [["--greedy"], ["--temperature", "0", "--seed", "3"], ["--temperature", "1e-320"]]
)
def test_greedy_text_is_the_golden_text_and_has_no_seed(options: list[str]) -> None:
    command = ("generate", PROMPT, "--max-new-tokens", COUNT, *options)
    finished = run_here(*command)
    assert (finished.code, finished.out) == (0, TEXT)
    assert "seed" not in finished.err
    samples = run_here(*command, "--num-samples", "2")
    assert samples.out == f"--- sample 1 ---\n{TEXT}\n--- sample 2 ---\n{TEXT}\n"
    (record,) = map(json.loads, run_here(*command, "--format", "json").out.splitlines())
    assert record["seed"] is None


@pytest.mark.usefixtures("quick")
def test_a_seed_repeats_a_text_and_another_gives_another() -> None:
    def text(*options: str) -> str:
        return run_here("generate", PROMPT, "--max-new-tokens", "12", *options).out

    first = text("--seed", "1")
    assert first.startswith(PROMPT)
    assert len(first) > len(PROMPT) + 12
    assert text("--seed", "1") == first
    assert text("--seed", "2") != first
    assert text("--seed", "1", "--temperature", "2") != first
    assert text() != text()


@pytest.mark.usefixtures("quick")
def test_a_story_may_outgrow_the_context() -> None:
    prompt = "\x01" * 256  # as many tokens as the model sees
    finished = run_here("generate", prompt, "--max-new-tokens", "4", "--greedy")
    assert finished.code == 0
    assert finished.err.startswith("4 tokens in ")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("prompt", ["“Who?” 🧚", " ", "-x", "a\nb\n", "-"])
def test_the_prompt_comes_first_and_as_it_was(prompt: str) -> None:
    finished = run_here(
        "generate", "--max-new-tokens", "1", "--greedy", "--", prompt, stdin=b"1\r\n"
    )
    assert finished.code == 0
    assert finished.out.startswith("1" if prompt == "-" else prompt)


@pytest.mark.usefixtures("quick")
def test_what_the_output_cannot_express_is_replaced() -> None:
    options = ("--greedy", "--max-new-tokens", "1")
    finished = run_here("generate", "“Who is there?", *options, encoding="ascii")
    assert finished.code == 0
    assert finished.out.startswith("?Who is there?")


@pytest.mark.usefixtures("quick")
def test_a_prompt_comes_from_wherever_it_is_given(engine: Engine) -> None:
    ids = ",".join(map(str, engine.tokenizer.encode(PROMPT)))
    ways = [["--prompt", PROMPT], ["--prompt-tokens", ids], ["--prompt", "-"]]
    for way in ways:
        finished = run_here(
            *("generate", *way, "--greedy", "--max-new-tokens", COUNT), stdin=PROMPT.encode()
        )
        assert (finished.code, finished.out) == (0, TEXT), way


@pytest.mark.usefixtures("quick")
def test_top_k_and_top_p_cut_what_is_drawn() -> None:
    for cut in (["--top-k", "1"], ["--top-p", "1e-9"]):
        finished = run_here("generate", PROMPT, "--max-new-tokens", COUNT, "--seed", "1", *cut)
        assert (finished.code, finished.out) == (0, TEXT), cut


@pytest.mark.usefixtures("quick")
def test_a_seed_that_was_drawn_is_told_and_repeats_the_text() -> None:
    drawn = run_here("generate", PROMPT, "--max-new-tokens", "12")
    (seed,) = re.findall(r"seed (\d+)\n$", drawn.err)
    assert run_here("generate", PROMPT, "--max-new-tokens", "12", "--seed", seed).out == drawn.out


@pytest.mark.usefixtures("quick")
def test_samples_are_what_their_seeds_give_alone() -> None:
    options = ("generate", PROMPT, "--max-new-tokens", "12")
    alone = [run_here(*options, "--seed", str(seed)).out for seed in (7, 8, 9)]
    finished = run_here(*options, "--seed", "7", "--num-samples", "3")
    texts = re.split(r"--- sample \d, seed (\d) ---\n", finished.out)
    assert texts[1::2] == ["7", "8", "9"]
    assert [text.removesuffix("\n") for text in texts[2::2]] == alone


@pytest.mark.usefixtures("quick")
def test_json_has_text_tokens_and_seed(engine: Engine) -> None:
    options = ("generate", PROMPT, "--max-new-tokens", "12", "--seed", "3")
    (record,) = map(json.loads, run_here(*options, "--format", "json").out.splitlines())
    assert record["prompt"] + record["text"] + "\n" == run_here(*options).out
    assert engine.tokenizer.decode(record["tokens"]) == record["text"]
    assert record["prompt_tokens"] == engine.tokenizer.encode(PROMPT)
    assert (record["sample"], record["seed"], record["finish"]) == (1, 3, "length")


@pytest.mark.full("commands in odd situations")
@pytest.mark.usefixtures("quick")
def test_lines_of_a_file_are_written_each_as_if_alone(tmp_path: Path) -> None:
    prompts = ["The witch", "A king had three sons, and", "“Who?” 🧚"] * 4  # more than fit at once
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    options = ("generate", "--max-new-tokens", "9", "--seed", "5")
    finished = run_here(*options, "--batch-file", str(file), "--num-samples", "2")
    records = [json.loads(line) for line in finished.out.splitlines()]
    assert finished.code == 0
    expected = [(line, sample) for line in range(1, 13) for sample in (1, 2)]
    assert [(record["line"], record["sample"]) for record in records] == expected
    for record in records[:6]:
        alone = run_here(*options[:-1], str(record["seed"]), prompts[record["line"] - 1])
        assert record["prompt"] + record["text"] + "\n" == alone.out


@pytest.mark.usefixtures("quick")
def test_a_bad_line_of_a_file_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(b"One\n\ncaf\xe9\n" + b"\x01" * 257 + b"\nTwo\n")
    finished = run_here("generate", "--batch-file", str(file), "--max-new-tokens", "2")
    assert finished.code == 1
    assert [json.loads(line)["line"] for line in finished.out.splitlines()] == [1, 5]
    errors = finished.err.splitlines()[:3]
    for error, words in zip(
        errors,
        (
            "line 2: the prompt is empty",
            "line 3: the prompt is not text",
            "line 4: the prompt has 257 tokens",
        ),
        strict=True,
    ):
        assert f"{file}, {words}" in error
    piped = run_here("generate", "--batch-file", "-", "--max-new-tokens", "2", stdin=b"One\n")
    assert (piped.code, len(piped.out.splitlines())) == (0, 1)


@pytest.mark.usefixtures("quick")
def test_a_file_without_a_prompt_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, words in (("empty", "no prompts"), ("missing", "No such file"), (".", "not a file")):
        finished = run_here("generate", "--batch-file", str(tmp_path / name))
        assert_refused(finished, str(tmp_path / name), words)
    (tmp_path / "blank").write_bytes(b"\n\n")
    finished = run_here("generate", "--batch-file", str(tmp_path / "blank"))
    assert (finished.code, finished.out, len(finished.err.splitlines())) == (1, "", 2)


@pytest.mark.usefixtures("quick")
def test_a_byte_order_mark_is_no_part_of_a_prompt() -> None:
    given = "\ufeffThe witch\n".encode()
    finished = run_here("generate", "--batch-file", "-", "--max-new-tokens", "1", stdin=given)
    assert json.loads(finished.out)["prompt"] == "The witch"


@pytest.mark.full("commands in odd situations")
def test_stories_go_to_standard_output_when_a_terminal_shows_the_progress() -> None:
    terminal, other = pty.openpty()
    with start_child(
        "generate", "--batch-file", "-", "--max-new-tokens", "60", stderr=other
    ) as child:
        out, _ = child.communicate(b"Once\nTwice\n", timeout=SECONDS)
    os.close(terminal)
    os.close(other)
    assert [json.loads(line)["line"] for line in out.splitlines()] == [1, 2]


@pytest.mark.full("commands in odd situations")
def test_without_a_cache_the_text_is_the_same() -> None:
    prompt = STORY["text"] + "".join(f" {number}" for number in range(70))
    options = ("generate", prompt, "--max-new-tokens", "40", "--seed", "2", "--no-stop-at-eos")
    cached, plain = run_child(*options), run_child(*options, "--no-cache")
    assert cached.code == plain.code == 0, plain.err
    assert cached.out == plain.out  # past the context, too, which is 256 tokens


@pytest.mark.full("commands in odd situations")
def test_a_bad_line_counts_though_the_reader_goes_away() -> None:
    with start_child("generate", "--batch-file", "-", "--max-new-tokens", "150") as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        child.stdin.write(b"\n" + b"Once\n" * 400)
        child.stdin.close()
        assert child.stdout.readline()
        child.stdout.close()
        assert child.wait(SECONDS) == 1
        assert child.stderr.read().count(b"\n") == 1


@pytest.mark.full("commands in odd situations")
def test_an_interrupt_keeps_the_lines_that_are_written() -> None:
    with start_child("generate", "--batch-file", "-", "--max-new-tokens", "150") as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"Once\n" * 400)
        child.stdin.close()
        first = child.stdout.readline()
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()
        assert child.wait(SECONDS) == 130
    for line in (first + rest).splitlines():
        assert json.loads(line)["finish"]
    assert len(rest.splitlines()) < 399


def test_help_lists_the_commands() -> None:
    finished = run_here("--help")
    assert finished.code == 0
    assert "generate" in finished.out
