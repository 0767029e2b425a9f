"""`tutor generate` writes a story: what it prints where, and how it ends."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from solutions.solution_11 import load_pretrained
from tests.project.commands import SECONDS, run_child, run_here, start_child
from tutor import ROOT, generation, kernels, runtime
from tutor.checkpoint import BUNDLED_MODEL

STORY: dict[str, Any] = json.loads(
    (ROOT / "tests" / "golden" / "fairy-tales.json").read_text(encoding="utf-8")
)["stories"][0]
PROMPT, TEXT, COUNT = STORY["prompt"], STORY["text"] + "\n", str(len(STORY["new_ids"]))


@pytest.fixture(scope="module")
def compiled_model() -> generation.CompiledModel:
    return generation.CompiledModel(load_pretrained(BUNDLED_MODEL))


@pytest.fixture
def quick(
    compiled_model: generation.CompiledModel, monkeypatch: pytest.MonkeyPatch
) -> generation.CompiledModel:
    """Have commands that run here share one compiled model."""
    monkeypatch.setattr(generation, "CompiledModel", lambda _: compiled_model)
    return compiled_model


def test_a_fresh_start_compiles_nothing_and_prints_the_golden_text(tmp_path: Path) -> None:
    finished = run_child(
        "generate",
        *("-", "--greedy", "--max-new-tokens", COUNT),
        stdin=PROMPT.encode() + b"\n",
        environment={runtime.CACHE_VARIABLE: str(tmp_path / "cache")},
    )
    assert (finished.code, finished.out) == (0, TEXT), finished.err
    (summary,) = finished.err.splitlines()
    assert summary.startswith(f"{COUNT} tokens in ")
    assert summary.endswith(" tokens/s")
    if pack := kernels.find_pack():
        found = {str(path.relative_to(tmp_path / "cache")) for path in files(tmp_path)}
        assert found == pack.files.keys()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_reader_that_goes_away_ends_the_story_quietly() -> None:
    with start_child("generate", PROMPT, "--max-new-tokens", "100000") as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.read(1) == b"O"
        child.stdout.close()
        assert child.wait(SECONDS) == 0
        assert child.stderr.read() == b""


def test_an_interrupt_ends_the_story_without_a_traceback() -> None:
    with start_child("generate", PROMPT, "--max-new-tokens", "100000") as child:
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
@pytest.mark.parametrize("options", [["--greedy"], ["--temperature", "0", "--seed", "3"]])
def test_greedy_text_is_the_golden_text(options: list[str]) -> None:
    finished = run_here("generate", PROMPT, "--max-new-tokens", COUNT, *options)
    assert (finished.code, finished.out) == (0, TEXT)


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


def test_tokens_are_counted_and_not_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "CompiledModel", lambda _: None)
    pieces = [("龍", 3), ("!", 1)]
    monkeypatch.setattr(generation, "stream_text", lambda *_, **__: iter(pieces))
    finished = run_here("generate", PROMPT)
    assert finished.out == PROMPT + "龍!\n"
    assert finished.err.startswith("4 tokens in ")


def test_what_the_output_cannot_express_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "CompiledModel", lambda _: None)
    monkeypatch.setattr(generation, "stream_text", lambda *_, **__: iter([("”", 1)]))
    finished = run_here("generate", "“Who is there?", encoding="ascii")
    assert (finished.code, finished.out) == (0, "?Who is there??\n")


def test_without_a_command_there_is_help() -> None:
    finished = run_here()
    assert finished.code == 0
    assert "generate" in finished.out
