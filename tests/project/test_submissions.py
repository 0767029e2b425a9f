"""What people hand in, as it really comes: each is graded, or listed with the reason.

Here it is only found and read; that it is graded so, `test_a_class_as_it_comes` sees.
"""

import errno
import io
import os
import shutil
import subprocess
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.project.commands import run_child, run_here
from tests.project.hostile import HONEST, RIGHT, git, make_tree
from tutor.course.names import NAMES
from tutor.errors import InputError
from tutor.grade import grades
from tutor.grade.formats.files import check_names
from tutor.grade.submissions.entries import UnreadableError
from tutor.grade.submissions.find import find
from tutor.grade.submissions.names import step_of
from tutor.grade.submissions.read import read

FIRST, THIRD = HONEST.encode(), RIGHT.encode()
Files = Mapping[str, bytes]
STEPS = {"steps/step_01.py": FIRST, "steps/step_03.py": THIRD}
OF_STEPS = {f"{name}.py" for name in NAMES}
BOTH = {"step_01.py": FIRST, "step_03.py": THIRD}


def write(place: Path, files: Files) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def zipped(files: Files) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def twice(files: Files) -> bytes:
    """An archive with older versions before the files, under the same names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, warnings.catch_warnings(action="ignore"):
        for text in (b"1", None):
            for name in files:
                archive.writestr(name, text or files[name])
    return content.getvalue()


def locked(files: Files) -> bytes:
    """An archive that says of each file that it is encrypted."""
    content = bytearray(zipped(files))
    for mark, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = -1
        while (place := content.find(mark, place + 1)) >= 0:
            content[place + offset] |= 1
    return bytes(content)


def tarred(files: Files, mode: str = "w:gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def found_in(place: Path, *names: str) -> dict[str, dict[str, bytes] | str]:
    """What comes of each learner: the steps that are graded, or why there are none."""
    found: dict[str, dict[str, bytes] | str] = {}
    for source in find([str(place / name) for name in names] or [str(place)]):
        try:
            files = read(source).files
            found[source.learner] = {name: files[name] for name in files if name in OF_STEPS}
        except UnreadableError as error:
            found[source.learner] = str(error)
    return found


def notes_on(place: Path) -> str:
    (source,) = find([str(place)])
    return " ".join(read(source).notes)


# One learner, and how the steps are called


@pytest.mark.parametrize(
    ("name", "step"),
    {
        "step_01.py": "step_01",
        "STEP_01.PY": "step_01",
        "Step_03.py": "step_03",
        "step_1.py": "step_01",
        "step1.py": "step_01",
        "step-01.py": "step_01",
        "step 01.py": "step_01",
        "step_01-1.py": "step_01",
        "step_01 (1).py": "step_01",
        "step_01(12).py": "step_01",
        "step_01_v2.py": "step_01",
        "step_01 - Copy.py": "step_01",
        "Copy of step_01.py": "step_01",
        "step_01.py.txt": "step_01",
        "dee_step_01.py": "step_01",
        "name_12_34_step_01.py": "step_01",
        "name_LATE_12_34_step_12-2.py": "step_12",
        "Zoë Ångström_12_assignsubmission_file_step_07.py": "step_07",
        "engine_02.py": "engine_02",
        "Engine-2 (3).py": "engine_02",
        "step_01 .py": "step_01",
        "step_01.py ": "step_01",
        "step_01.py.": "step_01",
        "step_01.py\n": "step_01",
        "\u202estep_01.py": "step_01",
        "step_\uff10\uff11.py": "step_01",
        "step__01.py": "step_01",
        "step_01.py.py": "step_01",
        "step_01.pyw": "step_01",
        "Kopie von step_01.py": "step_01",
        "step_01 - Kopie (2).py": "step_01",
        "Homework 1_ada_attempt_2026-10-01-12-00-00_step_01.py": "step_01",
        "step_01.py~": None,
        "step_01_final.py": None,
        "step_13.py": None,
        "step_00.py": None,
        "step_.py": None,
        "test_step_01.py": None,
        "._step_01.py": None,
        "my_test_step_01.py": None,
        "solution_01.py": None,
        "step_01_helpers.py": None,
        "laststep_01.py": None,
        "step_01": None,
        "x" * 100_000 + "_step_01.py": None,
        "step_01" + " (1)" * 50_000 + ".py": None,
        "step_01" + "_copy(1)" * 30 + "!": None,
        "_1" * 120 + "_step_01!": None,
    }.items(),
)
def test_which_step_a_name_means(name: str, step: str | None) -> None:
    begin = time.monotonic()
    named = step_of(name)
    assert (named and named.step.name) == step
    assert time.monotonic() - begin < 1


def test_every_file_of_the_course_is_its_step() -> None:
    for name in NAMES:
        assert [step_of(f"{name}.py").step] == [name]  # type: ignore[union-attr]


SPELLINGS: dict[str, Files] = {
    "as they should be": STEPS,
    "in capitals": {"STEPS/STEP_01.py": FIRST, "STEPS/STEP_03.PY": THIRD},
    "without zeros": {"steps/step_1.py": FIRST, "steps/step_3.py": THIRD},
    "with a capital, on top": {"Step_01.py": FIRST, "Step_03.py": THIRD},
    "downloaded again": {"step_01 (1).py": FIRST, "step_03(2).py": THIRD},
    "handed in again": {"step_01-1.py": FIRST, "step_03-2.py": THIRD},
    "from Canvas": {"name_12_34_step_01.py": FIRST, "name_12_35_step_03-1.py": THIRD},
    "from Canvas, late": {"name_late_12_34_step_01.py": FIRST, "name_LATE_12_35_step_03.py": THIRD},
    "with a name": {"hw/dee_step_01.py": FIRST, "hw/dee_step_03.py": THIRD},
    "deep down": {"a/b/c/step_01.py": FIRST, "a/b/c/step_03.py": THIRD},
    "a folder for each": {"week1/step_01.py": FIRST, "week2/step_03.py": THIRD},
    "in an archive": {"steps.zip": zipped(STEPS)},
    "in a Windows archive": {"steps.zip": zipped({n.replace("/", "\\"): STEPS[n] for n in STEPS})},
    "in a Mac's archive": {"steps.zip": zipped(STEPS | {"__MACOSX/steps/._step_01.py": b"\0\1"})},
    "in a tar of Chrome's": {"steps.tar (1).gz": tarred(STEPS)},
    "the newest tar": {
        "steps.tar.gz": tarred(dict.fromkeys(STEPS, b"1")),
        "steps.tar (2).gz": tarred(STEPS),
        "steps.tar (1).gz": tarred(dict.fromkeys(STEPS, b"2")),
    },
    "in a tar of Canvas's": {"steps.tar-1.gz": tarred(STEPS)},
    "in a tar of another name": {"steps.tbz": tarred(STEPS, "w:bz2")},
    "twice in an archive": {"steps.zip": twice(STEPS)},
    "in a tar": {"hw/steps.tar.xz": tarred(STEPS, "w:xz")},
    "versions": STEPS | {"steps/step_01 - Copy.py": b"1", "steps/step_03.bak": b"2"},
    "the newest of Canvas": {
        "name_12_34_step_01.py": b"1",
        "name_LATE_12_40_step_01-1.py": FIRST,
        "name_12_9_step_01-2.py": b"2",
        "name_12_41_step_03.py": THIRD,
    },
    "the newest": {
        "steps/step_01.py": b"1",
        "steps/step_01-2.py": FIRST,
        "steps/step_01-1.py": b"2",
        "steps/step_03 (9).py": b"3",
        "steps/step_03 (10).py": THIRD,
    },
    "the newest archive": {
        "name_12_34_steps.zip": zipped({"steps/step_01.py": b"1"}),
        "name_12_56_steps-1.zip": zipped(STEPS),
    },
    "beside a test": STEPS | {"steps/test_step_01.py": b"", "tests/test_step_03.py": b""},
    "beside an older one": STEPS | {"old/step_01.py": b"1", "steps/old_step_01.py": b"2"},
}
OF_SEVERAL = {"a folder for each", "beside an older one"}  # for all that can be known
PACKINGS: dict[str, Callable[[Path, Files], None]] = {
    "": write,
    ".zip": lambda place, files: write(place.parent, {f"{place.name}.zip": zipped(files)}),
    ".tgz": lambda place, files: write(place.parent, {f"{place.name}.tgz": tarred(files)}),
}


@pytest.mark.parametrize("suffix", PACKINGS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_learner_in_a_class(spelling: str, suffix: str, tmp_path: Path) -> None:
    PACKINGS[suffix](tmp_path / "ada", SPELLINGS[spelling])
    write(tmp_path / "bob", STEPS)
    assert found_in(tmp_path) == {"ada": BOTH, "bob": BOTH}


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name not in OF_SEVERAL])
def test_a_learner_alone(spelling: str, tmp_path: Path) -> None:
    write(tmp_path, {"ada.zip": zipped(SPELLINGS[spelling])})
    found = found_in(tmp_path, "ada.zip")
    assert list(found.values()) == [BOTH], found


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (STEPS, ""),
        ({"STEPS/STEP_01.py": FIRST}, "STEPS/STEP_01.py was read as step_01.py."),
        (
            {"step_01.py": FIRST, "step_01-1.py": FIRST},
            "step_01-1.py was graded, and not step_01.py.",
        ),
        ({"n_LATE_1_2_step_01.py": FIRST}, "n_LATE_1_2_step_01.py was handed in late."),
        ({"n_1_2_step_01.py": FIRST}, ""),
        (STEPS | {"steps/step_02.ipynb": b"{}"}, "steps/step_02.ipynb is a notebook; "),
        (STEPS | {"steps/step_02.txt": b"x"}, "is no Python file; save it as step_02.py."),
        (STEPS | {"steps/step_02.py.bak": b"x"}, "is no Python file; save it as step_02.py."),
        (STEPS | {"steps/step_02": b"x"}, "steps/step_02 is no Python file; save it as"),
        (
            STEPS | {"steps/step_02_final.py": b"x"},
            "steps/step_02_final.py was not taken for step 02; call it step_02.py.",
        ),
        (STEPS | {"steps/step_03_helpers.py": b"x", "steps/test_step_02.py": b""}, ""),
        (STEPS | {"old/step_02.py": b"x"}, "old/step_02.py lies apart from the other steps; "),
        (STEPS | {"solutions/engine_01.py": b"x"}, ""),
        (
            {"step_01.py": FIRST, "Step_03.py": b"1", "step_3.py": b"2"},
            "Step 03 is there as Step_03.py and step_3.py; keep one, as step_03.py.",
        ),
        (
            {"ada_step_01.py": FIRST, "bob_step_01.py": b"1", "step_03.py": THIRD},
            "Step 01 is there as ada_step_01.py and bob_step_01.py; keep one, as step_01.py.",
        ),
    ],
)
def test_what_was_read_otherwise_is_told(files: Files, said: str, tmp_path: Path) -> None:
    write(tmp_path, {"ada.zip": zipped(files)})
    notes = notes_on(tmp_path)
    assert said in notes
    assert bool(said) == bool(notes)


def test_what_is_not_opened_is_told(tmp_path: Path) -> None:
    files, _ = CLASSES["a folder and its archive"]
    write(tmp_path, files)
    notes = {source.learner: read(source).notes for source in find([str(tmp_path)])[:1]}
    assert notes == {"ada": ["ada.zip was not read, since there are steps beside it."]}


@pytest.mark.full("ways to grade")
def test_what_is_told_is_bounded(tmp_path: Path) -> None:
    names = {f"{'x' * 900}/{number}/step_02.py": b"" for number in range(3_000)}
    write(tmp_path, {"ada.zip": zipped(STEPS | names)})
    begin = time.monotonic()
    notes = notes_on(tmp_path)
    assert time.monotonic() - begin < 10
    assert len(notes) < 6_000
    assert notes.endswith("And so on, 2980 times more.")


def test_what_others_import_is_there_under_its_own_name(tmp_path: Path) -> None:
    write(tmp_path / "ada", {"step_1.py": FIRST, "step_2.py": b"from steps.step_1 import x\n"})
    files = read(find([str(tmp_path)])[0]).files
    assert files.keys() == {"step_01.py", "step_1.py", "step_02.py", "step_2.py"}


# How a step was saved

TEXT = 'NAME = "Zoë – 中"\n'


@pytest.mark.parametrize(
    ("content", "text", "said"),
    [
        (TEXT.encode(), TEXT, ""),
        (b"\xef\xbb\xbf" + TEXT.encode(), TEXT, ""),
        (TEXT.encode("utf-16"), TEXT, "was saved as UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), TEXT, "was saved as UTF-16"),
        (TEXT.encode("utf-32"), TEXT, "was saved as UTF-32"),
        (b"x\0=\0001\0", "x=1", "was saved as UTF-16-LE"),
        (b"\0x\0=\0001", "x=1", "was saved as UTF-16-BE"),
        (b"x = 1\n\0", None, "holds zeros, as no text does"),
        (b"{\\rtf1 x}", None, "is a text with formats (RTF)"),
        (b"\n<!DOCTYPE HTML>", None, "is a page of the web"),
        (b'{\n "cells": []}', None, "is a notebook; export it as Python"),
        (b"PK\3\4xyz", None, "is a zip archive"),
        (b"%PDF-1.4", None, "is a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", None, "only points to a file in Git LFS"),
        (b"# coding: latin-1\nx = '\xeb'\n", "# coding: utf-8\nx = 'ë'\n", ""),
        (b"#!x\n# -*- coding: cp1252 -*-\n'\x80'", "#!x\n# -*- coding: utf-8 -*-\n'€'", ""),
        (b"x = '\xeb'\n", None, "or in UTF-8; save it as UTF-8"),
        (b"# coding: zip\nx = 1\n", None, "is not in the encoding that it declares"),
        (b"# coding: klingon\nx = 1\n", None, "is not in the encoding that it declares"),
        (b"\xff\xfex", None, "save it as UTF-8"),
        (TEXT.replace("\n", "\r\n").encode(), TEXT.replace("\n", "\r\n"), ""),
    ],
)
def test_encodings(content: bytes, text: str | None, said: str, tmp_path: Path) -> None:
    write(tmp_path / "ada", {"step_01.py": content})
    (source,) = find([str(tmp_path)])
    submission = read(source)
    assert submission.files["step_01.py"] == (content if text is None else text.encode())
    assert said in " ".join(submission.notes)
    assert bool(said) == bool(submission.notes)


# A class

ADA, BOB = "Ada Lovelace_12_assignsubmission_file_", "Zoë_13_assignsubmission_file_"
BLACKBOARD = "Week 1_ada_attempt_2026-10-"
UPLOADED = {
    "lovelaceada_12_34_step_01.py": FIRST,
    "lovelaceada_12_35_step_03.py": THIRD,
    "dee_LATE_13_36_steps.zip": zipped(STEPS),
    "eve_14_37_homework.rar": b"Rar!\x1a\x07",
    "fay_15_text.html": b"<p>",
}
NOTEBOOK = "is a notebook; export it as Python, as step_01.py"
Outcome = Mapping[str, Files | str]

CLASSES: dict[str, tuple[Files, Outcome]] = {
    "folders": (
        {f"{who}/{n}": STEPS[n] for who in ("ada", "bob") for n in STEPS},
        dict.fromkeys(("ada", "bob"), BOTH),
    ),
    "steps as a name": (
        {f"{who}/{n[6:]}": STEPS[n] for who in ("steps", "bob") for n in STEPS},
        dict.fromkeys(("steps", "bob"), BOTH),
    ),
    "steps as a name, and archives": (
        {"steps/step_01.py": FIRST, "bob.zip": zipped(STEPS)},
        {"steps": {"step_01.py": FIRST}, "bob": BOTH},
    ),
    "a stray step": (
        {"step_01.py": FIRST} | {f"{who}/{n}": STEPS[n] for who in ("ada", "bob") for n in STEPS},
        {
            "ada": BOTH,
            "bob": BOTH,
            "step_01.py": "it does not say whose it is; put it into a folder",
        },
    ),
    "lone files": (
        {"dee_step_01.py": FIRST, "dee_step_03.py": THIRD, "eve_step_01.py": FIRST},
        {"dee": BOTH, "eve": {"step_01.py": FIRST}},
    ),
    "lone files beside folders": (
        {"dee_step_01.py": FIRST, "ada/step_03.py": THIRD},
        {"dee": {"step_01.py": FIRST}, "ada": {"step_03.py": THIRD}},
    ),
    "Moodle": (
        {f"{ADA}/{n}": STEPS[n] for n in STEPS}
        | {
            f"{BOB}/hand in.zip": zipped(STEPS),
            "Cy_14_assignsubmission_onlinetext_/onlinetext.html": b"x",
        },
        {"Ada Lovelace": BOTH, "Zoë": BOTH, "Cy": "it holds no file named like a step"},
    ),
    "Moodle without folders": (
        {f"{ADA}step_01.py": FIRST, f"{ADA}step_03.py": THIRD, f"{BOB}steps.tar.gz": tarred(STEPS)},
        {"Ada Lovelace": BOTH, "Zoë": BOTH},
    ),
    "Canvas": (
        UPLOADED,
        {
            "lovelaceada": BOTH,
            "dee": BOTH,
            "eve": "eve_14_37_homework.rar is an archive of a kind that is not read; unpack it",
            "fay": "it holds no file named like a step",
        },
    ),
    "Blackboard": (
        {
            f"{BLACKBOARD}01-12-00-00.txt": b"Name: Ada",
            f"{BLACKBOARD}01-12-00-00_step_01.py": FIRST,
            f"{BLACKBOARD}01-12-00-00_step_03.py": b"old",
            f"{BLACKBOARD}02-12-00-00_step_03.py": THIRD,
            "Week 1_bob_attempt_2026-10-01-12-00-00_a.zip": zipped({"step_01.py": b"old"}),
            "Week 1_bob_attempt_2026-10-03-12-00-00_a.zip": zipped(STEPS),
            "Week 1_cem_attempt_2026-10-01-12-00-00.txt": b"Name: Cem",
        },
        {"Week 1_ada": BOTH, "Week 1_bob": BOTH, "Week 1_cem": "it holds no file named like a"},
    ),
    "Brightspace": (
        {
            "12-34 - Ada Lovelace - Oct 1, 2026 1159 PM/step_01.py": b"old",
            "12-35 - Ada Lovelace - Oct 2, 2026 1200 AM/step_01.py": FIRST,
            "13-36 - Zoë - Sept 30, 2026 9:05 AM/hand in.zip": zipped(STEPS),
            "index.html": b"<html>",
        },
        {"Ada Lovelace": {"step_01.py": FIRST}, "Zoë": BOTH},
    ),
    "other kinds": (
        {
            "abe.zip": locked(STEPS),
            "ann/step_01.txt": FIRST,
            "ari/step_01_final.py": FIRST,
            "art.tlz": b"",
            **{f"ada/{n}": STEPS[n] for n in STEPS},
            "bob.rar": b"Rar!",
            "cem.7z": b"7z",
            "dee.tar.zst": b"x",
            "eve.ipynb": b"{}",
            "fay.zip.download": b"",
            "gil.zip.download/part": b"",
            "hal.bundle": b"#",
            "ida.gz": b"",
            "jan.pdf": b"",
            "jim.7z.001": b"",
            "kim.zip": b"Rar!\x1a\x07\0",
            "lea/hw.ipynb": b"{}",
            "max.py": b"",
            "noa_step_01.ipynb": b"{}",
            "ole/notes.txt": b"",
            "roster.csv": b"",
            "pat.zip": b"PK\3\4nonsense",
        },
        {
            "abe": {},
            "ann": "step_01.txt is no Python file; save it as step_01.py",
            "ari": "step_01_final.py was not taken for step 01; call it step_01.py",
            "art.tlz": "it is an archive of a kind that is not read",
            "ada": BOTH,
            "bob.rar": "it is an archive of a kind that is not read; unpack it, or ask for a zip",
            "cem.7z": "it is an archive of a kind that is not read",
            "dee.tar.zst": "it is an archive of a kind that is not read",
            "eve.ipynb": f"it {NOTEBOOK}",
            "fay.zip.download": "it is a download that has not finished; fetch it again",
            "gil.zip.download": "it is a download that has not finished; fetch it again",
            "hal.bundle": "it is a git bundle; clone it, and name the clone",
            "ida.gz": "it is a packed file, but no tar; unpack it",
            "jim.7z.001": "it is a part of an archive; ask for one zip",
            "jan.pdf": "it is no Python, archive or repository; take it out of the class",
            "kim": "cannot be read: it is a RAR archive, whatever its name says; ask for a zip",
            "lea": f"hw.ipynb {NOTEBOOK}",
            "max.py": "it does not say which step it is; name it as in step_01.py",
            "noa": f"noa_step_01.ipynb {NOTEBOOK}",
            "ole": "it holds no file named like a step, such as steps/step_01.py",
            "roster.csv": "it is no Python, archive or repository; take it out of the class",
            "pat": "cannot be read",
        },
    ),
    "a copy of an archive": (
        {
            "ada.zip": zipped({"step_01.py": b"1"}),
            "ada (1).zip": zipped(STEPS),
            "bob.zip": zipped(STEPS),
        },
        {"ada": BOTH, "bob": BOTH},
    ),
    "numbered archives": (
        {"team-1.zip": zipped(STEPS), "team-2.zip": zipped(STEPS)},
        {"team-1": BOTH, "team-2": BOTH},
    ),
    "a folder and its archive": (
        {
            "ada/steps/step_01.py": FIRST,
            "ada/steps/step_03.py": THIRD,
            "ada.zip": zipped({"step_01.py": b"1"}),
            "bob/x": b"",
        },
        {"ada": BOTH, "bob": "it holds no file named like a step"},
    ),
    "what systems leave": (
        {
            "ada/step_01.py": FIRST,
            ".DS_Store": b"",
            "Thumbs.db": b"",
            "desktop.ini": b"",
            "__MACOSX/x": b"",
            "._ada.zip": b"",
            "ada/._step_01.py": b"\0",
            ".git/HEAD": b"",
        },
        {"ada": {"step_01.py": FIRST}},
    ),
    "what is hidden": (
        {
            "ada/step_01.py": FIRST,
            ".bob/step_01.py": FIRST,
            ".cem.zip": zipped(STEPS),
            ".idea/x.xml": b"",
        },
        {
            "ada": {"step_01.py": FIRST},
            ".bob": "it is hidden, since its name begins with a dot; rename it",
            ".cem.zip": "it is hidden, since its name begins with a dot; rename it",
        },
    ),
    "an archive in an archive in an archive": (
        {
            "ada.zip": zipped({"b.zip": zipped({"c.zip": zipped(STEPS)})}),
            "bob.zip": zipped({"b.zip": zipped(STEPS)}),
        },
        {"ada": "b.zip/c.zip is an archive in another, and was not opened", "bob": BOTH},
    ),
    "a class in the place of a learner": (
        {
            "week.zip": zipped({f"{who}/{n}": STEPS[n] for who in ("ada", "bob") for n in STEPS}),
            "bob/step_01.py": FIRST,
        },
        {
            "week": "it holds steps in ada/steps and bob/steps; one of them has to go, or, if",
            "bob": {"step_01.py": FIRST},
        },
    ),
}


def agrees(found: Files | str, expected: Files | str) -> bool:
    """Whether the same steps came, or the same reason for none."""
    if isinstance(expected, str) and isinstance(found, str):
        return expected in found
    return found == expected


def assert_agrees(found: Outcome, expected: Outcome) -> None:
    assert found.keys() == expected.keys()
    assert [(who, found[who]) for who in found if not agrees(found[who], expected[who])] == []


@pytest.mark.parametrize("name", CLASSES)
def test_the_folder_of_a_class(name: str, tmp_path: Path) -> None:
    files, expected = CLASSES[name]
    write(tmp_path, files)
    assert_agrees(found_in(tmp_path), expected)


IN_ARCHIVES = [
    "folders",
    "lone files",
    "Moodle",
    "Moodle without folders",
    "Canvas",
    "steps as a name",
    "other kinds",
    "Blackboard",
    "Brightspace",
]


@pytest.mark.parametrize("wrapped", ["", "CS 101/"])
@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", IN_ARCHIVES)
def test_the_archive_of_a_class(
    name: str, pack: Callable[[Files], bytes], wrapped: str, tmp_path: Path
) -> None:
    files, expected = CLASSES[name]
    suffix = "zip" if pack is zipped else "tar.gz"
    write(tmp_path, {f"all.{suffix}": pack({f"{wrapped}{n}": files[n] for n in files})})
    assert_agrees(found_in(tmp_path, f"all.{suffix}"), expected)


def test_the_numbers_of_services_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "canvas", UPLOADED)
    write(tmp_path / "moodle", {f"{ADA}/step_01.py": FIRST, f"{BOB}/steps.zip": zipped(STEPS)})
    numbers = {s.learner: s.number for s in find([str(tmp_path / "canvas")])}
    assert numbers == {"lovelaceada": "12", "dee": "13", "eve": "14", "fay": "15"}
    numbers = {s.learner: s.number for s in find([str(tmp_path / "moodle")])}
    assert numbers == {"Ada Lovelace": "12", "Zoë": "13"}


def test_two_learners_of_one_name_have_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, {f"Ada_{number}_assignsubmission_file_/step_01.py": FIRST for number in (1, 2)})
    assert found_in(tmp_path).keys() == {"Ada (1)", "Ada (2)"}


def test_a_shell_may_name_them_all(tmp_path: Path) -> None:
    files, expected = CLASSES["Canvas"]
    write(tmp_path, files)
    assert_agrees(found_in(tmp_path, *files), expected)


def test_what_is_named_itself_is_graded(tmp_path: Path) -> None:
    write(tmp_path, {"ada/step_01.py": FIRST, ".bob/step_01.py": FIRST, "step_03.py": THIRD})
    found = found_in(tmp_path, "", ".bob", "step_03.py")
    assert found.keys() == {"ada", ".bob", tmp_path.name}
    assert found[tmp_path.name] == {"step_03.py": THIRD}


def test_the_folder_of_the_results_is_no_learner(tmp_path: Path) -> None:
    write(tmp_path, {"ada/step_01.py": FIRST, "grades/results/ada.json": b"{}"})
    write(tmp_path, {"week1/points.csv": b"", "week1/results.csv": b"", "week1/report.html": b""})
    write(tmp_path, {"out/deep/results/ada.json": b"{}"})
    for output, others in (
        ("grades", ["out"]),
        ("out/deep", ["grades"]),
        ("ada/out", ["grades", "out"]),
    ):
        found = find([str(tmp_path)], tmp_path / output)
        assert [source.learner for source in found] == ["ada", *others]


def test_a_clone_is_one_learner(tmp_path: Path) -> None:
    write(tmp_path / "ada", STEPS | {"solutions/engine_01.py": b"", "old/step_01.py": b""})
    assert found_in(tmp_path, "ada") == {"ada": BOTH}
    write(tmp_path / "bob", STEPS | {"notes.txt": b"", "steps.zip": zipped(STEPS)})
    assert found_in(tmp_path, "bob") == {"bob": BOTH}


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "class", {f"ada/{n}": STEPS[n] for n in STEPS} | {"bob.zip": zipped(STEPS)})
    (tmp_path / "class" / "eve").symlink_to("ada")
    (tmp_path / "class" / "mal.zip").symlink_to("bob.zip")
    (tmp_path / "class" / "sue_step_01.py").symlink_to("ada/steps/step_01.py")
    (tmp_path / "class" / "tom").mkdir()
    (tmp_path / "class" / "tom" / "steps").symlink_to("../ada/steps")
    (tmp_path / "class" / "una").mkdir()
    (tmp_path / "class" / "una" / "steps.zip").symlink_to("../bob.zip")
    os.mkfifo(tmp_path / "class" / "vic")
    link = "it is a link, and none is followed; put there what it leads to"
    expected: Outcome = {
        "ada": BOTH,
        "bob": BOTH,
        "eve": link,
        "mal.zip": link,
        "sue_step_01.py": link,
        "tom": "steps is a link or no plain file",
        "una": "steps.zip is a link or no plain file",
        "vic": "it is neither a file nor a folder; take it out of the class",
    }
    assert_agrees(found_in(tmp_path / "class"), expected)


def test_what_is_no_submission_is_refused_by_itself(tmp_path: Path) -> None:
    write(tmp_path, {"ada.rar": b"", "x/notes.txt": b""})
    (tmp_path / "empty").mkdir()
    for name, said in {
        "ada.rar": "unpack it",
        "x": "is not",
        "empty": "holds no submission",
    }.items():
        with pytest.raises(InputError, match=said):
            find([str(tmp_path / name)])


def test_what_is_encrypted_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"ada.zip": locked(STEPS)})
    assert "step_01.py is encrypted: ask for one without a password" in notes_on(tmp_path)


def test_what_has_no_rights_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "ada", STEPS | {"steps/inner/x.py": b""})

    def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(place: object, *given: object) -> Any:
            if str(place).endswith(("step_03.py", "inner")):
                raise PermissionError(errno.EACCES, "no", str(place))
            return function(place, *given)

        return refuse

    monkeypatch.setattr(os, "open", refusing(os.open))  # root has all rights
    monkeypatch.setattr(os, "scandir", refusing(os.scandir))
    (source,) = find([str(tmp_path)])
    submission = read(source)
    assert submission.files == {"step_01.py": FIRST}
    rights = "cannot be read; check its rights; it was left out."
    assert submission.notes == [f"steps/step_03.py {rights}"]


def test_an_archive_is_a_class_only_by_itself_and_of_some_size(tmp_path: Path) -> None:
    files = {f"{number}/step_01.py": b"" for number in range(2_001)}
    write(tmp_path, {"eve.tar.gz": tarred(files), "ada/step_01.py": FIRST})
    found = found_in(tmp_path, "eve.tar.gz", "ada")
    assert found.keys() == {"eve", "ada"}
    begin = time.monotonic()
    with pytest.raises(InputError, match="more than 2,000 files and folders"):
        find([str(tmp_path / "eve.tar.gz")])
    assert time.monotonic() - begin < 30


@pytest.mark.full("ways to grade")
def test_what_comes_out_of_archives_is_bounded_together(tmp_path: Path) -> None:
    half = zipped({"zeros.bin.gz": b"", "zeros.tar": bytes(150 * 2**20)})
    write(tmp_path, {"eve.zip": zipped({"a.zip": half, "b.zip": half})})
    bomb = tarred({"zeros": bytes(150 * 2**20)})
    write(tmp_path, {"mal.zip": zipped({"a.tgz": bomb, "b.tgz": bomb})})
    found = found_in(tmp_path)
    assert "holds no file named like a step" in str(found["eve"])
    assert "unpacked, it has more than 268,435,456 bytes" in str(found["mal"])


def test_long_names_are_short_and_stay_apart(tmp_path: Path) -> None:
    names = ["x" * 10_000 + end for end in "ab"]
    write(tmp_path, {"all.tar.gz": tarred({f"{name}/step_01.py": FIRST for name in names})})
    learners = [source.learner for source in find([str(tmp_path / "all.tar.gz")])]
    assert len(set(learners)) == 2
    assert {len(learner) for learner in learners} == {301}


# Repositories


def bare(place: Path, files: Files, *options: str, branch: str = "main") -> Path:
    git(place, "init", "--bare", "--initial-branch=main", *options)
    tree = make_tree(place, {name: files[name].decode() for name in files})
    git(place, "update-ref", f"refs/heads/{branch}", git(place, "commit-tree", tree, "-m", "all"))
    return place


def test_a_repository_whose_head_leads_nowhere(tmp_path: Path) -> None:
    bare(tmp_path / "ada.git", BOTH, branch="work")
    bare(tmp_path / "bob.git", {"notes.txt": b"x"}, branch="work")
    git(tmp_path / "cem.git", "init", "--bare")
    bare(tmp_path / "dee.git", BOTH)
    git(tmp_path / "dee.git", "pack-refs", "--all")
    (tmp_path / "dee.git" / "HEAD").write_text(git(tmp_path / "dee.git", "rev-parse", "main"))
    expected: Outcome = {
        "ada": BOTH,
        "bob": "its HEAD names no commit, and no branch has steps",
        "cem": "it has no commit yet",
        "dee": BOTH,
    }
    assert_agrees(found_in(tmp_path), expected)
    (source,) = find([str(tmp_path / "ada.git")])
    assert read(source).notes == ["HEAD names no commit; the branch work was graded."]


def test_a_repository_of_sha_256(tmp_path: Path) -> None:
    bare(tmp_path / "ada.git", {}, "--object-format=sha256")
    place = tmp_path / "work"
    write(place, STEPS)
    who = {
        f"GIT_{role}_{what}": "x@y"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    for command in (["add", "."], ["commit", "-m", "all"]):
        subprocess.run(
            ["git", f"--git-dir={tmp_path / 'ada.git'}", f"--work-tree={place}", *command],  # noqa: S607
            env=os.environ | who,
            check=True,
            capture_output=True,
        )
    assert found_in(tmp_path, "ada.git") == {"ada": BOTH}


@pytest.mark.parametrize("name", ["config", "packed-refs", "refs/heads/main", "objects/ab", "HEAD"])
def test_a_pipe_in_a_repository_costs_no_time(name: str, tmp_path: Path) -> None:
    place = bare(tmp_path / "eve.git", BOTH)
    if (place / name).is_dir():  # a digest may well begin with ab
        shutil.rmtree(place / name)
    (place / name).unlink(missing_ok=True)
    os.mkfifo(place / name)
    write(tmp_path / "bob", STEPS)
    begin = time.monotonic()
    found = found_in(tmp_path)
    assert time.monotonic() - begin < 5
    assert found["bob"] == BOTH
    outcome = BOTH if name in ("config", "packed-refs") else str
    assert found.get("eve", found.get("eve.git")) == outcome or isinstance(found["eve"], str)


# The command


@pytest.mark.full("ways to grade")
def test_a_class_as_it_comes(tmp_path: Path) -> None:
    """Read leniently, and graded by the same rule; what is not graded is told, and costs exit 0."""
    place = tmp_path / "class"
    write(place, UPLOADED | {"notes.txt": b"", "Ida/STEPS/STEP_1.PY": HONEST.encode("utf-16")})
    write(place, {"kim.zip": zipped({"steps\\step_1.py": FIRST, "steps\\step_3.py": THIRD})})
    write(place, {"lat/step_01.py": FIRST + b"NAME = 'Zo\xeb'\n", "lat/step_03 (1).py": THIRD})
    bare(place / "max.git", BOTH, branch="work")
    given = str(place), "--steps", "1,3", "--output", str(place / "out"), "--seed", "1"
    finished = run_child("grade", *given, "--format", "canvas")
    assert finished.code == 1, finished.err
    found = {made.learner: made for made in map(grades.load, (place / "out/results").glob("*"))}
    points = {who: made.points() if made.was_read else None for who, made in found.items()}
    assert points == {
        "lovelaceada": 14,
        "dee": 14,
        "Ida": 6,
        "kim": 14,
        "lat": 8,
        "max": 14,
        "eve": None,
        "fay": None,
        "notes.txt": None,
    }
    assert "Not graded: eve, fay, notes.txt." in finished.out
    assert "lat/" not in found["lat"].problem
    assert "step_01.py is not in the encoding that it declares" in found["lat"].problem
    table = (place / "out/canvas.csv").read_text(encoding="utf-8-sig").splitlines()
    assert table[1] == "    Points Possible,,,,,14"
    assert {"lovelaceada,12,,,,14", "dee,13,,,,14", "Ida,,,,,6"} < {*table}
    assert len(table) == 8


@pytest.mark.full("ways to grade")
def test_nobody_can_be_read(tmp_path: Path) -> None:
    write(tmp_path / "class", {"ada.rar": b"", "bob.ipynb": b"{}"})
    given = str(tmp_path / "class"), "--steps", "1", "--output", str(tmp_path / "out")
    finished = run_child("grade", *given)
    assert (finished.code, finished.err.strip()) == (1, "")
    assert "0 graded, 2 not to be graded." in finished.out
    assert "bob.ipynb" in (tmp_path / "out" / "report.html").read_text()
    files = [str(file) for file in (tmp_path / "out" / "results").iterdir()]
    joined = run_here("grade", "--merge", *files, "--output", str(tmp_path / "all"))
    assert (joined.code, joined.err) == (1, "")
    assert "0 graded, 2 not to be graded." in joined.out


def test_two_that_would_be_one_file_are_told_first() -> None:
    with pytest.raises(InputError, match="two submissions are called ada"):
        check_names(["ada", "bob", "ada"])
