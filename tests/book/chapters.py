"""The chapters: what they say, and what the numbers in them should be.

A number in prose is followed by a remark with the expression that it comes from, as in
`2.83<!--= sqrt(8) -->`; one that gives several values is for as many numbers before it. The
expressions may use what the chapter's example leaves, and the names of `names_in`: in `one.x`, it
is the x of session `one` of the things to try.
"""

import doctest
import functools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tutor import ROOT
from tutor.course.names import find_name
from tutor.course.tracks import TEXT, TRACKS

BOOK = ROOT / "book"
CHAPTERS = sorted(path for path in (BOOK / "src").glob("*.md") if path.stem != "SUMMARY")
EXAMPLES = sorted((BOOK / "examples").glob("*.txt"))
TRIES = sorted((BOOK / "tries").glob("*.txt"))

UNREAD = re.compile(
    r"""
      (?<=```sh\n).*?(?=```)              # commands
    | \{\{\#.*?\}\}                       # what is included
    | <!--(?!=).*?-->                     # other remarks
    | <script.*?</script>
    | <[a-z/](?:[^<>"]|"[^"]*")*>         # tags
    | (?<=\])\([^)]*\)                    # where a link leads to
    """,
    re.DOTALL | re.VERBOSE,
)
NUMBER = r"(?<![\w.,/-])(?P<number>[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e-?\d+)?)(?!\w|-\w)"
NUMBER_OR_SOURCE = re.compile(NUMBER + r"|<!--=(?P<source>.*?)-->", re.DOTALL)
# "texts 7" are seven texts: 01 and 02 are taken for names as they are.
WORDS = "|".join(track.word for track in TRACKS if track is not TEXT)
NAME = re.compile(rf"(?:(?:{WORDS})s?|python|max) $", re.IGNORECASE)


def names_in(chapter: Path) -> dict[str, Any]:
    """What the sources of a chapter's numbers may use."""
    from solutions.solution_01 import GPT2Config

    names: dict[str, Any] = vars(math) | {"np": np, "gpt2": GPT2Config()}
    names["bundled"] = json.loads((ROOT / "models/fairy-tales/config.json").read_text())
    if find_name(chapter.stem):
        transcript = (BOOK / "transcripts" / f"{chapter.stem}.txt").read_text()
        shown = re.findall(r"^    (expected|got) +([-\d.e]+)(?!\S)", transcript, re.MULTILINE)
        names |= {name: float(value) for name, value in shown}
    tries = BOOK / "tries" / f"{chapter.stem}.txt"
    if tries.exists():
        used = re.findall(r"<!--= *(\w+)\.", chapter.read_text())
        for name in sections(tries).keys() & set(used):
            names[name] = SimpleNamespace(**run_session(tries, name))
    return names | run_example(BOOK / "examples" / f"{chapter.stem}.txt")


def sections(file: Path) -> dict[str, str]:
    """The parts of a file of sessions that a chapter can include, by their names."""
    parts = r"^>>> # ANCHOR: (\w+)\n(.*?)^>>> # ANCHOR_END: \1$"
    return dict(re.findall(parts, file.read_text(), re.MULTILINE | re.DOTALL))


def run_example(file: Path) -> dict[str, Any]:
    """The names that a session leaves. Raises AssertionError if it prints what it should not."""
    return run(file.read_text(), file) if file.exists() else {}


@functools.cache
def run_session(file: Path, name: str) -> dict[str, Any]:
    """The names that a part of a file leaves, which runs by itself."""
    return run(sections(file)[name], file)


def run(text: str, file: Path) -> dict[str, Any]:
    """The names that a text of sessions leaves."""
    session = doctest.DocTestParser().get_doctest(text, {}, file.stem, str(file), 0)
    try:
        doctest.DebugRunner().run(session, clear_globs=False)
    except doctest.DocTestFailure as failure:
        raise AssertionError(f"{failure.example.source}gave\n{failure.got}") from None
    return session.globs


def wrong_numbers(text: str, names: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the numbers of a text, each in a few words."""
    for paragraph in UNREAD.sub("", text).split("\n\n"):
        waiting: list[str] = []
        for found in NUMBER_OR_SOURCE.finditer(paragraph):
            if found["source"]:
                source = found["source"].strip()
                values = np.ravel(eval(source, dict(names)))  # noqa: S307  the book is ours
                waiting, numbers = waiting[: -len(values)], waiting[-len(values) :]
                if len(numbers) < len(values):
                    yield f"{len(values)} numbers from {source}, where {len(numbers)} stand"
                for number, value in zip(numbers, values, strict=False):
                    if not is_rounding(number, float(value)):
                        yield f"{number}, where {source} gives {value:g}"
            elif not NAME.search(paragraph[: found.start()]):
                waiting.append(found["number"])
        yield from (f"{number}, without a source" for number in waiting if needs_source(number))


def is_rounding(number: str, value: float) -> bool:
    """Whether a number as it is written is this value, rounded to as many digits."""
    plain = number.replace("−", "-").replace(",", "")
    digits = re.split("e", plain)[0].partition(".")[2]
    exponent = int(plain.partition("e")[2] or 0)
    return abs(float(plain) - value) <= 0.5 * 10.0 ** (exponent - len(digits)) * (1 + 1e-9)


def needs_source(number: str) -> bool:
    """Whether a number is more than a digit to count with, the name of a step or a year."""
    return not re.fullmatch(r"[-−]?\d|0\d|20[0-2]\d", number)
