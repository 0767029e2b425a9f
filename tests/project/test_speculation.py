"""Speculative decoding in `tutor generate`: who has a draft, and that no text changes by it."""

import itertools
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.project.commands import run_here
from tests.project.tiers import partly
from tutor.engine import drafts
from tutor.engine.generation import Engine, load_engine
from tutor.engine.loops import Options, SpeculativeLoop
from tutor.runtime import graphs

WHO = (
    *("Once upon a time", "The witch", "A king", "Hansel", "My old cat", "“Listen,” she said. It"),
    *("The three brothers", "In the forest", "12 dwarfs", "Hello! "),
)
WHAT = ("", " had a daughter who", " went away, and", " never came back. Then", " was so")
PROMPTS = [who + what for who, what in itertools.product(WHO, WHAT)]
SETTINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"temperature": 0.9},
    {"temperature": 1.2, "top_k": 50, "top_p": 0.9},
)


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Engine]]:
    """The bundled model without a draft, and with one, which it is too small for otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafts, "FEWEST", 0)
        both = [load_engine(speculation=speculation) for speculation in (False, True)]
        assert [isinstance(each.loop, SpeculativeLoop) for each in both] == [False, True]
        yield both


@pytest.mark.full("texts with and without guesses")
@pytest.mark.parametrize(("prompt", "setting"), itertools.product(PROMPTS, range(len(SETTINGS))))
def test_a_text_is_the_same_with_guesses(engines: list[Engine], prompt: str, setting: int) -> None:
    options = {"seed": PROMPTS.index(prompt), "max_new_tokens": 100, **SETTINGS[setting]}
    plain, speculative = (engine.write(prompt, **options) for engine in engines)
    assert speculative == plain


@pytest.mark.full("texts with and without guesses")
def test_a_text_that_outgrows_the_context_is_the_same(engines: list[Engine]) -> None:
    options = {"seed": 1, "max_new_tokens": 300, "stop_at_eos": False}
    plain, speculative = (engine.write("Once upon a time", **options) for engine in engines)
    assert speculative == plain


def test_several_texts_are_written_without_guesses(engines: list[Engine]) -> None:
    engine = engines[1]
    before = engine.loop.remark
    stories = [engine.story("Once upon a time", seed) for seed in (1, 2)]
    for _ in engine.run(stories, Options(max_new_tokens=20)):
        pass
    assert engine.loop.remark == before
    assert [story.text for story in stories] == [
        engines[0].write(story.prompt, seed=story.seed, max_new_tokens=20)[len(story.prompt) :]
        for story in stories
    ]


@pytest.mark.full("texts with and without guesses")
def test_the_last_line_says_how_many_guesses_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "FEWEST", 0)
    command = ("generate", "Once upon a time", "--greedy", "--max-new-tokens", "60")
    found = run_here(*command)
    told = re.search(r"; (\d+) of (\d+) guesses stood$", found.err)
    assert told, found.err
    stood, guessed = map(int, told.groups())
    assert 20 < stood < guessed < 60 * 4
    without = run_here(*command, "--no-speculation")
    assert "guesses" not in without.err
    assert without.out == found.out


@pytest.mark.parametrize(
    ("what", "has_draft"),
    partly(
        "texts with and without guesses",
        [
            ("nothing", True),
            ("small", False),
            ("memory", False),
            ("widths", False),
            ("graph", False),
        ],
        ("small", False).__eq__,
    ),
)
def test_a_draft_is_made_only_where_it_pays(
    what: str, has_draft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_engine().model
    monkeypatch.setattr(drafts, "FEWEST", 10**9 if what == "small" else 0)
    if what == "memory":
        free = 2 * drafts.needed_memory(3_505_152, 2 * 6 * 192 * 256) - 1
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    if what == "widths":
        monkeypatch.setattr("tutor.engine.quantization.BLOCK", 7)
    if what == "graph":
        monkeypatch.setattr(graphs, "find", lambda *_: None)
    with graphs.postponed() as waiting:
        assert (drafts.make_draft(model) is not None) == has_draft
    assert not waiting
