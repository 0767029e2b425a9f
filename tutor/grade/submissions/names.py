"""What the name of a file says: which step it is, whose, and how new.

What people hand in is called STEP_01.py, step_1-2.py or ada_step_01 (1).py, and services put names
and numbers in front. This is the one place that decides what such a name means.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from tutor.course.names import Name, find_name
from tutor.course.tracks import TRACKS

LONGEST = 255  # characters of a name that means anything
AGAIN = r"[ _-]*\([0-9]{1,3}\)|[ _-]v?[0-9]{1,3}"  # (1), -1, _v2: of what was handed in again
ARCHIVE = re.compile(
    rf"\.(zip|tar|tgz|taz|tbz2?|tz2|txz|tar(?P<again>{AGAIN})?\.(gz|bz2?|xz))$", re.IGNORECASE
)

# In Moodle: Ada Lovelace_12_assignsubmission_file_, a folder, or the beginning of a file's name.
MOODLE = re.compile(r"(?P<learner>.+)_(?P<number>[0-9]+)_assignsubmission_[a-z]+_?(?P<rest>.*)")
# In Canvas: lovelaceada_LATE_12_34_step_01-1.py, where 12 is the learner and 34 the upload.
CANVAS = re.compile(
    r"(?P<learner>.+?)(?P<late>_late)?_(?P<number>[0-9]+)_"
    r"((?P<upload>[0-9]+)_(?P<rest>.+)|(text|link)\.html)",
    re.IGNORECASE,
)
# In Blackboard: Homework 1_ada_attempt_2026-10-01-12-00-00_step_01.py, and a text of that name.
BLACKBOARD = re.compile(
    r"(?P<learner>.+)_attempt_(?P<upload>[0-9]{4}(-[0-9]{2}){5})(_(?P<rest>.+)|\.txt)"
)
# In Brightspace: a folder, 12-34 - Ada Lovelace - Oct 1, 2026 1200 PM.
BRIGHTSPACE = re.compile(
    r"(?P<number>[0-9]+)-[0-9]+ ?- (?P<learner>.+?) ?- (?P<month>[A-Z][a-z]{2})[a-z]* "
    r"(?P<day>[0-9]{1,2}), (?P<year>[0-9]{4}) (?P<hour>[0-9]{1,2}):?(?P<minute>[0-9]{2}) ?"
    r"(?P<half>[AP])M"
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COPY = r"copy|kopie|copie|copia"  # in the names of what was put aside, perhaps with a number
COPY_OF = rf"({COPY})[ _](of|von|de)[ _]"
WORD = "|".join(track.word for track in TRACKS)
STEP = re.compile(
    rf"(?P<before>({COPY_OF})?(.*[ _.-])?)(?P<word>{WORD})[ _.-]*(?P<number>[0-9]{{1,2}})"
    rf"(?P<after>({AGAIN}|[ _-]+\(?({COPY})\)?)*) *(?P<suffix>\.[a-z0-9]+(\.(py|txt))?)",
    re.IGNORECASE,
)
MENTIONED = re.compile(rf"(?P<word>{WORD})[ _.-]*(?P<number>[0-9]{{1,2}})(?![0-9])", re.IGNORECASE)
TESTS = re.compile(r"(^|[ _.-])tests?[ _.-]$", re.IGNORECASE)

# What is no submission, and what to do about it.
NOT_READ = {
    re.compile(rf"\.({suffixes})$", re.IGNORECASE): why
    for suffixes, why in {
        "download|crdownload|opdownload|part|partial": (
            "is a download that has not finished; fetch it again"
        ),
        "rar|7z|zst|tzst|lz|tlz|lz4|lzma|z|zipx|jar|whl|egg|cab|ace|arj|sit|sitx|alz|iso|dmg|wim|"
        "cpio|pax|xar|lha|lzh|deb|rpm": (
            "is an archive of a kind that is not read; unpack it, or ask for a zip"
        ),
        r"z\d\d|\d{3}": "is a part of an archive; ask for one zip",
        "gz|bz2|xz": "is a packed file, but no tar; unpack it",
        "ipynb": "is a notebook; export it as Python, as step_01.py",
        "bundle": "is a git bundle; clone it, and name the clone",
        "pyc|pyo": "is compiled Python; ask for the text, as step_01.py",
        r"py|py\.txt": "does not say which step it is; name it as in step_01.py",
    }.items()
}
OTHER = "is no Python, archive or repository; take it out of the class, or ask for the steps"


@dataclass(frozen=True)
class Owner:
    """Whose a file is that a service has named, and what it was called before."""

    learner: str
    number: str  # the learner's, in Moodle or Canvas
    rest: str
    upload: tuple[int, ...]
    is_late: bool


@dataclass(frozen=True)
class Spelling:
    """A file that is named like a step."""

    step: Name
    before: str  # what comes before the step: perhaps a learner's name
    age: tuple[int, ...]  # of several files the largest is the newest
    is_late: bool
    is_python: bool


def owner_of(name: str) -> Owner | None:
    """Whose a file or folder is, by the names in downloads from services."""
    short = name if len(name) <= LONGEST else ""
    if found := MOODLE.fullmatch(short):
        return Owner(found["learner"], found["number"], found["rest"], (), is_late=False)
    if found := CANVAS.fullmatch(short):
        upload = (int(found["upload"]),) if found["upload"] else ()
        late = bool(found["late"])
        return Owner(found["learner"], found["number"], found["rest"] or name, upload, is_late=late)
    if found := BLACKBOARD.fullmatch(short):
        when = numbers(found["upload"])
        return Owner(found["learner"], "", found["rest"] or name, when, is_late=False)
    if (found := BRIGHTSPACE.fullmatch(short)) and found["month"] in MONTHS:
        year, day, hour, minute = map(int, found.group("year", "day", "hour", "minute"))
        hour = hour % 12 + 12 * (found["half"] == "P")
        moment = year, MONTHS.index(found["month"]), day, hour, minute
        return Owner(found["learner"], found["number"], "", moment, is_late=False)
    return None


def plain(name: str) -> str:
    """A name without what cannot be seen, and with one sign for those that look alike."""
    seen = "".join(sign for sign in unicodedata.normalize("NFKC", name) if sign.isprintable())
    return seen.strip().rstrip(" .")


def step_of(name: str) -> Spelling | None:
    """Which step a file is by its name, if it is one."""
    owner = owner_of(name)
    found = STEP.fullmatch(plain(owner.rest if owner else name[: LONGEST + 1]))
    step = find_name(f"{found['word']}_{found['number']}") if found else None
    if not found or not step or name.startswith(".") or TESTS.search(found["before"]):
        return None
    before = re.sub(f"^{COPY_OF}", "", found["before"], flags=re.IGNORECASE)
    is_copy = before != found["before"] or bool(re.search(COPY, found["after"], re.IGNORECASE))
    return Spelling(
        step,
        before.strip(" _.-"),
        (not is_copy, *(owner.upload if owner else ()), *numbers(before), *numbers(found["after"])),
        is_late=bool(owner and owner.is_late),
        is_python=found["suffix"].lower() in (".py", ".pyw", ".py.py", ".py.txt"),
    )


def mentioned(name: str) -> Name | None:
    """The step that a file may be meant as, although its name is not that of one."""
    found = MENTIONED.search(plain(name[:LONGEST]))
    if not found or TESTS.search(found.string[: found.start()]):
        return None
    return find_name(f"{found['word'].lower()}_{int(found['number']):02}")


def age_of(name: str) -> tuple[int, ...]:
    """How new an archive is among those of one learner: the largest is the newest."""
    owner = owner_of(name)
    inside = ARCHIVE.search(name)
    again = re.search(rf"({AGAIN})$", ARCHIVE.sub("", name))
    texts = again and again[0], inside and inside["again"]
    return (*(owner.upload if owner else ()), *numbers(" ".join(filter(None, texts))))


def stem_of(name: str) -> str:
    """What an archive is called in all its versions."""
    owner = owner_of(name)
    return re.sub(rf"({AGAIN})$", "", ARCHIVE.sub("", owner.rest if owner else name))


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a text."""
    return tuple(map(int, re.findall(r"[0-9]+", text)))


def why_not(name: str) -> str:
    """Why a file is no submission, and what to do about it."""
    return next((why for suffix, why in NOT_READ.items() if suffix.search(name)), OTHER)


def path_of(member: str) -> PurePosixPath:
    """The path of a member of an archive, which Windows may have written with backslashes."""
    return PurePosixPath(PureWindowsPath(member).as_posix() if "\\" in member else member)


def leads_out(path: PurePosixPath) -> bool:
    """Whether a path leads out of the archive that it is in, on any system."""
    return path.is_absolute() or bool(PureWindowsPath(path).drive) or ".." in path.parts
