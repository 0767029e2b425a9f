"""The widgets answer to mouse and keys, with the numbers of their data; without scripts, tables."""

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from solutions.engine_02 import Sampling, probabilities
from solutions.modern_01 import LlamaConfig
from solutions.modern_04 import rotary_speeds
from solutions.text_01 import BPETokenizer, join
from solutions.text_02 import Piece, count_pieces, learn_merges
from tests.book.test_widget_data import read
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import load_tokenizer

LISTED = 12  # tokens; a row for the others comes after them
PLACES = {1: 0, 10: 7, 500: 16, None: 19}  # of values of top_k on its slider
SETTINGS = [
    Sampling(),
    Sampling(temperature=0.5),
    Sampling(top_k=10),
    Sampling(top_p=0.9),
    Sampling(top_k=10, top_p=0.9),
    Sampling(2, 500, 0.5),
]
STAGES = ("x", "ln_1", "attn", "+ attn", "ln_2", "mlp", "+ mlp")

Open = Callable[[str, str], Locator]


@pytest.fixture
def widget(quiet_page: Page, site: Path) -> Open:
    """Opens a chapter and finds a widget in it; nothing may go wrong until the test is over."""

    def find(name: str, chapter: str) -> Locator:
        quiet_page.goto((site / f"{chapter}.html").as_uri())
        return quiet_page.locator(f'figure.widget[data-widget="{name}"]')

    return find


def test_dials_turn_and_the_score_stays(widget: Open) -> None:
    figure = widget("rotary", "modern_04")
    field(figure, "distance").fill("3")
    speeds = rotary_speeds(LlamaConfig(head_dim=8, rope_theta=10000.0))
    score = f"score is {np.cos(3 * speeds).sum():.3f}"
    expect(status(figure)).to_contain_text(score)
    hand = figure.locator("line.query").nth(1)
    angle = hand.get_attribute("transform")
    field(figure, "position").fill("57")
    expect(status(figure)).to_contain_text("The query at 60, the key at 57.")
    expect(status(figure)).to_contain_text(score)
    expect(hand).to_have_attribute("transform", f"rotate({-np.degrees(60 * 0.1):.3f})")
    assert hand.get_attribute("transform") != angle


def status(figure: Locator) -> Locator:
    return figure.get_by_role("status").first


def field(figure: Locator, name: str) -> Locator:
    return figure.locator(f"[name={name}]")


def shown(rows: Locator) -> list[list[str]]:
    """The texts of a table, row by row."""
    cells: list[list[str]] = rows.evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    )
    return cells


@pytest.mark.full("pages in a browser")
def test_all_widgets_come_to_life_on_one_page(page: Page, site: Path) -> None:
    page.add_init_script("window.print = () => {}")
    page.goto((site / "print.html").as_uri())
    figures = page.locator("figure.widget")
    assert figures.count() >= 5
    expect(page.locator("figure.widget:has(form)")).to_have_count(figures.count())
    expect(page.locator(".widget:not(.live) .fallback")).to_have_count(0)


@pytest.mark.full("pages in a browser")
def test_a_page_loads_its_own_widgets_alone(page: Page, site: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "step_02.html").as_uri())
    widgets = {Path(url).stem for url in asked if "/widgets/" in url and "common" not in url}
    assert widgets == {"causal-mask"}


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("scripts", [False, True])
def test_tables_stand_in_without_scripts_or_without_data(
    browser: Browser, site: Path, scripts: bool
) -> None:
    page = browser.new_page(java_script_enabled=scripts)
    page.route("**/data/*.js", lambda route: route.abort())
    needing_no_data = () if scripts else ("step_02", "modern_04", "text_02")
    for chapter in ("step_08", "engine_02", "text_01", *needing_no_data):
        page.goto((site / f"{chapter}.html").as_uri())
        figure = page.locator("figure.widget[data-widget]")  # a live one takes no data
        expect(figure.locator("form")).to_have_count(0)
        expect(figure.locator(".fallback").first).to_be_visible()
    page.close()


# The next token.


def set_sampling(figure: Locator, sampling: Sampling) -> None:
    field(figure, "temperature").fill(str(sampling.temperature))
    field(figure, "top_k").fill(str(PLACES[sampling.top_k]))
    field(figure, "top_p").fill(str(sampling.top_p))
    expect(field(figure, "top_k")).to_have_attribute("aria-valuetext", str(sampling.top_k or "all"))


def expected_rows(prompt: int, sampling: Sampling) -> list[list[str]]:
    """The first cells and the numbers of the table."""
    data = read("next-token")
    logits = np.array([data["prompts"][prompt]["logits"]])
    order = np.argsort(-logits[0], kind="stable")
    shares = probabilities(logits, sampling)[0, order]
    names = [data["vocabulary"][token].replace(" ", "␣") for token in order[:LISTED]]
    names.append(f"{len(order) - LISTED:,} others")
    numbers = [*shares[:LISTED], shares[LISTED:].sum()]
    return [[name, percent(share)] for name, share in zip(names, numbers, strict=True)]


def percent(share: float) -> str:
    if share == 0:
        return "cut"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def names_and_numbers(figure: Locator) -> list[list[str]]:
    return [[cells[0], cells[2]] for cells in shown(figure.locator("tbody tr"))]


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
def test_the_next_token_has_the_probabilities_of_the_settings(
    widget: Open, sampling: Sampling
) -> None:
    figure = widget("next-token", "engine_02")
    set_sampling(figure, sampling)
    assert names_and_numbers(figure) == expected_rows(0, sampling)
    logits = np.array([read("next-token")["prompts"][0]["logits"]])
    left = int((probabilities(logits, sampling) > 0).sum())
    size = f"{logits.size:,} tokens remain"
    start = f"All {size}" if left == logits.size else f"{left:,} of {size}"
    expect(status(figure)).to_contain_text(start)


@pytest.mark.full("pages in a browser")
def test_another_text_has_other_next_tokens(widget: Open) -> None:
    figure = widget("next-token", "engine_02")
    field(figure, "prompt").select_option("3")
    assert names_and_numbers(figure) == expected_rows(3, Sampling())


def test_keys_move_a_slider(widget: Open, page: Page) -> None:
    figure = widget("next-token", "engine_02")
    temperature = field(figure, "temperature")
    for _ in range(5):
        temperature.press("ArrowLeft")  # which turns the page elsewhere
    expect(temperature).to_have_attribute("aria-valuetext", "0.5")
    assert page.url.endswith("engine_02.html")
    assert names_and_numbers(figure) == expected_rows(0, Sampling(0.5))
    temperature.fill("0")
    assert names_and_numbers(figure)[0][1] == "100.0%"
    expect(status(figure)).to_contain_text("Greedy")


@pytest.mark.full("pages in a browser")
def test_tokens_are_drawn_and_counted(widget: Open) -> None:
    figure = widget("next-token", "engine_02")
    set_sampling(figure, Sampling(top_k=1))
    data = read("next-token")
    likeliest = data["vocabulary"][np.argmax(data["prompts"][0]["logits"])]
    figure.get_by_role("button", name="Draw a token").click()
    text = data["prompts"][0]["text"]
    expect(figure.locator(".text")).to_contain_text(f"{text}{likeliest} …")
    set_sampling(figure, Sampling(top_k=10))
    figure.get_by_role("button", name="Draw 100").click()
    counts = [int(cells[3]) for cells in shown(figure.locator("tbody tr"))]
    assert sum(counts) == 100
    assert counts[10:] == [0] * 3
    figure.get_by_role("button", name="Reset").click()
    expect(field(figure, "top_k")).to_have_attribute("aria-valuetext", "all")
    assert names_and_numbers(figure) == expected_rows(0, Sampling())


# The causal mask.


@pytest.mark.full("pages in a browser")
def test_a_query_sees_the_cached_keys_and_those_up_to_itself(widget: Open) -> None:
    figure = widget("causal-mask", "step_02")
    for length, cached in itertools.product(range(1, 6), range(4)):
        field(figure, "sequence_length").fill(str(length))
        field(figure, "num_tokens").fill(str(cached))
        keys = range(cached + length)
        assert [cells[1:] for cells in shown(figure.locator("tbody tr"))] == [
            ["0" if key <= query + cached else "−inf" for key in keys] for query in range(length)
        ]


def test_the_mask_begins_with_cached_keys(widget: Open) -> None:
    expect(widget("causal-mask", "step_02").get_by_text("cached keys")).to_be_visible()


@pytest.mark.full("pages in a browser")
def test_a_cell_of_the_mask_says_what_it_means(widget: Open, page: Page) -> None:
    figure = widget("causal-mask", "step_02")
    field(figure, "sequence_length").fill("4")
    field(figure, "num_tokens").fill("2")
    figure.locator("td[tabindex='0']").focus()
    for keys, meaning in (
        (["Control+Home", "ArrowDown", "End"], "Query 1 may not see key 5: 5 > 1 + 2."),
        (["Home"], "Query 1 may see key 0: 0 ≤ 1 + 2."),
        (["Control+End"], "Query 3 may see key 5: 5 ≤ 3 + 2."),
        (["ArrowRight", "ArrowDown"], "Query 3 may see key 5: 5 ≤ 3 + 2."),
        (["ArrowUp", "ArrowLeft"], "Query 2 may see key 4: 4 ≤ 2 + 2."),
    ):
        for key in keys:
            page.keyboard.press(key)
        expect(status(figure)).to_have_text(meaning)
    figure.locator("tbody tr").nth(0).locator("td").nth(3).hover()
    expect(status(figure)).to_have_text("Query 0 may not see key 3: 3 > 0 + 2.")
    assert page.url.endswith("step_02.html")


# A block.


def statistics(block: int, stage: int) -> list[str]:
    found = read("block")["blocks"][block][stage]
    numbers = f"{found['norm']:.2f}", f"{found['mean']:.3f}", f"{found['spread']:.2f}"
    return [number.replace("-", "−") for number in numbers]


@pytest.mark.full("pages in a browser")
def test_a_vector_goes_through_the_block(widget: Open, page: Page) -> None:
    figure = widget("block", "step_08")
    layer = read("block")["layer"]
    assert figure.locator(".chip code").all_inner_texts() == list(STAGES)
    for index, name in enumerate(STAGES):
        stage = figure.get_by_role("radio", name=name, exact=True)
        expect(stage).to_be_checked()
        expect(status(figure)).to_contain_text(f"{name} in h.{layer}:")
        assert figure.locator("dd").all_text_contents() == statistics(layer, index)
        stage.press("ArrowRight")
    assert page.url.endswith("step_08.html")


@pytest.mark.full("pages in a browser")
def test_the_scale_of_a_stage_can_be_its_own(widget: Open) -> None:
    figure = widget("block", "step_08")
    numbers = [stage["numbers"] for stage in read("block")["blocks"][0]]
    field(figure, "block").select_option("0")
    axis = figure.locator(".axis span").first
    expect(axis).to_have_text(f"{np.abs(numbers).max():.1f}")
    field(figure, "stage").nth(1).check()
    field(figure, "same").uncheck()
    expect(axis).to_have_text(f"{np.abs(numbers[1]).max():.1f}")
    assert figure.locator("dd").all_text_contents() == statistics(0, 1)


# A checkpoint.


def test_a_name_leads_to_its_box_and_a_box_to_its_names(widget: Open) -> None:
    figure = widget("checkpoint", "step_11")
    shown = figure.locator(".shown")
    fills = status(figure)
    expect(fills).to_contain_text("[192, 576] in the file and transposed to [576, 192].")
    expect(shown).to_have_text(
        ["transformer.h.0.attn.c_attn.weight", "c_attn queries, keys, values"]
    )
    figure.get_by_role("radio", name="h.0.attn.c_attn.weight").press("ArrowDown")
    expect(fills).to_contain_text("transformer.h.0.attn.c_proj.bias stays as it is, [192].")
    expect(shown.last).to_have_text("c_proj heads together")
    field(figure, "block").fill("4")
    expect(shown.first).to_have_text("transformer.h.4.attn.c_proj.bias")
    figure.get_by_role("radio", name="h.4.mlp.c_proj.bias").check()
    figure.get_by_role("radio", name="c_proj narrow again").check()
    names = ["transformer.h.4.mlp.c_proj.bias", "transformer.h.4.mlp.c_proj.weight"]
    expect(shown).to_have_text([*names, "c_proj narrow again"])
    figure.get_by_role("radio", name="transformer.wte.weight").check()
    expect(shown).to_have_text(["transformer.wte.weight", "wte token embeddings", "lm_head logits"])
    figure.get_by_role("radio", name="lm_head").check()
    expect(shown).to_have_text(["transformer.wte.weight", "lm_head logits"])
    expect(figure.get_by_role("radio", name="GELU")).to_be_disabled()


@pytest.mark.full("pages in a browser")
def test_every_name_leads_somewhere(widget: Open) -> None:
    figure = widget("checkpoint", "step_11")
    names = set()
    for block in range(6):
        field(figure, "block").fill(f"{block}")
        for name in figure.locator(".names input").all():
            name.check(force=True)
            names.add(name.get_attribute("value"))
            assert figure.locator(".shown [name=box]").count()
    assert names == {each["name"] for each in read("checkpoint")["tensors"]}


# Merges.


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("text", ["The witch was unbelievable.", " naïve 龍  don't", "he"])
def test_merges_end_with_the_tokens_of_the_tokenizer(widget: Open, text: str) -> None:
    parts = load_tokenizer(BUNDLED_MODEL).parts()
    assert parts
    figure = widget("merges", "text_01")
    field(figure, "text").fill(text)
    expect(status(figure)).to_contain_text(f"{len(text.encode())} tokens of {len(text.encode())}")
    figure.get_by_role("button", name="merge all").click()
    names = {number: token for token, number in parts[0].items()}
    expected = [names[number] for number in BPETokenizer(*parts).encode(text)]
    expect(figure.locator(".token")).to_have_text(expected)
    expect(figure.get_by_role("button", name="merge", exact=True)).to_be_disabled()


@pytest.mark.full("pages in a browser")
def test_a_press_merges_the_pair_of_the_lowest_rank(widget: Open) -> None:
    figure = widget("merges", "text_01")
    field(figure, "text").fill("there")
    figure.get_by_role("button", name="merge", exact=True).press("Enter")
    expect(status(figure)).to_contain_text("Rank 0: h and e. 4 tokens of 5 bytes.")
    expect(figure.locator(".token.here")).to_have_text(["he"])
    figure.get_by_role("button", name="start over").click()
    expect(figure.locator(".token")).to_have_text([*"there"])


# Learning merges.

TEXTS = [
    "a rose is a rose is a rose",
    "aaaa aaaaa aa aaaa",  # pairs that overlap
    "ba ab ba ab zz zz yy yy cab cab",  # ties, of letters and of merged tokens
    "naïve naïve 龍龍 Zoë's, Zoë's 1999 99 ✓ ✓\n\n\tend  end",  # of bytes that aren't letters
    "low low low low low lower lower newest newest newest newest newest newest widest widest",
]


def learn_one(figure: Locator) -> None:
    figure.get_by_role("button", name="learn one merge").press("Enter")


def pairs_of(pieces: Counter[Piece]) -> Counter[str]:
    counts = Counter[str]()
    for piece, times in pieces.items():
        for pair in itertools.pairwise(piece):
            counts[" ".join(pair)] += times
    return counts


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("text", TEXTS)
def test_merges_are_learned_as_the_solution_learns_them(widget: Open, text: str) -> None:
    figure = widget("learning", "text_02")
    field(figure, "text").fill(text)
    pieces = count_pieces(text)
    merges, expected = learn_merges(pieces, len(text)), []
    for rank, pair in enumerate(merges):
        counts = pairs_of(pieces)
        expected.append([f"{rank}", " ".join(pair), f"{counts[' '.join(pair)]}"])
        listed = shown(figure.locator(".pairs tbody tr"))
        assert listed[0] == expected[-1][1:]
        assert [int(times) for _, times in listed] == sorted(counts.values())[::-1][: len(listed)]
        assert all(counts[name] == int(times) for name, times in listed)
        learn_one(figure)
        pieces = Counter({tuple(join(piece, pair)): times for piece, times in pieces.items()})
    assert shown(figure.locator(".learned tbody tr")) == expected
    assert figure.locator(".piece").all_text_contents() == [
        f"{times} ×{''.join(piece)}" for piece, times in pieces.items()
    ]
    size = sum(times * len(piece) for piece, times in pieces.items())
    expect(status(figure)).to_contain_text(f"{size} tokens of {len(text.encode())} bytes.")
    expect(figure.get_by_role("button", name="learn one merge")).to_be_disabled()


def test_a_merge_can_be_taken_back(widget: Open) -> None:
    figure = widget("learning", "text_02")
    learned, back = figure.locator(".learned tbody tr"), figure.get_by_role("button", name="back")
    expect(back).to_be_disabled()
    learn_one(figure)
    learn_one(figure)
    before = shown(figure.locator(".pairs tbody tr"))
    learn_one(figure)
    back.press("Enter")
    assert [pair for _, pair, _ in shown(learned)] == ["o s", "r os"]
    assert shown(figure.locator(".pairs tbody tr")) == before
    expect(figure.locator(".token.here")).to_have_text(["ros"])
    expect(status(figure)).to_contain_text("Rank 1: r and os, 3 times. 20 tokens of 26 bytes.")
    figure.get_by_role("button", name="start again").press("Enter")
    expect(learned).to_have_count(0)
    expect(figure.locator(".token")).to_have_text([*"aĠroseĠisĠa"])
