"""Beyond its check, a chapter has two things to try, and two questions answered by a click."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.book.chapters import BOOK, CHAPTERS, TRIES, sections
from tests.book.test_pages import PHONE
from tutor.course.names import find_name

HAVE = [chapter for chapter in CHAPTERS if "/tries/" in chapter.read_text()]
QUESTION = re.compile(r'<fieldset class="quiz">\n<legend>(.*?)</legend>(.*?)</fieldset>', re.DOTALL)
ANSWER = re.compile(
    r'<details( class="correct")?>\n<summary>(.*?)</summary>\n\n(.*?)\n\n</details>', re.DOTALL
)

by_chapter = pytest.mark.parametrize("chapter", HAVE, ids=lambda chapter: chapter.stem)


def test_every_step_goes_beyond_its_check() -> None:
    assert [chapter for chapter in CHAPTERS if find_name(chapter.stem)] == HAVE
    assert [file.stem for file in TRIES] == [chapter.stem for chapter in HAVE]


@by_chapter
def test_a_chapter_has_two_things_to_try(chapter: Path) -> None:
    text = chapter.read_text()
    for name in ("one", "two"):
        assert text.count(f"{{{{#include ../tries/{chapter.stem}.txt:{name}}}}}") == 1
    assert [*sections(BOOK / "tries" / f"{chapter.stem}.txt")] == ["one", "two"]


@by_chapter
def test_each_question_has_one_right_answer_and_all_say_why(chapter: Path) -> None:
    text = chapter.read_text()
    questions = QUESTION.findall(text)
    assert len(questions) == text.count("<legend>") == 2
    for asked, answers in questions:
        assert asked.endswith("?")
        found = ANSWER.findall(answers)
        assert len(found) == answers.count("<details") == 3
        assert [bool(right) for right, _, _ in found].count(True) == 1
        for right, answer, why in found:
            assert re.match("Yes[.,:]" if right else "No[.,:]", why), answer
            assert len(why.split()) > 5, answer


def test_the_right_answer_has_no_favourite_place() -> None:
    places = [
        [bool(right) for right, _, _ in ANSWER.findall(answers)].index(True)
        for chapter in HAVE
        for _, answers in QUESTION.findall(chapter.read_text())
    ]
    assert all(places.count(place) >= len(places) / 5 for place in range(3)), places


@pytest.mark.full("pages in a browser")
def test_a_question_is_answered_by_keys_and_without_scripts(browser: Browser, site: Path) -> None:
    page = browser.new_page(java_script_enabled=False, viewport=PHONE)
    page.goto((site / "step_07.html").as_uri())
    question = page.get_by_role("group", name="All keys of a text are equal").first
    answer = question.locator("summary").first
    why = question.get_by_text("The weights sum to 1, whatever")
    expect(why).not_to_be_visible()
    answer.focus()
    answer.press("Enter")
    expect(why).to_be_visible()
    sign = "(it) => getComputedStyle(it, '::before').content"
    assert "✗" in answer.evaluate(sign)
    right = question.locator(".correct summary")
    right.press("Space")
    assert "✓" in right.evaluate(sign)
    page.close()
