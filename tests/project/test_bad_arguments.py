"""What the command is told: prompts, options and names that cannot be served."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

from tests.project.commands import assert_refused, run_child, run_here
from tutor.course.registry import find_step
from tutor.engine import generation, trees
from tutor.engine.checkpoint import BUNDLED_MODEL

# One token for each character, since no tale has it, and one more than the bundled model sees.
TOO_LONG = "\x01" * 257


@pytest.mark.parametrize("arguments", [[""], ["", "--greedy"]])
def test_an_empty_prompt_is_refused(arguments: list[str]) -> None:
    assert_refused(run_here("generate", *arguments), "prompt", "empty")


@pytest.mark.parametrize("stdin", [b"", b"\n", b"\r\n\n", None])  # None: it is closed
def test_an_empty_prompt_on_standard_input_is_refused(stdin: bytes | None) -> None:
    assert_refused(run_here("generate", "-", stdin=stdin), "prompt", "empty")


def test_bytes_that_are_no_text_are_refused() -> None:
    assert_refused(run_here("generate", "-", stdin=b"caf\xe9"), "prompt", "UTF-8")
    assert_refused(run_here("generate", b"caf\xe9".decode(errors="surrogateescape")), "UTF-8")


def test_a_prompt_longer_than_the_context_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "make_loop", None)  # it is not worth compiling for
    for argument, stdin in ((TOO_LONG, b""), ("-", TOO_LONG.encode())):
        assert_refused(run_here("generate", argument, stdin=stdin), "prompt", "257 tokens", "256")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--temperature", "-0.1"),
        ("--temperature", "-inf"),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--temperature", "warm"),
        ("--top-p", "0"),
        ("--top-p", "1.01"),
        ("--top-p", "nan"),
        ("--top-k", "0"),
        ("--top-k", "-1"),
        ("--top-k", "4097"),
        ("--num-samples", "0"),
        ("--device", "abacus"),
        ("--dtype", "float8"),
        ("--format", "xml"),
        ("--max-new-tokens", "0"),
        ("--max-new-tokens", "-7"),
        ("--max-new-tokens", "1.5"),
        ("--context", "0"),
        ("--context", "257"),
        ("--context", "1.5"),
        ("--seed", "-3"),
        ("--tree", "learners"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_named(option: str, value: str) -> None:
    assert_refused(run_here("generate", "Once", option, value), option, value)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["generate", "--model"], "--model"),
        (["generate", "--colour", "red"], "--colour"),
        (["generate", "Once", "upon"], "upon"),
        (["generate", "Once", "--prompt", "upon"], "PROMPT and --prompt"),
        (["generate", "Once", "--batch-file", "a.txt"], "PROMPT and --batch-file"),
        (["sing"], "sing"),
        (["--loud"], "--loud"),
    ],
)
def test_usage_that_does_not_exist_is_named_with_where_to_look(
    arguments: list[str], named: str
) -> None:
    assert_refused(run_here(*arguments), named, "--help")


def test_a_step_that_is_not_finished_is_named() -> None:
    finished = run_here("generate", "Once", "--tree", "steps")
    assert_refused(finished, "steps/step_01.py is not finished", "tutor check 1", "--tree")


def test_a_module_that_a_step_lacks_is_not_taken_for_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "solutions.solution_11", raising=False)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ModuleNotFoundError):
        trees.load_step("solutions", find_step("11"))


@pytest.mark.parametrize("name", ["", "/nowhere", "./nowhere", "~/nowhere", "README.md"])
def test_a_path_that_is_no_folder_is_named(name: str) -> None:
    assert_refused(run_here("generate", "Once", "--model", name), repr(name), "no folder")


def test_a_path_that_cannot_be_looked_up_is_named() -> None:
    name = "long" * 100
    assert_refused(run_here("generate", "Once", "--model", name), name, "cannot be opened")


@pytest.mark.parametrize("name", ["a/b/c", "two words"])
def test_a_name_that_no_model_can_have_is_named(name: str) -> None:
    assert_refused(run_here("generate", "Once", "--model", name), repr(name), "neither a folder")


@pytest.mark.parametrize("name", ["[/red]", "two\nlines", "{0} %s \\", "-- -", "Märchen 🧚"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(BUNDLED_MODEL, folder)
    finished = run_here("generate", TOO_LONG, "--model", str(folder))
    assert_refused(finished, "257 tokens")  # so it was loaded
    (folder / "config.json").unlink()
    finished = run_here("generate", "Once", "--model", str(folder))
    assert_refused(finished, " ".join(name.split()), "config.json")


@pytest.mark.full("commands in odd situations")
def test_without_network_a_hub_name_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        environments = ({"HF_ENDPOINT": nowhere}, {"HF_HUB_OFFLINE": "1"})
        for environment in environments:
            environment["HF_HOME"] = str(tmp_path)
            finished = run_child("generate", "Once", "--model", "gpt2", environment=environment)
            assert_refused(finished, "'gpt2'", "network", "local folder")
