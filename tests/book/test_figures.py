"""The pictures: as they are drawn, legible in every theme, and nothing lies over anything else."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import Browser

from tests.book.chapters import BOOK, run_example
from tests.project.tiers import partly
from tutor import ROOT

FIGURES = sorted((ROOT / "book" / "figures").glob("*.svg"))
CSS = (ROOT / "book" / "figures.css").read_text()
CLASSES = {
    name for part in re.findall(r"[^{}]+(?={)", CSS) for name in re.findall(r"\.(\w+)", part)
}
SVG = "{http://www.w3.org/2000/svg}"
PHONE_WIDTH = 320  # of what a phone of 360 pixels shows of a page of mdBook

# Of the themes, the colours of the page and of text on it: the book's own, and mdBook's.
LOOK = re.findall(r"--[bf]g: light-dark\((#\w+), (#\w+)\)", (BOOK / "look.css").read_text())
LIGHT, NAVY = zip(*LOOK, strict=True)
LIGHT_THEMES = {"light": LIGHT, "rust": ("#e1e1db", "#262625")}
DARK_THEMES = {
    "coal": ("#131516", "#98a3ad"),
    "navy": NAVY,
    "ayu": ("#0f1419", "#c5c5c5"),
}
ENOUGH_CONTRAST = 4.5  # for text, WCAG 2.2, success criterion 1.4.3

# What sticks out of its picture, by more than rounding, and words that lie over others. The box of
# a text has room above and below the letters.
FIND_FLAWS = """
() => [...document.querySelectorAll("svg")].flatMap((svg) => {
    const room = 3.2, hair = 0.1, flaws = [], { width, height } = svg.viewBox.baseVal;
    const place = (element) => {
        const { x, y, width, height } = element.getBBox();
        const spare = element.tagName === "text" ? room : 0;
        const words = element.textContent;
        return { words, x, y: y + spare, right: x + width, bottom: y + height - spare };
    };
    for (const element of svg.querySelectorAll("text, rect, path")) {
        const { x, y, right, bottom } = place(element);
        if (Math.min(x, y, width - right, height - bottom) < -hair) {
            flaws.push(`sticks out: ${element.outerHTML}`);
        }
    }
    const texts = [...svg.querySelectorAll("text")].map(place);
    texts.forEach((one, index) => texts.slice(index + 1).forEach((other) => {
        if (one.x < other.right && other.x < one.right
            && one.y < other.bottom && other.y < one.bottom) {
            flaws.push(`"${one.words}" lies over "${other.words}"`);
        }
    }));
    return flaws.map((flaw) => `${svg.firstElementChild.textContent}: ${flaw}`);
})
"""

by_figure = pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)


def parse(path: Path) -> ET.Element:
    """HTML needs no namespace, but XML does."""
    text = path.read_text().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return ET.fromstring(text)  # noqa: S314  it is ours


@by_figure
def test_a_picture_can_stand_in_markdown(path: Path) -> None:
    first, *others = path.read_text().removesuffix("\n").split("\n")
    assert re.fullmatch("<svg [^>]*>", first)
    assert all(line.strip() for line in others)


@by_figure
def test_a_picture_says_what_it_shows(path: Path) -> None:
    root = parse(path)
    title, description = list(root)[:2]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert title.text
    assert len(description.text or "") > 80
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


@by_figure
def test_a_picture_leaves_colours_and_type_to_the_style_sheet(path: Path) -> None:
    used: set[str] = set()
    for element in parse(path).iter():
        assert (
            not {"style", "fill", "stroke", "color", "opacity", "font-size"} & element.attrib.keys()
        )
        used |= set((element.get("class") or "").split())
    assert used <= CLASSES


def test_ids_are_unique_and_begin_with_the_name_of_their_picture() -> None:
    ids = [(path.stem, i) for path in FIGURES for e in parse(path).iter() if (i := e.get("id"))]
    assert all(name.startswith(f"{figure}-") for figure, name in ids)
    assert len(set(ids)) == len(ids)


@by_figure
def test_a_picture_is_as_wide_as_a_phone(path: Path) -> None:
    left, top, width, _ = map(float, parse(path).get("viewBox", "").split())
    assert (left, top, width) == (0, 0, PHONE_WIDTH)


def test_type_is_large_enough() -> None:
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", CSS)]
    assert sizes
    assert min(sizes) >= 12


@pytest.mark.parametrize("theme", [*LIGHT_THEMES, *DARK_THEMES])
def test_text_has_enough_contrast(theme: str) -> None:
    ground, ink = (rgb(colour) for colour in {**LIGHT_THEMES, **DARK_THEMES}[theme])
    colours = {
        name: rgb(light if theme in LIGHT_THEMES else dark)
        for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w+), (#\w+)\)", CSS)
    }
    assert len(colours) == 5
    opacity = float(re.findall(r"rect:is\(.*?fill-opacity: ([\d.]+)", CSS, re.DOTALL)[0])
    pairs = {name: (colour, ground) for name, colour in colours.items()}
    for name, colour in colours.items():
        tint = [
            part * opacity + under * (1 - opacity)
            for part, under in zip(colour, ground, strict=True)
        ]
        pairs[f"ink on {name}"] = ink, tint
    low = {
        name: contrast(*pair) for name, pair in pairs.items() if contrast(*pair) < ENOUGH_CONTRAST
    }
    assert low == {}


def rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one: list[float], other: list[float]) -> float:
    """As WCAG 2 defines it."""

    def luminance(colour: list[float]) -> float:
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.full("pages in a browser")
def test_nothing_sticks_out_or_lies_over_other_words(
    browser: Browser, site: Path, tmp_path: Path
) -> None:
    sheets = [*site.glob("css/*.css"), *site.glob("fonts/*.css"), *site.glob("figures*.css")]
    links = "".join(f'<link rel="stylesheet" href="{sheet.as_uri()}">' for sheet in sheets)
    drawings = "".join(path.read_text() for path in FIGURES)
    (tmp_path / "page.html").write_text(f'<!doctype html><html class="light js">{links}{drawings}')
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("document.fonts.ready")
    assert page.evaluate(FIND_FLAWS) == []
    page.close()


@pytest.mark.parametrize(
    ("figure", "example", "names"),
    partly(
        "pictures",
        [
            ("layer_norm", "step_03", ["x", "centred"]),
            ("attention", "step_07", ["query", "key", "value"]),
            ("conv1d", "step_11", ["stored"]),
        ],
        lambda each: each[0] == "layer_norm",
    ),
)
def test_a_picture_has_the_numbers_of_its_example(
    figure: str, example: str, names: list[str]
) -> None:
    computed = run_example(BOOK / "examples" / f"{example}.txt")
    text = (BOOK / "figures" / f"{figure}.svg").read_text().partition("<desc")[2]
    told = " ".join(re.findall(r"-?\d+(?:\.\d+)?", text))
    for name in names:
        assert " ".join(f"{number:g}" for number in computed[name].ravel()) in told, name


def test_the_picture_of_what_changed_has_every_row_of_the_table_and_what_is_taught() -> None:
    said = (BOOK / "figures" / "since.svg").read_text()
    page = (BOOK / "src" / "beyond.md").read_text().partition("## Training")[0]
    rows = [line.split(" | ") for line in page.splitlines() if "](https://arxiv.org" in line]
    assert len(rows) > 10
    for name, _, papers in rows:
        year = re.search(r"abs/(\d\d)", papers)
        assert year
        assert f"; 20{year[1]} {name.removeprefix('| ')}, in the table" in said
    assert said.count(", in the table") == len(rows)
    for taught in (
        "2019 GPT-2, which you build in steps 1 to 12",
        "2021 Rotary positions, which you build in modern 04",
        "2024 Mixtral of Experts, which you build in modern 09",
    ):
        assert taught in said
