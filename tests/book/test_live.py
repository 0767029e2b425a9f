"""The model that runs in the pages: the ids, numbers and stories are those of the course."""

import functools
import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser
from tokenizers import Tokenizer

from tests import oracle
from tests.book import live, test_widget_data
from tests.book.live import (
    LLAMA,
    encode,
    follow,
    gpt2_logits,
    llama_logits,
    llama_weights,
    rounded,
    sizes,
    weights,
)
from tests.book.test_widget_data import Array, config
from tests.project.test_parity import TEXTS
from tests.project.tiers import partly
from tools.book.export_widget_data import SENTENCE
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.generation import load_engine
from tutor.engine.loops import Options

KIND = "pages in a browser"

# Sums are in float64; the weights, rounded to their steps, and the cache are in float32. That moves
# logits of up to 11 by 3e-7, and an epsilon of 1e-6 moves the GPT-2's by 3e-4, the Llama's by 4e-3.
LIVE_TOLERANCE = 3e-6
# The steps move the logits of the sentence by 0.016; steps that are 4 times as long, by 0.07.
ROUNDING_TOLERANCE = 0.03
MOST_BYTES = 5_000_000  # of the weights of a model, as a server compresses them

PROMPTS = ("Once upon a time", "There was once a king", "My dear child,", "“Who are you?”")
NEW_TOKENS = 120

Logits = Callable[[list[int]], Array]


@pytest.fixture(scope="module", params=partly(KIND, ["node", "Chromium"], "node".__eq__))
def probe(request: pytest.FixtureRequest, site: Path, browser: Browser) -> Iterator[live.Probe]:
    if request.param == "node":
        yield live.in_node
        return
    page = browser.new_page()
    yield live.in_page(page, site)
    page.close()


def texts_of_all_unicode(count: int) -> list[str]:
    """Texts of characters of all kinds, those that tokenizers treat apart more often."""
    rng = random.Random(20)  # noqa: S311 (nothing is secret)
    kinds = [
        lambda: chr(rng.randrange(32, 127)),
        lambda: rng.choice(" \t\n\r\v\f\x85\xa0\u2003\u2028\u3000\ufeff\u200b\u180e"),
        lambda: rng.choice(["'s", "'ll", "’t", " the", "éà", "½", "٣", "Ⅷ", "<|endoftext|>"]),
        lambda: chr(rng.randrange(0x80, 0xD800)),
        lambda: chr(rng.randrange(0xE000, 0x110000)),
    ]
    lengths = (rng.randrange(1, 40) for _ in range(count - len(TEXTS)))
    drawn = ["".join(rng.choice(kinds)() for _ in range(length)) for length in lengths]
    return [*TEXTS, *drawn]


def test_the_ids_are_those_of_the_tokenizers_library(probe: live.Probe) -> None:
    tokenizer = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
    texts = texts_of_all_unicode(1000)
    found = probe(texts=texts)
    for text, ids, decoded in zip(texts, found["encoded"], found["decoded"], strict=True):
        assert ids == tokenizer.encode(text).ids, text
        assert decoded == text


def test_logits_and_attention_are_those_of_the_oracle(probe: live.Probe) -> None:
    ids = encode(SENTENCE)
    found = probe(ids=ids)
    expected = gpt2_logits(weights(), ids)
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=LIVE_TOLERANCE)
    attention, stages = follow(SENTENCE)
    for query, layers in enumerate(found["shares"]):
        for layer, heads in enumerate(layers):
            wanted = attention[layer][:, query, : query + 1]
            np.testing.assert_allclose(heads, wanted, rtol=0, atol=LIVE_TOLERANCE)
            end = found["ends"][query][layer]
            np.testing.assert_allclose(end, stages[layer][-1][query], rtol=0, atol=LIVE_TOLERANCE)


@pytest.mark.parametrize("part", partly(KIND, ["2.3", "1.attn", "4.mlp", "0"], "2.3".__eq__))
def test_a_part_that_is_off_adds_nothing(part: str) -> None:
    ids, changed = encode(SENTENCE), dict(weights())
    layer, _, what = part.partition(".")
    block = f"transformer.h.{layer}"
    width = config()["n_embd"] // config()["n_head"]
    for name in [name for name in changed if name.startswith(f"{block}.")]:
        kind = name.removeprefix(f"{block}.")
        if kind.startswith(f"{what or ''}") and ".c_proj." in kind and not what.isdigit():
            changed[name] = np.zeros_like(changed[name])
    if what.isdigit():
        name, head = f"{block}.attn.c_proj.weight", int(what)
        changed[name] = changed[name].copy()
        changed[name][:, head * width : (head + 1) * width] = 0
    expected = oracle.lm_head_model(changed, np.array([ids]), *sizes())[0]
    found = live.in_node(ids=ids, off=[part])
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=LIVE_TOLERANCE)
    whole = oracle.lm_head_model(weights(), np.array([ids]), *sizes())[0]
    assert np.abs(expected - whole).max() > 1000 * LIVE_TOLERANCE


@pytest.mark.parametrize("off", [[], ["3.1", "2.mlp"]])
def test_what_the_parts_add_is_the_logit(off: list[str]) -> None:
    ids = encode(SENTENCE)
    found = live.in_node(ids=ids, off=off, shareOut=[len(ids) - 1, 270])
    parts = found["shareOut"]
    total = parts["start"] + np.sum(parts["heads"]) + np.sum(parts["mlps"]) + parts["rest"]
    assert total == pytest.approx(found["logits"][-1][270], abs=LIVE_TOLERANCE)
    assert np.abs(parts["heads"][3][1]) == pytest.approx(0, abs=1e-12) or not off


def test_a_token_can_be_told_another_position() -> None:
    ids = encode(SENTENCE)
    places = [1, 0, *range(2, len(ids))]
    swapped = dict(weights())
    name = "transformer.wpe.weight"
    swapped[name] = swapped[name][[1, 0, *range(2, len(swapped[name]))]]
    expected = oracle.lm_head_model(swapped, np.array([ids]), *sizes())[0]
    found = live.in_node(ids=ids, places=places)["logits"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIVE_TOLERANCE)


@pytest.mark.parametrize(("position", "layer"), [(11, 3), (4, 0)])
def test_the_numbers_inside_are_those_of_the_oracle(position: int, layer: int) -> None:
    ids = encode(SENTENCE)
    _, heads, epsilon = sizes()
    model = oracle.under(weights(), "transformer")
    block = oracle.under(model, f"h.{layer}")
    attention, stages = follow(SENTENCE)
    x, ln_1, attn, attn_sum, ln_2, mlp, end = (stage[position] for stage in stages[layer])
    c_fc = oracle.linear(oracle.under(block, "mlp.c_fc"), ln_2)
    last = stages[-1][-1][position]
    scored = oracle.scores_and_values(oracle.under(block, "attn"), stages[layer][1][None], heads)
    wte, wpe = model["wte.weight"][ids[position]], model["wpe.weight"][position]
    expected = {
        "ids": [ids[position]],
        "wte": wte,
        "wpe": wpe,
        "start": wte + wpe,
        "x": x,
        "ln_1": ln_1,
        "attn": attn,
        "attn_sum": attn_sum,
        "ln_2": ln_2,
        "c_fc": c_fc,
        "gelu": oracle.gelu(c_fc),
        "mlp": mlp,
        "end": end,
        "c_attn": oracle.linear(oracle.under(block, "attn.c_attn"), ln_1),
        "scores": np.concatenate([each[0, position, : position + 1] for each, _ in scored]),
        "shares": attention[layer][:, position, : position + 1].ravel(),
        "ln_f": oracle.layer_norm(oracle.under(model, "ln_f"), last, epsilon),
    }
    found = live.in_node(ids=ids, inside=[position, layer])["inside"]
    assert found.keys() == expected.keys()
    for box, numbers in expected.items():
        np.testing.assert_allclose(found[box], numbers, rtol=0, atol=LIVE_TOLERANCE, err_msg=box)


def test_logits_of_the_llama_are_those_of_the_oracle(probe: live.Probe) -> None:
    ids = encode(SENTENCE)
    found = probe(llama=True, ids=ids)
    expected = llama_logits(rounded(llama_weights()), ids)
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=LIVE_TOLERANCE)


def test_rounding_moves_the_logits_little() -> None:
    ids = encode(SENTENCE)
    exact = [gpt2_logits(test_widget_data.weights(), ids), llama_logits(llama_weights(), ids)]
    own = [gpt2_logits(weights(), ids), llama_logits(rounded(llama_weights()), ids)]
    np.testing.assert_allclose(own, exact, rtol=0, atol=ROUNDING_TOLERANCE)


def check_story(
    found: list[int], expected: list[int], logits: Callable[[list[int]], Array]
) -> None:
    """Equal, at least up to two tokens that are so close that rounding may swap them."""
    assert len(found) == len(expected)
    for place, (token, wanted) in enumerate(zip(found, expected, strict=True)):
        if token != wanted:
            row = logits(expected[:place])[-1]
            assert abs(row[token] - row[wanted]) < ROUNDING_TOLERANCE
            return


@pytest.mark.full(KIND)
def test_the_stories_are_those_of_the_course(probe: live.Probe) -> None:
    engine = load_engine()
    stories = [engine.story(prompt) for prompt in PROMPTS]
    for _ in engine.run(stories, Options(NEW_TOKENS, temperature=0, stop_at_eos=False)):
        pass
    found = probe(prompts=[story.prompt_ids for story in stories], newTokens=NEW_TOKENS)
    logits = functools.partial(gpt2_logits, test_widget_data.weights())
    for ids, story in zip(found["stories"], stories, strict=True):
        check_story(ids, story.prompt_ids + story.new_ids, logits)


def test_the_llama_s_stories_are_those_of_transformers(probe: live.Probe) -> None:
    golden = json.loads((ROOT / "tests" / "golden" / f"{LLAMA.name}.json").read_text())["stories"]
    new_tokens = len(golden[0]["new_ids"])
    found = probe(llama=True, prompts=[it["prompt_ids"] for it in golden], newTokens=new_tokens)
    logits = functools.partial(llama_logits, llama_weights())
    for ids, story in zip(found["stories"], golden, strict=True):
        check_story(ids, story["prompt_ids"] + story["new_ids"], logits)


@pytest.mark.parametrize("file", [live.WEIGHTS, live.LLAMA_WEIGHTS], ids=lambda file: file.stem)
def test_the_weights_fit_a_page(file: Path) -> None:
    assert len(gzip.compress(file.read_bytes(), 6)) < MOST_BYTES
