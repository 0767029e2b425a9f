"""The map has the parameters of the course's own models at every size, and the oracle's numbers."""

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from solutions.modern_01 import LlamaConfig
from solutions.modern_06 import MaxLlamaLMHeadModel
from solutions.solution_01 import GPT2Config
from solutions.solution_10 import MaxGPT2LMHeadModel
from tests.book.chapters import BOOK
from tests.book.live import encode, follow
from tests.book.test_live import KIND
from tests.book.test_pages import DESKTOP, FIND_WIDE, PHONE, THEMES, Visitor
from tests.browsers import lacking

SOURCE = (
    (BOOK / "src" / "architecture.md")
    .read_text()
    .replace("{{#include ../plans/gpt2.html}}", (BOOK / "plans" / "gpt2.html").read_text())
)
TEXT = "Once upon a time there was a king and a"
READ = """
const fs = require("fs");
const boxes = fs.readFileSync(process.argv[1], "utf8");
const { BOXES, SIZES, count, parameters } = new Function(`${boxes}; return courseBoxes;`)();
const sizes = SIZES.map((size) => [size.name, { parameters: parameters(size), ...count(size) }]);
console.log(JSON.stringify({ boxes: BOXES, sizes: Object.fromEntries(sizes) }));
"""
# The released sizes, by Table 2 of the paper and the released weights.
RELEASED = {"small": (768, 12, 12), "medium": (1024, 24, 16)} | {
    "large": (1280, 36, 20),
    "XL": (1600, 48, 25),
}
COUNTS = {"GPT-2 small": 124_439_808, "GPT-2 XL": 1_557_611_200}


@functools.cache
def read() -> Any:
    """What book/live/boxes.js knows: the boxes, and by size the parameters."""
    node = shutil.which("node")
    if node is None:
        lacking("node is not here")
    command = [node, "-e", READ, str(BOOK / "live" / "boxes.js")]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def models() -> dict[str, Callable[[], Any]]:
    """The course's own models, by the name that their size has on the page."""
    gpt2 = {"bundled GPT-2": GPT2Config(4096, 256, 192, 6, 6)} | {
        f"GPT-2 {name}": GPT2Config(n_embd=width, n_layer=depth, n_head=heads)
        for name, (width, depth, heads) in RELEASED.items()
    }
    llama = LlamaConfig(
        vocab_size=4096,
        hidden_size=192,
        intermediate_size=608,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    made = {name: functools.partial(MaxGPT2LMHeadModel, config) for name, config in gpt2.items()}
    return {**made, "small Llama": functools.partial(MaxLlamaLMHeadModel, llama)}


@pytest.mark.parametrize("name", models())
def test_a_size_has_the_parameters_of_the_course_s_own_model(name: str) -> None:
    from max.experimental import functional as F

    with F.lazy():  # so that no weights are drawn
        model = models()[name]()
    expected = {key: [int(size) for size in each.shape] for key, each in model.parameters}
    found = read()["sizes"][name]
    assert found["parameters"] == expected
    numbers = sum(each.num_elements() for key, each in model.parameters if "lm_head" not in key)
    assert found["all"] == COUNTS.get(name, numbers) == numbers


def test_every_size_of_the_page_is_compared() -> None:
    assert list(read()["sizes"]) == list(models())


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_plan_has_every_box_once_and_its_equation(family: str) -> None:
    plan = SOURCE.partition(f'data-family="{family}"')[2]
    plan = re.split('<ol class="plan"|<template', plan)[0]
    known = read()["boxes"][family]
    boxes = known["once"] | known["block"]
    assert sorted(re.findall(r'data-box="(\w+)"', plan)) == sorted(boxes)
    templates = re.findall(r'<template data-equation="(\w+)">\n{{#include .*/(\w+)\.html}}', SOURCE)
    assert all(name == file for name, file in templates)
    assert {box["equation"] for box in boxes.values() if "equation" in box} <= dict(
        templates
    ).keys()


@pytest.fixture
def figure(quiet_page: Page, site: Path) -> Locator:
    """The map; nothing may go wrong until the test is over."""
    quiet_page.goto((site / "architecture.html").as_uri())
    return quiet_page.locator("figure.architecture")


def wake(figure: Locator) -> None:
    figure.locator(".wake").click()
    expect(figure.locator("canvas").first).to_be_visible(timeout=30_000)


@pytest.mark.full(KIND)
def test_keys_walk_over_sizes_and_boxes(figure: Locator) -> None:
    known = figure.locator(".known")
    expect(known.get_by_role("status")).to_contain_text("a row for each token of the vocabulary")
    figure.get_by_role("radio", name="bundled GPT-2").press("ArrowRight")
    expect(figure.locator(".all")).to_contain_text("124,439,808 parameters: 12 blocks of 7,087,872")
    expect(known.locator(".parameters")).to_contain_text("38,597,376: 31.0% of the model")
    figure.get_by_role("radio", name="wte").press("ArrowDown")
    expect(known.locator(".parameters")).to_contain_text("wpe.weight [P, C], 1,024 × 768")
    figure.get_by_role("radio", name="c_fc").check()
    expect(known.locator(".parameters")).to_contain_text("2,362,368 in each of 12 blocks: 22.8%")
    expect(known.locator(".shapes")).to_have_text("[B, T, C] → [B, T, L]; C = 768, L = 3,072")
    expect(known.locator("math").first).to_be_visible()
    expect(known.get_by_role("link")).to_have_attribute("href", "step_04.html")
    figure.get_by_role("radio", name="small Llama").check()
    expect(known.locator(".parameters")).to_contain_text("mlp.gate_proj.weight [L, C], 608 × 192")


@pytest.mark.full(KIND)
def test_a_box_is_shown_while_the_mouse_is_on_it(figure: Locator) -> None:
    title = figure.locator(".known .title")
    box = figure.locator("label.box", has_text="GELU")
    for x in (10, 20):  # it has to move there: a page that is scrolled under it points at nothing
        box.hover(position={"x": x, "y": 10})
    expect(title).to_have_text("GELU")
    figure.locator(".all").hover()
    expect(title).to_have_text("wte token embeddings")


def test_without_scripts_the_boxes_are_links(browser: Browser, site: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((site / "architecture.html").as_uri())
    link = page.get_by_role("list", name="GPT-2, from ids to logits").get_by_role(
        "link", name="GELU"
    )
    expect(link).to_have_attribute("href", "step_04.html")
    expect(page.get_by_role("link", name="rotary positions")).to_be_visible()
    page.close()


@pytest.mark.full(KIND)
def test_the_numbers_of_a_box_are_those_of_the_oracle(figure: Locator) -> None:
    wake(figure)
    ids = encode(TEXT)
    expect(figure.locator(".rows > div")).to_have_count(len(ids))
    figure.get_by_role("radio", name="ln_1").check()
    figure.locator("[name=block]").fill("3")
    ln_1 = follow(TEXT)[1][3][1][len(ids) - 1]
    first = ", ".join(f"{value:.2f}".replace("-", "−") for value in ln_1[:5])
    expect(figure.locator(".named")).to_contain_text(f"192 numbers, {first} and so on")
    figure.locator(".chip input").last.press("ArrowLeft")
    expect(figure.locator(".named")).to_contain_text("“␣and” (8): 192 numbers")
    figure.get_by_role("radio", name="the next token").check()
    figure.locator(".chip input").last.check()
    expect(figure.locator(".named")).to_contain_text("the largest for “␣queen”: 38.")
    figure.get_by_role("radio", name="GPT-2 XL").check()
    expect(figure.locator(".named")).to_contain_text("the bundled GPT-2 only")
    expect(figure.locator("canvas").first).to_be_hidden()


@pytest.mark.full(KIND)
def test_tokens_come_one_by_one_unless_motion_is_unwelcome(figure: Locator, page: Page) -> None:
    wake(figure)
    figure.get_by_role("button", name="Let it flow").click()
    expect(figure.locator(".rows .coming").first).to_be_attached()
    expect(figure.locator(".plans.flowing")).to_be_visible()
    expect(figure.locator(".rows .coming")).to_have_count(0, timeout=20_000)
    expect(figure.locator(".rows .asking")).to_have_attribute("data-token", "9")
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    wake(figure)
    expect(figure.get_by_role("button", name="Let it flow")).to_be_hidden()


@pytest.mark.full(KIND)
def test_the_live_map_shuts_nobody_out(browser: Browser, site: Path, axe: str) -> None:
    visitor = Visitor(browser, site, axe)
    for size in (DESKTOP, PHONE):
        page = visitor.visit("architecture.html", size)
        wake(page.locator("figure.architecture"))
        assert [found for theme in THEMES for found in visitor.barriers(theme)] == []
        assert page.evaluate(FIND_WIDE) == []
    assert visitor.complaints == []
    visitor.tab.close()
