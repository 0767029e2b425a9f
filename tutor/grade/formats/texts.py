"""What learners wrote or named, made fit for the files and tables of others."""

import codecs
import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence

from tutor.course.verdicts import Verdict
from tutor.grade.grades import CheckGrade, StepGrade

MARK = " […]"  # ends what was cut short
MOST_IN_CELL = 32_000  # characters; Excel takes 32,767
MOST_IN_NAME = 40  # characters of up to four bytes; a file name may have 255 bytes
SIGN = "[=+\\-@＝＋－＠]"  # that a spreadsheet may compute what follows
FORMULA = re.compile(rf"\s*{SIGN}|[\t\r\n]")
INNER = re.compile(rf"(?<![;|\s])[;|\s]++(?={SIGN})")  # where a cell may end, and another begin so
DIGEST = 32  # hexadecimal digits: 128 bits
PLAIN = re.compile(
    rf"(?!.*-[0-9a-f]{{{DIGEST}}}$)[a-z0-9_.-]+"
)  # and does not look like one with a digest
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # in Windows
SIGNS = (
    {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"}
    | {code: f"\\u{code:x}" for code in range(0xD800, 0xE000)}
    | dict.fromkeys([*range(0x80, 0xA0), 0xFFFE, 0xFFFF], "\ufffd")
    | {0x7F: "\u2421"}
)


def printable(text: str) -> str:
    """The text, with signs in place of what XML forbids, UTF-8 lacks, or a terminal obeys."""
    return text.translate(SIGNS)


def shortened(text: str, most: int) -> str:
    """The text, or as much of its beginning as keeps it within so many characters."""
    return text if len(text) <= most else text[: most - len(MARK)] + MARK


def fitted(text: str, most: int) -> str:
    """The text, or as much of its beginning as keeps it within so many bytes of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - len(MARK.encode())].decode(errors="ignore") + MARK


def table(rows: Iterable[Sequence[str | int | float]]) -> bytes:
    """Rows as CSV, in UTF-8 with a mark, which tells Excel so; texts cannot become formulas."""
    file = io.StringIO()
    csv.writer(file).writerows(
        [cell(value) if isinstance(value, str) else value for value in row] for row in rows
    )
    return codecs.BOM_UTF8 + file.getvalue().encode()


def cell(text: str) -> str:
    """The text for a table; an apostrophe keeps a spreadsheet from computing it.

    Also inside, since where semicolons separate, a cell ends at each of them, quoted or not.
    """
    text = INNER.sub(between_cells, shortened(printable(text), MOST_IN_CELL))
    return f"'{text}" if FORMULA.match(text) else text


def between_cells(found: re.Match[str]) -> str:
    """What separates a text from a sign, with an apostrophe if it may separate cells."""
    begins = found.start() == 0 and found[0].isspace()  # and the whole text has its apostrophe
    return f"{found[0]}'" if not begins and set(found[0]) - {" "} else found[0]


def file_name(learner: str) -> str:
    """A learner's name as that of a file, without suffix; no two learners get the same one.

    Unless it is kept as it is, a digest tells it from names that look alike, or that differ only in
    capitals, which are all one to some file systems.
    """
    text = unicodedata.normalize("NFC", printable(learner))
    stem = re.sub(r"[^\w.-]+", "-", text)[:MOST_IN_NAME].strip(".-") or "learner"
    if stem == learner and PLAIN.fullmatch(stem) and not RESERVED.match(stem):
        return stem
    digest = hashlib.sha256(learner.encode(errors="backslashreplace")).hexdigest()
    return f"{'_' * bool(RESERVED.match(stem))}{stem}-{digest[:DIGEST]}"


def feedback(step: StepGrade, check: CheckGrade) -> str:
    """Why a check failed, and for the first one that did, what the mistake is; empty if none."""
    silent = "" if check.verdict == Verdict.PASSED else f"{check.verdict}."
    parts = [check.explanation.rstrip() or silent]
    if check is step.first_failure:
        parts += [f"It comes from {' and '.join(step.culprits)}."] * bool(step.culprits)
        parts += [f"Mistake: {step.mistake}"] * bool(step.mistake)
    return printable("\n".join(filter(None, parts)))
