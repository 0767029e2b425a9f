"""The report on a class: what it says is what the grades hold, and no text of theirs breaks out."""

import itertools
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browsers import axe, browser
from tests.project import grades as made
from tutor.course.registry import all_steps, find_step
from tutor.course.tracks import ENGINE, STEPS, Track
from tutor.course.verdicts import Verdict
from tutor.grade.grades import CheckGrade, Grade, StepGrade
from tutor.grade.report.page import render

__all__ = ["axe", "browser"]

DESKTOP, PHONE = ViewportSize(width=1200, height=900), ViewportSize(width=360, height=740)
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
MOST_BYTES = 5_000_000  # of a class of 200, which is still sent by mail
MOST_SECONDS = 8  # of the processor, for a class of 200 in which all fails; alone it takes 1.5

FIND_BARRIERS = """
async () => {
    const { violations } = await axe.run({ resultTypes: ["violations"], preload: false });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 300)}: ${failureSummary}`));
}
"""
READ_ROWS = """
(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))
"""
# The steps of the two tracks, as a command names them.
SHOWN = (STEPS, ENGINE)  # the tracks that this class has come to
CORE, EXTRA = (tuple(step.short for step in all_steps(track)) for track in SHOWN)
ALL_OF_EXTRA = sum(step.points for step in all_steps(ENGINE))

# How bright the ground of each tone is, from all of the points to none, and then the page's.
READ_TONES = """
() => [4, 3, 2, 1, 0].map((tone) => document.querySelector(`.swatch.tone-${tone}`))
    .concat(document.body)
    .map((element) => getComputedStyle(element).backgroundColor.match(/\\d+/g).map(Number))
"""


def failing(name: str, verdict: Verdict, **changes: Any) -> StepGrade:
    """A step whose first check ends so."""
    return made.step(name, [verdict], **changes)


def learner(name: str, *changed: StepGrade, **changes: Any) -> Grade:
    """A learner who passes everything, apart from these steps."""
    steps = {step.step: step for step in (*map(made.step, [*CORE, *EXTRA]), *changed)}
    return made.grade(name, list(steps.values()), **changes)


def explained(check: CheckGrade, explanation: str) -> CheckGrade:
    return msgspec.structs.replace(check, explanation=explanation)


def stubs(*names: str) -> list[StepGrade]:
    return [all_of(name, Verdict.NOT_STARTED) for name in names]


def all_of(name: str, verdict: Verdict) -> StepGrade:
    """A step all of whose checks end so."""
    return made.step(name, [verdict] * len(find_step(name).checks))


NOT_SCALED, SCALED_TWICE = (
    next(mistake.says for mistake in find_step("7").mistakes if mistake.name == name)
    for name in ("not scaled", "scaled twice")
)
CUT = [Verdict.PASSED, Verdict.TIMED_OUT, *[Verdict.NOT_REACHED] * 8]
CLASS = [
    learner("Bob", failing("7", Verdict.WRONG, mistake=NOT_SCALED), *stubs(*EXTRA)),
    learner("ada"),
    learner("carl", failing("8", Verdict.CRASHED), made.step("12", CUT)),
    learner("dora", *stubs(*CORE[2:], *EXTRA), problem="notes.txt was left out"),
    made.unreadable("eve"),
    learner("finn", failing("9", Verdict.BROKEN), failing("7", Verdict.WRONG, mistake=NOT_SCALED)),
    learner(
        "gil",
        failing("7", Verdict.WRONG, mistake=SCALED_TWICE, advice=["Name the axes."]),
        *stubs("e3"),
    ),
]


class Reader:
    """A tab with a report in it, and what the browser says and asks for meanwhile."""

    def __init__(self, browser: Browser, folder: Path, axe: str) -> None:
        self.file, self.axe = folder / "report.html", axe
        self.complaints: list[str] = []
        self.tab = browser.new_page(reduced_motion="reduce")
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.tab.on("request", lambda request: self.complaints.append(request.url))

    def open(self, grades: list[Grade], size: ViewportSize = DESKTOP) -> Page:
        """The report on these grades, as a file on this machine."""
        self.file.write_text(render(grades), encoding="utf-8")
        self.tab.emulate_media(color_scheme="light", media="screen")
        self.tab.set_viewport_size(size)
        self.tab.goto(self.file.as_uri())
        assert self.complaints.pop(0) == self.file.as_uri()
        return self.tab

    def barriers(self) -> list[str]:
        """What keeps somebody out, in the light and in the dark; no rule of axe-core's is left."""
        self.tab.evaluate(self.axe)
        found: list[str] = []
        for scheme in SCHEMES:
            self.tab.emulate_media(color_scheme=scheme)
            found += [f"{scheme}: {barrier}" for barrier in self.tab.evaluate(FIND_BARRIERS)]
        return found


@pytest.fixture(scope="module")
def tab(browser: Browser, axe: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    reader = Reader(browser, tmp_path_factory.mktemp("report"), axe)
    yield reader
    reader.tab.close()


@pytest.fixture
def reader(tab: Reader) -> Reader:
    tab.complaints.clear()
    return tab


def rows(page: Page, selector: str) -> list[list[str]]:
    found: list[list[str]] = page.locator(f"{selector} tr").evaluate_all(READ_ROWS)
    return found


def cell(step: StepGrade) -> str:
    """What the cell of a step says: its points, and what they do not tell, as sign and word."""
    signs = {
        Verdict.CRASHED: "!",
        Verdict.TIMED_OUT: "∞",
        Verdict.NOT_STARTED: "–",
        Verdict.BROKEN: "?",
    }
    sign = signs.get(step.verdict)
    return f"{step.points}/{step.max_points}" + (f"{sign}, {step.verdict}" if sign else "")


def test_the_table_has_the_points_of_every_learner(reader: Reader) -> None:
    page = reader.open(CLASS)
    by_name = sorted(CLASS, key=lambda grade: grade.learner.lower())
    expected = []
    for grade in by_name:
        row = [text for track in SHOWN for text in cells_of(grade, track)]
        expected.append([grade.learner, *(row if grade.steps else ["could not be read"])])
    assert rows(page, ".map tbody") == expected
    read = [grade for grade in by_name if grade.steps]
    means: list[float] = []
    for track in SHOWN:
        columns = zip(*(grade.of_track(track) for grade in read), strict=True)
        means += [statistics.fmean(step.points for step in column) for column in columns]
        means.append(statistics.fmean(grade.points(track) for grade in read))
    assert rows(page, ".map tfoot") == [["Mean", *(f"{mean:.1f}" for mean in means)]]
    middle = [statistics.median(grade.points(track) for grade in read) for track in SHOWN]
    assert figures_of(page) == [
        "Learners 7",
        f"Mean {means[len(CORE)]:.1f} of 100",
        f"Median {middle[0]:g} of 100",
        f"Engine, mean {means[-1]:.1f} of {ALL_OF_EXTRA}",
        f"Engine, median {middle[1]:g} of {ALL_OF_EXTRA}",
    ]


def cells_of(grade: Grade, track: Track) -> list[str]:
    """What a learner's row says of a track: the cell of each step, and the sum."""
    total = f"{grade.points(track)}/{grade.max_points(track)}"
    return [*map(cell, grade.of_track(track)), total]


def figures_of(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".figures div").all_inner_texts()]


def test_the_heads_of_the_table_name_the_steps(reader: Reader) -> None:
    page = reader.open(CLASS)
    heads = rows(page, ".map thead")[0]
    steps = [f"{step.number:02} {step.title}" for step in all_steps(STEPS)]
    engine = [f"e{step.number} {step.title}" for step in all_steps(ENGINE)]
    assert heads == ["Learner", *steps, "Points", *engine, "Engine"]
    assert page.get_by_role("columnheader").count() > len(heads)  # of the other tables too
    assert page.locator(".map").get_by_role("rowheader").count() == len(CLASS) + 1


ALL = [learner("Ada"), learner("Bob")]
FEW = made.grade("Zoe", stubs(*CORE))


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize(
    ("grades", "lead"),
    [
        pytest.param(
            CLASS,
            "1 learner of 7 needs help first, with less than half of the points (dora), and"
            " step 07, Multi-head attention, is the one to talk about in class: 3 of the 5 who"
            " tried it failed, most often by “not scaled”.",
            id="both",
        ),
        pytest.param(
            ALL,
            "Nobody has less than half of the points, and whatever was tried has passed.",
            id="all well",
        ),
        pytest.param(
            [FEW, *(msgspec.structs.replace(FEW, learner=f"Zoe {it}") for it in range(7))],
            "8 learners of 8 need help first, with less than half of the points"
            " (Zoe, Zoe 0, Zoe 1, Zoe 2, Zoe 3 and 3 more).",
            id="nobody started",
        ),
        pytest.param(
            [made.grade("Ada", [failing("e1", Verdict.WRONG)])],
            "Engine 01, Compiled heads, is the one to talk about in class: 1 of the 1 who tried it"
            " failed.",
            id="engine alone",
        ),
        pytest.param(
            [made.unreadable()],
            "There is nothing to report: no submission was graded.",
            id="unreadable",
        ),
        pytest.param([], "There is nothing to report: no submission was graded.", id="nobody"),
    ],
)
def test_the_first_sentence_says_whom_and_what_to_see_to(
    reader: Reader, grades: list[Grade], lead: str
) -> None:
    page = reader.open(grades)
    assert " ".join(page.locator(".lead").inner_text().split()) == lead
    assert reader.barriers() == []


def test_mistakes_are_counted_with_those_who_made_them(reader: Reader) -> None:
    page = reader.open(CLASS)
    assert page.locator("#mistakes h3").all_inner_texts() == ["Step 07, Multi-head attention"]
    items = page.locator("#mistakes li")
    assert [text.splitlines()[0] for text in items.all_inner_texts()] == ["2", "1"]
    expect(items.nth(0)).to_contain_text(f"not scaled. {NOT_SCALED}")
    assert items.nth(0).get_by_role("link").all_inner_texts() == ["Bob", "finn"]
    assert items.nth(1).get_by_role("link").all_inner_texts() == ["gil"]


def test_a_mistake_that_the_course_does_not_know_says_what_it_says(reader: Reader) -> None:
    page = reader.open([learner("Ada", failing("7", Verdict.WRONG, mistake="Something else."))])
    expect(page.locator("#mistakes li")).to_contain_text("Something else.")
    expect(page.locator("article")).to_contain_text("Mistake. Something else.")


def test_time_outs_and_crashes_are_listed_with_what_they_said(reader: Reader) -> None:
    said = "✗ {}\n  ValueError: no such axis\n  steps/step_08.py:4:"
    crash = made.step("8", [Verdict.CRASHED, Verdict.CRASHED])
    crash.checks[:] = [explained(check, said.format(check.title)) for check in crash.checks]
    page = reader.open([learner("carl", crash, made.step("12", CUT)), learner("Ada")])
    first, second = find_step("8").checks[0].title, find_step("12").checks[1].title
    assert rows(page, "#endings tbody") == [
        ["carl", "step 08", "crashed", f"{first}, and 1 more", "ValueError: no such axis"],
        ["carl", "step 12", "timed out", second, ""],
    ]


def test_problems_are_listed_whether_or_not_there_is_a_grade(reader: Reader) -> None:
    page = reader.open(CLASS)
    found = page.locator("#problems dl").inner_text().splitlines()
    told = ["dora", "notes.txt was left out", "eve, not graded"]
    assert [text for text in found if text] == [*told, "eve.zip is no archive that can be read"]


def test_what_could_not_be_read_is_in_no_mean(reader: Reader) -> None:
    blank = stubs(*CORE)
    for step in blank:
        step.checks[:] = [msgspec.structs.replace(check, seconds=0.0) for check in step.checks]
    page = reader.open([made.grade("Ada"), made.grade("eve", blank, problem="no archive")])
    assert rows(page, ".map tbody")[1] == ["eve", "could not be read"]
    assert figures_of(page)[1] == "Mean 100.0 of 100"
    expect(page.locator(".warnings")).to_contain_text("1 submission could not be read")


def test_the_hardest_checks_are_those_that_most_fail_of_who_tried(reader: Reader) -> None:
    page = reader.open(CLASS)
    found = rows(page, "#checks tbody")
    titles = {name: [check.title for check in find_step(name).checks] for name in CORE}
    attention, block = "step 07, Multi-head attention", "step 08, Transformer block"
    assert found == [
        ["3/5", "60 %", titles["7"][0], attention],
        ["1/5", "20 %", titles["8"][0], block],
        ["1/5", "20 %", titles["12"][1], "step 12, Text generation"],
    ]
    few = [learner(f"Zoe {it}", *stubs("8"), failing("7", Verdict.WRONG)) for it in range(2)]
    page = reader.open([*few, learner("Ada", failing("8", Verdict.WRONG))])
    assert [row[:2] for row in rows(page, "#checks tbody")] == [["2/3", "67 %"], ["1/1", "100 %"]]
    everything_wrong = [all_of(name, Verdict.WRONG) for name in CORE]
    page = reader.open([made.grade("Ada", everything_wrong)])
    assert len(rows(page, "#checks tbody")) == 10


def test_a_learners_section_has_all_there_is_to_say(reader: Reader) -> None:
    wrong = failing(
        "7",
        Verdict.WRONG,
        mistake=NOT_SCALED,
        advice=["Name the axes."],
        culprits=["step_02"],
        references=["step_03", "step_04"],
    )
    page = reader.open([learner("Ada", wrong, *stubs("12", "e1"), dependencies="own")])
    text = " ".join(page.locator("article").inner_text().split())
    first, second, *_ = find_step("7").checks
    points, extra = 100 - first.points - 10, ALL_OF_EXTRA - find_step("e1").points
    beyond = f"{extra} of {ALL_OF_EXTRA} points in the engine track"
    assert text.startswith(f"Ada {points} of 100 points, {beyond}")
    assert "Not started: step 12 and engine 01." in text
    assert f"Step 07, Multi-head attention wrong, {16 - first.points} of 16" in text
    assert f"Mistake: not scaled. {NOT_SCALED}" in text
    assert "With the reference's step 02 it passes" in text
    assert "The reference stood in for steps 03 and 04." in text
    assert "Advice: Name the axes." in text
    assert f"Wrong: {first.title} The output at [0, 1, 2]: expected 0.5 got 0.25" in text
    assert second.title not in text
    assert page.locator("article h4").count() == 1
    strip = page.locator(".strip li").all_inner_texts()
    assert len(strip) == len(CORE) + len(EXTRA)


def test_the_same_explanation_stands_there_once(reader: Reader) -> None:
    page = reader.open(
        [learner("Ada", made.step("2", [Verdict.WRONG, Verdict.WRONG, Verdict.CRASHED]))]
    )
    titles = [check.title for check in find_step("2").checks]
    assert page.locator("article pre").count() == 2  # one for each verdict
    assert page.locator(".check").all_inner_texts() == [
        f"Wrong: {titles[0]}; {titles[1]}",
        f"Crashed: {titles[2]}",
    ]


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (made.grade("Bob", seed=1), "2 different seeds"),
        (made.grade("Bob", course="d" * 64), "2 versions of the course"),
        (made.grade("Bob", dependencies="own"), "2 modes"),
        (made.grade("Bob", isolation="none"), "2 kinds of isolation"),
        (made.grade("Bob", limits="none"), "2 sets of limits"),
        (made.grade("Bob", [made.step("1")]), "2 choices of steps"),
        (made.grade("Ada"), "Several submissions have the same name"),
        (made.grade("Bob", [failing("1", Verdict.BROKEN)]), "in steps of Bob"),
    ],
)
def test_a_warning_says_what_is_not_comparable(reader: Reader, other: Grade, words: str) -> None:
    page = reader.open([made.grade("Ada"), other])
    expect(page.locator(".warnings")).to_contain_text(words)
    page = reader.open([made.grade("Ada"), made.grade("Bob")])
    assert page.locator(".warnings").count() == 0


def test_the_head_says_how_it_was_graded(reader: Reader) -> None:
    later = made.grade("Bob", started="2026-01-02T08:30:00+01:00")
    facts = reader.open([later, made.grade("Ada")]).locator(".facts").inner_text()
    for words in ("2026-01-01 12:00 to 2026-01-02 08:30", "20260101", "the reference's other"):
        assert words in facts
    for words in ("a process of its own", "c" * 12, "gpt2-from-scratch/grade/1"):
        assert words in facts


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("grades", [CLASS, [*CLASS, made.hostile()]], ids=["class", "hostile"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_is_shut_out_and_nothing_is_asked_for(
    reader: Reader, grades: list[Grade], size: ViewportSize
) -> None:
    page = reader.open(grades, size)
    assert reader.barriers() == []
    assert page.evaluate("document.scrollingElement.scrollWidth") == size["width"]
    targets = page.locator("a").evaluate_all("(all) => all.map((it) => it.getAttribute('href'))")
    identifiers = page.locator("[id]").evaluate_all("(all) => all.map((it) => `#${it.id}`)")
    assert len(set(identifiers)) == len(identifiers)
    assert set(targets) <= set(identifiers)
    assert {f"#learner-{place}" for place, _ in enumerate(grades, 1)} <= set(targets)
    assert reader.complaints == []


PLACES = [".facts", ".lead", ".map", "#mistakes li", "#checks", "#endings td bdi", "#problems dd"]
PLACES += ["article h3", "article .problem", "article h4", "article .check", "article pre"]


def everywhere(text: str) -> Grade:
    """A grade with this text wherever one can stand."""
    check = made.check(verdict=Verdict.CRASHED, title=text, explanation=text)
    texts = {"title": text, "mistake": text, "advice": [text]}
    names = {"culprits": [text], "references": [text]}
    step = failing("7", Verdict.CRASHED, **texts, **names)
    step = msgspec.structs.replace(step, checks=[check])
    more = {"isolation": text, "limits": text, "course": text, "started": text}
    return made.grade(text, [step], problem=text, dependencies="own", **more)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "</style></title></pre></td><h1 onclick=alert(1)>",
        "javascript:alert(1)",
        "<!-- ]]> &lt;b&gt; &#60;",
        "{{ 7 * 7 }}{% raw %}{# x #}",
        "=1+1|cmd",
    ],
)
def test_what_looks_like_code_is_text(reader: Reader, text: str) -> None:
    page = reader.open([everywhere(text)])
    for place in PLACES:
        expect(page.locator(place)).to_contain_text(text)
    assert page.locator("script, img, h1:not(header h1), [onclick], [onerror]").count() == 0
    assert page.locator("style, title").count() == 2
    assert reader.complaints == []


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\x00", r"\x00"),
        ("\x1b", r"\x1b"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\r", r"\r"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u2028", r"\u2028"),
        ("\ufeff", r"\ufeff"),
        ("\udcff", r"\udcff"),
        ("\ufffe", r"\ufffe"),
        ("\U000e0041", r"\U000e0041"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4 + "…"),
        ("\u3000", " "),
    ],
)
def test_what_only_a_machine_would_see_is_spelled_out(char: str, shown: str) -> None:
    page = render([everywhere(f"a{char}b")])
    assert page.encode().count(f"a{shown}b".encode()) >= 12
    assert char not in page


@pytest.mark.parametrize("text", ["Zoë", "שלום", "علی\u200cرضا", "山田", "👩\u200d🔬", "e\u0301"])
def test_names_of_any_script_stay(text: str) -> None:
    assert render([made.grade(text)]).count(f"<bdi>{text}</bdi>") == 2


def test_lines_are_kept_where_they_tell_something(reader: Reader) -> None:
    step = failing("7", Verdict.WRONG)
    text = "\n\nfirst  \n\tsecond\r\n" + "third\n" * 100
    step.checks[0] = explained(step.checks[0], text)
    page = reader.open([made.grade("two\nlines", [step])])
    assert page.locator("h3").last.inner_text() == r"two\nlines"
    said = (page.locator("pre").text_content() or "").split("\n")
    assert said[:3] == ["first", "\tsecond", "third"]
    assert len(said) == 41
    assert said[-1] == f"… cut, of {len(text)} characters"


def test_a_long_text_is_cut() -> None:
    page = render([made.hostile()])
    assert f"… cut, of {len(made.LONG):,} characters" in page
    assert "x" * 5000 not in page
    assert len(page.encode()) < 50_000


def test_a_class_of_two_hundred_in_which_all_fails_is_quick_and_fits_a_mail() -> None:
    def all_wrong(name: str) -> Grade:
        steps = [all_of(it, Verdict.WRONG) for it in CORE]
        for step in steps:
            step.checks[:] = [explained(it, f"{it.title}, {name}: " * 30) for it in step.checks]
        return made.grade(name, steps)

    grades = [all_wrong(f"Learner {number}") for number in range(200)]
    assert sum(len(step.checks) for step in grades[0].steps) == 70
    start = time.process_time()
    page = render(grades)
    assert time.process_time() - start < MOST_SECONDS
    assert len(page.encode()) < MOST_BYTES


def print_to_pdf(page: Page) -> bytes:
    page.emulate_media(media="print")
    return page.pdf(prefer_css_page_size=True)


def count_pages(page: Page) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", print_to_pdf(page)))


@pytest.mark.full("pages in a browser")
def test_on_paper_each_learner_begins_a_page(reader: Reader) -> None:
    page = reader.open(CLASS)
    everything = count_pages(page)
    page.locator("#learners").evaluate("(section) => section.remove()")
    assert everything - count_pages(page) == len(CLASS)
    boxes = re.findall(rb"/MediaBox\s*\[0 0 (\d+)[\d.]* (\d+)", print_to_pdf(page))
    assert [int(width) > int(height) for width, height in boxes].count(True) == 1  # the table


@pytest.mark.full("pages in a browser")
def test_on_paper_it_is_light_and_links_are_plain(reader: Reader) -> None:
    page = reader.open(CLASS)
    page.emulate_media(color_scheme="dark", media="print")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator("td").first).to_have_css("print-color-adjust", "exact")
    expect(page.locator(".map a").first).to_have_css("text-decoration-line", "none")
    expect(page.get_by_role("navigation")).to_be_hidden()


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_tones_are_told_apart_without_colours(
    reader: Reader, scheme: Literal["light", "dark"]
) -> None:
    page = reader.open(CLASS)
    page.emulate_media(color_scheme=scheme)
    *tones, paper = map(luminance, page.evaluate(READ_TONES))
    contrasts = [contrast(tone, paper) for tone in tones]
    assert contrasts == sorted(contrasts)
    assert all(later / earlier > 1.07 for earlier, later in itertools.pairwise(contrasts))


def luminance(colour: list[int]) -> float:
    """As WCAG 2.2 has it."""
    parts = [part / 255 for part in colour[:3]]
    red, green, blue = (it / 12.92 if it <= 0.04 else ((it + 0.055) / 1.055) ** 2.4 for it in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.full("pages in a browser")
def test_keys_lead_past_the_head_and_through_the_table(reader: Reader) -> None:
    page = reader.open(CLASS, PHONE)
    skip = page.get_by_role("link", name="Skip to the points")
    expect(skip).not_to_be_in_viewport()
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    assert skip.evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    table = page.get_by_role("region", name="Points by learner and step")
    expect(table).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(table).not_to_have_js_property("scrollLeft", 0)


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_head_of_the_table_stays_in_sight(reader: Reader, size: ViewportSize) -> None:
    page = reader.open([made.grade(f"Learner {number}") for number in range(200)], size)
    row = page.locator(".map tbody tr").nth(150)
    row.scroll_into_view_if_needed()
    expect(row).to_be_in_viewport()
    expect(page.locator(".map thead .who")).to_be_in_viewport(ratio=1)
    page.locator(".map tbody tr").nth(150).locator("td").last.scroll_into_view_if_needed()
    expect(row.locator("th")).to_be_in_viewport(ratio=1)
    expect(page.locator(".map thead th").last).to_be_in_viewport()


@pytest.mark.full("pages in a browser")
def test_a_link_that_has_the_focus_is_not_under_the_head(reader: Reader) -> None:
    page = reader.open([made.grade(f"Learner {number:03}") for number in range(200)])
    page.get_by_role("link", name="Learner 150").first.focus()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
    box = page.locator(":focus").bounding_box()
    head = page.locator(".map thead .who").bounding_box()
    assert box is not None
    assert head is not None
    assert box["y"] >= head["y"] + head["height"]


@pytest.mark.full("pages in a browser")
@pytest.mark.parametrize(
    "attack",
    [
        "document.body.append(Object.assign(document.createElement('script'), {text: 'hit = 1'}))",
        "document.body.innerHTML += '<img src=x onerror=\"hit = 1\">'",
        "fetch('http://127.0.0.1:9/').catch(() => {})",
    ],
)
def test_the_page_forbids_what_it_does_not_need(
    browser: Browser, reader: Reader, attack: str
) -> None:
    reader.open(CLASS)
    page = browser.new_page()
    asked: list[str] = []
    page.goto(reader.file.as_uri())
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("response", lambda response: asked.append(response.url))
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate(f"() => {{ {attack} }}")
    page.wait_for_timeout(200)
    assert any("Content Security Policy" in text for text in refused)
    assert page.evaluate("typeof hit") == "undefined"
    assert asked == []
    page.close()
