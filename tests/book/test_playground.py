"""The live figures: what the page says is what the model computes, for mouse, keys and readers."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from solutions.engine_02 import Sampling, probabilities
from tests import oracle
from tests.book.live import (
    LLAMA,
    LLAMA_WEIGHTS,
    WEIGHTS,
    encode,
    follow,
    llama_logits,
    llama_weights,
    rounded,
    sizes,
    weights,
)
from tests.book.test_live import KIND
from tests.book.test_pages import DESKTOP, FIND_WIDE, PHONE, THEMES, Visitor
from tests.book.test_widget_data import tokenizer
from tests.project.tiers import partly
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL

KING = "Once upon a time there was a king and a"
LINK = f"playground.html#live&text={KING.replace(' ', '+')}&temperature=1&head=4.4"
SHOWN, FEW = 10, 6  # next tokens, on a page of their own and on a small one
MOST_WAIT = 100  # ms, from a key to what the page shows; the median of several, on a busy machine

MOST_BYTES = 300_000  # of a page as a server compresses it, without the model

Open = Callable[[str], Locator]


@pytest.fixture
def live(quiet_page: Page, site: Path) -> Open:
    """Opens a page and wakes its model; nothing may go wrong until the test is over."""

    def find(name: str) -> Locator:
        quiet_page.goto(f"{site.as_uri()}/{name}")
        figure = quiet_page.locator("figure.live").first
        button = figure.locator(".wake")
        if button.count():
            button.click()
        expect(figure.locator(".chip").first).to_be_visible(timeout=30_000)
        return figure

    return find


def logits(text: str, off: dict[str, slice] | None = None) -> oracle.Array:
    """The last logits of a text, [1, V]; without some columns of some matrices."""
    changed = dict(weights())
    for name, columns in (off or {}).items():
        changed[name] = changed[name].copy()
        changed[name][..., columns] = 0
    return oracle.lm_head_model(changed, np.array([encode(text)]), *sizes())[:, -1]


def show(token: int) -> str:
    return tokenizer().decode([token]).replace(" ", "␣").replace("\n", "↵")


def bars(values: oracle.Array, sampling: Sampling) -> list[str]:
    """What the bars should say."""
    shares = probabilities(values, sampling)[0]
    order = np.argsort(-values[0], kind="stable")[:SHOWN]
    return [f"{show(int(t))} {f'{shares[t]:.1%}' if shares[t] else 'cut'}" for t in order]


def shown(figure: Locator) -> list[str]:
    return [" ".join(text.split()) for text in figure.locator(".next li").all_inner_texts()]


@pytest.mark.full(KIND)
def test_a_link_brings_its_state_and_a_head_can_be_switched_off(live: Open, page: Page) -> None:
    figure = live(LINK)
    assert shown(figure) == bars(logits(KING), Sampling())
    figure.get_by_role("checkbox", name="head 4 of h.4").check()
    expect(figure.locator(".off")).to_have_text("Off: head 4 of h.4.")
    changed = logits(KING, {"transformer.h.4.attn.c_proj.weight": slice(128, 160)})
    assert shown(figure) == bars(changed, Sampling())
    page.wait_for_url("**&off=4.4&**")
    figure.get_by_role("button", name="All on again").click()
    expect(figure.locator(".off")).to_be_empty()
    assert shown(figure) == bars(logits(KING), Sampling())


@pytest.mark.parametrize("name", ["index.html", "playground.html"])
def test_a_page_is_light_without_the_model(page: Page, site: Path, name: str) -> None:
    asked: set[Path] = set()
    page.on("request", lambda request: asked.add(Path(urlsplit(request.url).path)))
    page.goto((site / name).as_uri())
    files = [file for file in asked if file.is_file() and file.name != WEIGHTS.name]
    assert site / name in files
    assert len(files) > 20
    packed = {file.name: len(gzip.compress(file.read_bytes())) for file in files}
    assert sum(packed.values()) < MOST_BYTES, packed


@pytest.mark.parametrize(
    ("name", "file"),
    partly(
        KIND,
        [
            *((name, WEIGHTS) for name in ("index.html", "step_07.html", "playground.html")),
            ("modern_09.html", LLAMA_WEIGHTS),
        ],
        lambda each: each[0] == "index.html",
    ),
)
def test_a_story_stands_in_where_the_model_is_missing(
    page: Page, site: Path, name: str, file: Path
) -> None:
    page.route(f"**/{file.name}", lambda route: route.abort())
    page.goto((site / name).as_uri())
    figure = page.locator("figure.live")
    if figure.locator(".wake").count():
        figure.locator(".wake").click()
    expect(figure.get_by_role("status")).to_contain_text("can't be run here")
    expect(figure.locator(".fallback").first).to_be_visible()


@pytest.mark.full(KIND)
@pytest.mark.parametrize("sampling", [Sampling(0.5), Sampling(top_k=3), Sampling(top_p=0.5)])
def test_the_sliders_change_the_odds(live: Open, sampling: Sampling) -> None:
    figure = live(LINK)
    figure.locator("[name=temperature]").fill(str(sampling.temperature))
    figure.locator("[name=top_k]").fill("2" if sampling.top_k else "19")
    figure.locator("[name=top_p]").fill(str(sampling.top_p))
    assert shown(figure) == bars(logits(KING), sampling)


@pytest.mark.full(KIND)
def test_a_link_of_the_page_changes_the_state(live: Open, page: Page) -> None:
    figure = live("playground.html")
    page.get_by_role("link", name="switch off head 4 of h.4").click()
    expect(figure.locator(".off")).to_have_text("Off: head 4 of h.4.")
    expect(figure.locator("textarea")).to_have_value(KING)
    assert shown(figure)[0].startswith("␣queen 17.3%")


@pytest.mark.full(KIND)
def test_a_chapter_masks_a_sentence_and_leads_to_the_playground(live: Open, page: Page) -> None:
    figure = live("step_02.html")
    figure.locator("textarea").fill("The king and the queen")
    rows = figure.locator(".map .row")
    expect(rows).to_have_count(5)
    assert [row.locator(".cell").count() for row in rows.all()] == [1, 2, 3, 4, 5]
    rows.nth(2).click()
    expect(figure.locator(".named")).to_have_text(
        "“␣and” (2) sees keys 0 to 2 and none of the 2 after it: those get −inf."
    )
    figure.get_by_role("link", name="playground").click()
    expect(page.locator("textarea")).to_have_value("The king and the queen", timeout=30_000)


@pytest.mark.full(KIND)
def test_a_token_is_chosen_by_a_press_and_the_story_grows(live: Open) -> None:
    figure = live(LINK)
    figure.get_by_role("button", name="queen", exact=False).first.press("Enter")
    expect(figure.locator(".story")).to_have_text(f"{KING} queen")
    expect(figure.locator(".news")).to_have_text("You added “␣queen”.")
    assert shown(figure) == bars(logits(f"{KING} queen"), Sampling())
    figure.locator("[name=temperature]").fill("0")
    figure.get_by_role("button", name="One token").click()
    best = show(int(logits(f"{KING} queen").argmax()))
    expect(figure.locator(".news")).to_have_text(f"The model added “{best}”.")
    figure.get_by_role("button", name="Keep writing").click()
    expect(figure.locator(".chip").nth(19)).to_be_attached(timeout=20_000)
    figure.get_by_role("button", name="Stop").click()
    figure.get_by_role("button", name="Start over").click()
    expect(figure.locator(".chip")).to_have_count(len(encode(KING)))


@pytest.mark.full(KIND)
def test_chips_are_the_tokens_with_their_ids_and_keys_walk_over_them(live: Open) -> None:
    figure = live(LINK)
    ids = encode(KING)
    assert figure.locator(".chip small").all_inner_texts() == [str(token) for token in ids]
    assert figure.locator(".chip code").all_text_contents() == [show(token) for token in ids]
    figure.locator(".chip input").last.press("ArrowLeft")
    attention, _ = follow(KING)
    query = len(ids) - 2
    row = attention[4][4][query, : query + 1]
    first = int(row.argmax())
    expect(figure.locator(".named")).to_have_text(
        re.compile(
            re.escape(
                f"Head 4 of h.4: “{show(ids[query])}” ({query}) gives "
                f"{row[first]:.2f} to “{show(ids[first])}” ({first}), "
            )
        )
    )
    expect(figure.locator(".map .asking")).to_have_attribute("data-token", str(query))


@pytest.mark.full(KIND)
def test_the_path_says_what_the_model_would_say_after_each_block(live: Open) -> None:
    figure = live(LINK)
    rows = figure.locator(".path tbody tr")
    expect(rows).to_have_count(7)
    _, stages = follow(KING)
    final = oracle.under(weights(), "transformer.ln_f")
    for layer, row in enumerate(stages):
        normed = oracle.layer_norm(final, row[-1][-1], sizes()[-1])
        shares = oracle.softmax(normed @ weights()["lm_head.weight"].T)
        best = int(shares.argmax())
        said = " ".join(rows.nth(layer + 1).locator(".said span").first.inner_text().split())
        assert said == f"{show(best)} {shares[best]:.1%}"
    numbers = [
        float(text.replace("−", "-")) for text in rows.locator(".more, .less").all_inner_texts()
    ]
    queen = float(logits(KING)[0, encode(" queen")[0]])
    biases = float(
        re.findall(r"biases to ([+−][\d.]+)", figure.locator(".path .note").inner_text())[
            0
        ].replace("−", "-")
    )
    assert sum(numbers) + biases == pytest.approx(queen, abs=0.05 * (len(numbers) + 1))


@pytest.mark.full(KIND)
@pytest.mark.parametrize(
    ("name", "layer", "stages"),
    [("step_03.html", 2, (0, 1, 3, 4)), ("step_08.html", 5, (0, 1, 2, 3, 4, 5, 6))],
)
def test_a_token_is_followed_through_a_block(
    live: Open, name: str, layer: int, stages: tuple[int, ...]
) -> None:
    figure = live(name)
    figure.locator("textarea").fill(KING)
    expect(figure.locator(".chip")).to_have_count(len(encode(KING)))
    figure.locator("[name=block]").fill(f"{layer}")
    expect(figure.locator(".stages .title")).to_have_text(f"“␣a” (9) in h.{layer}")
    _, vectors = follow(KING)
    rows = figure.locator(".stages tbody tr")
    expect(rows).to_have_count(len(stages))
    for row, stage in zip(rows.all(), stages, strict=True):
        vector = vectors[layer][stage][9]
        expected = [f"{np.linalg.norm(vector):.2f}", f"{vector.mean():.3f}", f"{vector.std():.2f}"]
        told = [text.replace("−", "-") for text in row.locator("td").all_inner_texts()]
        assert told[1:] == expected


@pytest.mark.full(KIND)
def test_the_lens_of_the_stack_is_that_of_the_head(live: Open) -> None:
    figure = live("step_09.html")
    rows = figure.locator(".path tbody tr")
    expect(rows).to_have_count(7)
    best = int(logits(KING).argmax())
    expect(rows.last.locator(".said code").first).to_have_text(show(best))
    expect(figure.locator(".more").first).to_be_hidden()


@pytest.mark.full(KIND)
def test_positions_are_swapped_or_all_0(live: Open) -> None:
    figure = live("step_06.html")
    name = "transformer.wpe.weight"
    for choice, rows in (("it swapped", [*range(8), 9, 8]), ("all of them", [0] * 10)):
        figure.get_by_role("radio", name=choice).check()
        changed = {**weights(), name: weights()[name][rows]}
        values = oracle.lm_head_model(changed, np.array([encode(KING)]), *sizes())[:, -1]
        shares = probabilities(values, Sampling())[0]
        best = int(shares.argmax())
        said = f"the most likely next token is “{show(best)}”, with {shares[best]:.1%}."
        expect(figure.locator(".places .named")).to_contain_text(said)


@pytest.mark.full(KIND)
def test_the_columns_of_a_cache_are_counted(quiet_page: Page, site: Path) -> None:
    quiet_page.goto((site / "engine_04.html").as_uri())
    figure = quiet_page.locator("figure.live")
    figure.locator(".wake").click()
    counted = figure.locator(".counted")
    expect(counted).to_have_text("5 columns, 5 without", timeout=30_000)
    figure.get_by_role("button", name="One more token").click()
    expect(counted).to_have_text("6 columns, 11 without")
    best = int(logits("Once upon a time there").argmax())
    expect(figure.locator("tbody tr").last.locator(".new")).to_have_text(show(best))
    # Of the changed text, the first two tokens are known.
    figure.locator("textarea").fill("Once upon the king")
    expect(counted).to_have_text("8 columns, 15 without")


def golden_story(model: Path) -> dict[str, Any]:
    """A greedy story of transformers' own model."""
    text = (ROOT / "tests" / "golden" / f"{model.name}.json").read_text()
    story: dict[str, Any] = json.loads(text)["stories"][1]
    return story


@pytest.mark.full(KIND)
def test_two_models_continue_one_text(quiet_page: Page, site: Path) -> None:
    quiet_page.goto((site / "modern_09.html").as_uri())
    figure = quiet_page.locator("figure.live")
    figure.get_by_role("button", name="10 MB").press("Enter")
    gpt2, llama = (figure.locator(".columns > div").nth(i) for i in range(2))
    expect(llama.locator(".share").first).to_be_visible(timeout=30_000)
    figure.locator("textarea").fill(KING)
    of_llama = llama_logits(rounded(llama_weights()), encode(KING))[-1:]
    for column, values in ((gpt2, logits(KING)), (llama, of_llama)):
        expect(column.locator(".story")).to_have_text(KING)
        assert shown(column) == bars(values, Sampling())[:FEW]
    story, other = golden_story(BUNDLED_MODEL), golden_story(LLAMA)
    figure.locator("textarea").fill(story["prompt"])
    expect(llama.locator(".story")).to_have_text(story["prompt"])
    figure.get_by_role("button", name="One token").click()
    first, second = (show(each["new_ids"][0]) for each in (story, other))
    said = f"GPT-2 added “{first}”, Llama added “{second}”."
    expect(figure.locator(".news")).to_have_text(said)
    figure.get_by_role("button", name="Keep writing").click()
    expect(llama.locator(".story")).to_contain_text(other["text"][:100], timeout=20_000)
    expect(gpt2.locator(".story")).to_contain_text(story["text"][:100])
    figure.get_by_role("button", name="Stop").click()
    llama.locator(".next button").first.click()
    expect(figure.locator(".news")).to_contain_text("You added")
    figure.get_by_role("button", name="Start over").click()
    expect(gpt2.locator(".story")).to_have_text(story["prompt"])


@pytest.mark.full(KIND)
def test_heads_are_walked_over_by_keys(live: Open, page: Page) -> None:
    figure = live(LINK)
    figure.get_by_role("radio", name="Block h.4, head 4").press("ArrowRight")
    expect(figure.locator(".which")).to_contain_text("Head 5 of block h.4")
    assert page.url.split("#")[0].endswith("playground.html")


@pytest.mark.full(KIND)
def test_what_is_typed_is_read_within_a_blink(live: Open, page: Page) -> None:
    figure = live(LINK)
    waits = page.evaluate(
        """async () => {
            const box = document.querySelector(".live [name=temperature]");
            const waits = [];
            for (let i = 1; i <= 15; i += 1) {
                const begun = performance.now();
                box.value = i / 10;
                box.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise(requestAnimationFrame);
                waits.push(performance.now() - begun);
            }
            return waits;
        }"""
    )
    assert np.median(waits) < MOST_WAIT
    figure.locator("textarea").fill("The king")
    expect(figure.locator(".chip")).to_have_count(2)
    figure.locator("textarea").fill("")
    expect(figure.locator(".chip code")).to_have_text(["<|endoftext|>"])


@pytest.mark.full(KIND)
@pytest.mark.parametrize(
    "name",
    [LINK, "index.html", "step_06.html", "step_08.html", "engine_04.html", "modern_09.html"],
)
def test_a_live_model_shuts_nobody_out(browser: Browser, site: Path, axe: str, name: str) -> None:
    visitor = Visitor(browser, site, axe)
    for size in (DESKTOP, PHONE):
        visitor.tab.set_viewport_size(size)
        visitor.tab.goto("about:blank")
        visitor.tab.goto(f"{(site / name.partition('#')[0]).as_uri()}#{name.partition('#')[2]}")
        figure = visitor.tab.locator("figure.live")
        if figure.locator(".wake").count():
            figure.locator(".wake").click()
        expect(figure.locator(".chip, .counted, .columns li").first).to_be_visible(timeout=30_000)
        visitor.tab.wait_for_timeout(200)
        visitor.tab.evaluate(axe)
        assert [found for theme in THEMES for found in visitor.barriers(theme)] == []
        assert visitor.tab.evaluate(FIND_WIDE) == []
    assert visitor.complaints == []
    visitor.tab.close()
