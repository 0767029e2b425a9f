"""`tutor read`: a chapter in the terminal, with all that the browser shows of it in words."""

import re
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from rich.text import Text

from tests.book.chapters import BOOK, CHAPTERS
from tests.project.commands import run_here
from tests.project.tiers import partly
from tutor import ROOT
from tutor.book import chapters, maths, reading
from tutor.course.registry import Step, all_steps

KIND = "chapters in a terminal"
FEW = ("step_07", "glossary")  # that a quick run reads
NAMES = [chapter.stem for chapter in CHAPTERS]


def shown(name: str, width: int, *, unfold: bool = False) -> list[str]:
    """The lines of a chapter on a terminal."""
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(reading.read(chapters.find_chapter(name), unfold=unfold))
    links = re.sub(r"\x1b]8;.*?\x1b\\", "", captured.get())
    return re.sub(r"\x1b\[[\d;]*m", "", links).splitlines()


def said(name: str, *, unfold: bool = False) -> str:
    return " ".join(" ".join(shown(name, 300, unfold=unfold)).split())


@pytest.mark.parametrize("name", partly(KIND, NAMES, FEW.__contains__))
@pytest.mark.parametrize("width", [80, 50])
def test_nothing_of_mdbook_or_html_is_left(name: str, width: int) -> None:
    lines = shown(name, width, unfold=True)
    assert [line for line in lines if len(line) > width] == []
    text = "\n".join(lines)
    tags = r"<!--|\{\{#|</?(?:figure|details|summary|svg|math|span|b|su[bp]|em|code|div|script)\b"
    assert re.findall(rf"(?:{tags}).*", text) == []


@pytest.mark.parametrize("name", partly(KIND, NAMES, FEW.__contains__))
def test_every_section_and_picture_is_there(name: str) -> None:
    text = said(name, unfold=True)
    written = re.sub(r"```.*?```", "", chapters.find_chapter(name).file.read_text(), flags=re.S)
    for heading in re.findall(r"^#+ (.+)$", written, re.MULTILINE):
        assert re.sub(r"[`*]", "", heading) in text
    for picture in re.findall(r"figures/(\w+)\.svg", written):
        svg = (BOOK / "figures" / f"{picture}.svg").read_text()
        assert f"Picture: {re.findall('<title.*?>(.*)</title>', svg)[0]}" in text
    assert text.count("─ Picture") + text.count("─ To try out") == written.count("<figcaption>") - (
        {"index": 2, "playground": 1}.get(name, 0)  # a story, and a check
    )


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("        return first + second", ["        return first +", "            second"]),
        (">>> long_name(one, two)", [">>> long_name(one,", "        two)"]),
        ("  # TODO: one two three.", ["  # TODO: one two", "  #     three."]),
        ("short\n\nlines", ["short", "", "lines"]),
        ("x" * 30, ["x" * 22, f"    {'x' * 8}"]),
    ],
)
def test_a_long_line_of_code_continues_further_in(code: str, lines: list[str]) -> None:
    block = reading.Chapters(f"```python\n{code}\n```")
    for text, margin in ((reading.Hanging(Text(code)), 0), (block, 1)):
        console = Console(width=22 + 2 * margin, color_system=None)
        with console.capture() as captured:
            console.print(text)
        inside = captured.get().splitlines()[margin:][: len(lines)]
        assert [line[margin:].rstrip() for line in inside] == lines


def test_a_todo_is_one_paragraph_at_any_width() -> None:
    text = "\n".join(shown("text_01", 50))
    todo = (
        r"# TODO: The bytes .*\n +#     their own .*\n +#     the other bytes, from 0 up, the *\n"
    )
    assert re.search(todo, text)


def test_equations_examples_numbers_and_the_place_in_the_model_are_read_out() -> None:
    text = said("7")
    assert "Z = softmax(QKᵀ / √D + M)V" in text
    assert "12 Writing › 10 Head › 09 Model › 08 Block › 07 Attention So far" in text
    assert ">>> scores = query @ key.T / np.sqrt(4)" in text
    assert "which in GPT-2 is 8. Try it" in text
    assert "tutor book 7 shows it" in text
    assert "Mistake: Scores are divided by √n_embd (4.9)" in text


def test_answers_are_folded() -> None:
    folded, unfolded = said("7"), said("7", unfold=True)
    answer = "The bias of the keys. It adds"
    assert "▸ c_attn adds a bias to the queries" in folded
    assert answer not in folded
    assert answer in unfolded
    assert "tutor read 7 --unfold" in folded
    assert "--unfold" not in unfolded
    assert "tutor solution 7 shows it" in unfolded


@pytest.mark.parametrize("step", partly(KIND, all_steps(), lambda step: step.name == "step_12"))
def test_no_chapter_reads_out_its_solution(step: Step) -> None:
    text, solution = said(step.short, unfold=True), (ROOT / step.file("solutions")).read_text()
    lines = {" ".join(line.split()) for line in solution.splitlines() if len(line) > 40}
    stub = " ".join((ROOT / step.file("steps")).read_text().split())
    secret = {line for line in lines if line not in stub and "#" not in line}
    assert secret
    assert len([line for line in secret if line in text]) < 3  # an example may be alike


def test_a_transcript_keeps_its_colours() -> None:
    text = reading.terminal((BOOK / "transcripts" / "step_07.html").read_text()).text
    assert text.plain == (BOOK / "transcripts" / "step_07.txt").read_text().rstrip()
    assert {"green", "red", "bold yellow", "dim"} <= {str(span.style) for span in text.spans}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow></mfrac>", "a / (b + 1)"),
        ("<msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><mo>−</mo><mn>1</mn>", "x² = −1"),
        ("<msub><mi>W</mi><mtext>attn</mtext></msub>", "W_attn"),
        ("<mfrac><mn>1</mn><mi>C</mi></mfrac><mi>x</mi>", "(1 / C)x"),
        ("<msup><mi>e</mi><mrow><mi>q</mi><mo>+</mo><mi>z</mi></mrow></msup>", "e^(q + z)"),
        ("<msub><mi>x</mi><mi>i</mi></msub>", "xᵢ"),
        ("<mi>D</mi><mspace width='1em'/><mi>L</mi>", "D   L"),
    ],
)
def test_maths_is_text(markup: str, text: str) -> None:
    element = ET.fromstring(f"<math>{markup}</math>")  # noqa: S314 (it is ours)
    assert maths.text_of(element) == text


def test_every_equation_keeps_its_letters() -> None:
    for file in sorted((BOOK / "equations").glob("*.html")):
        for element in ET.fromstring(file.read_text()):  # noqa: S314 (it is ours)
            text = maths.text_of(element)
            words = {leaf.text for leaf in element.iter() if maths.local(leaf) == "mi"}
            back = text.translate(
                {v: k for k, v in [*maths.RAISED.items(), *maths.LOWERED.items()]}
            )
            assert [word for word in words if word and word not in text + back] == [], file.stem


def test_the_command_reads_and_lists() -> None:
    listed = run_here("read")
    assert listed.code == 0
    for chapter in chapters.contents():
        assert re.search(rf"^{chapter.short} +{re.escape(chapter.title)}$", listed.out, re.M)
    read = run_here("read", "e2")
    assert read.code == 0
    assert "Engine 02: Sampling strategies" in read.out
    assert "\x1b" not in read.out
    assert [line for line in read.out.splitlines() if line != line.rstrip()] == []
    refused = run_here("read", "frogs")
    assert (refused.code, refused.out) == (2, "")
    assert len(refused.err.splitlines()) == 1
