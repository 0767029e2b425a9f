"""Where the learner is: `tutor progress`, `tutor` alone, and what they are told from."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tests.project.commands import SECONDS, run_child, start_child
from tests.project.courses import (
    edit,
    keep_check,
    make_course,
    record_file,
    solve,
    step_file,
)
from tests.project.terminals import in_terminal
from tests.project.test_project import PIXI_TASKS, parse
from tests.project.tiers import partly
from tutor.course.names import NAMES
from tutor.course.registry import Step, all_steps, find_step
from tutor.course.tracks import ENGINE, STEPS, TEXT, TRACKS, Track
from tutor.learn import progress, records
from tutor.learn.progress import Standing, of_track
from tutor.learn.records import Record

HEAVY = {"max", "numpy", "pytest", "tokenizers", "transformers", "safetensors", "torch"}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    return make_course(tmp_path)


def said(course: Path, *arguments: str) -> str:
    """What a command says, in one line."""
    finished = run_child(*arguments, course=course)
    assert (finished.code, finished.err) == (0, "")
    return " ".join(finished.out.split())


def last_check(course: Path, name: str) -> str:
    """What `tutor progress` says of a step."""
    finished = run_child("progress", course=course)
    assert (finished.code, finished.err) == (0, "")
    title = find_step(name).title
    (line,) = [line for line in finished.out.splitlines() if title in line[:40]]
    return line.split("/")[1].split(maxsplit=1)[1].strip()


def test_a_fresh_course_begins_with_step_one(course: Path) -> None:
    first = "Read the chapter with tutor read 1, fill in the TODOs of steps/step_01.py, and check"
    assert (
        f"You are at step 01, Model configuration: not started. {first} them: tutor check 1"
        in said(course)
    )
    overview = said(course, "progress")
    assert overview.count("not started") == len(all_steps(STEPS))
    assert "In all: 0 of 12 steps, 0 of 100 points. Next: read the chapter" in overview
    assert overview.endswith("tutor check 1")
    assert not (course / ".tutor").exists()


@pytest.mark.full("commands in odd situations")
def test_a_check_is_kept_until_its_step_is_edited(course: Path) -> None:
    solve(course, "1")
    assert last_check(course, "1") == "not checked"
    assert "So far: 1 of 12 steps, 6 of 100 points." in said(course, "check", "1")
    assert last_check(course, "1") == "passed"
    assert "You are at step 02, Causal mask" in said(course)
    before = step_file(course, "1").read_text()
    edit(course, "1")
    assert last_check(course, "1") == "passed, then edited"
    overview = said(course, "progress")
    assert "In all: 1 of 12 steps, 6 of 100 points; 1 to check again." in overview
    assert overview.endswith("Next: check again what passed before an edit: tutor check 1")
    step_file(course, "1").write_text(before)
    assert last_check(course, "1") == "passed"


@pytest.mark.full("commands in odd situations")
def test_a_step_is_stale_after_an_edit_of_one_that_it_needs(course: Path) -> None:
    solve(course, "1", "2", "3", "4", "5", "6", "7", "8")
    for name in ("2", "7", "8"):
        keep_check(course, name)
    edit(course, "5")  # which step 07 does not need
    assert last_check(course, "8") == "passed"
    edit(course, "2")
    assert last_check(course, "2") == "passed, then edited"
    assert last_check(course, "7") == "passed, then 02 edited"
    assert last_check(course, "8") == "passed, then 02 edited"  # by way of step 07
    for name in ("1", "2", "3", "4", "5", "6"):
        keep_check(course, name)
    assert said(course).endswith(
        "You are at step 07, Multi-head attention: passed, then 02 edited. Check again what "
        "passed before an edit: tutor check 7 8 tutor --help lists all commands."
    )


def test_a_step_does_not_rest_on_one_for_which_the_reference_stood_in(course: Path) -> None:
    solve(course, "7")
    keep_check(course, "7")
    edit(course, "2")
    assert last_check(course, "7") == "passed"
    solve(course, "2")
    assert last_check(course, "7") == "passed, then 02 edited"


def test_a_step_is_stale_once_its_checks_are_others(course: Path) -> None:
    solve(course, "3")
    keep_check(course, "3")
    with (course / find_step("3").suite).open("a") as suite:
        suite.write("# another\n")
    assert last_check(course, "3") == "passed, then checks changed"


@pytest.mark.full("commands in odd situations")
def test_a_lost_record_loses_nothing(course: Path) -> None:
    solve(course, "1", "3")
    keep_check(course, "1")
    keep_check(course, "3")
    files = [step_file(course, name.short).read_bytes() for name in NAMES]
    for file in (course / ".tutor").iterdir():
        file.unlink()
    (course / ".tutor").rmdir()
    assert last_check(course, "1") == last_check(course, "3") == "not checked"
    assert files == [step_file(course, name.short).read_bytes() for name in NAMES]
    said(course, "check", "1", "3")
    assert last_check(course, "1") == last_check(course, "3") == "passed"


WHOLE: dict[str, Any] = {
    "verdict": "passed",
    "checks": {"parameters": "passed"},
    "files": {"suite": "a digest"},
}
RECORDS: list[object] = [
    "",
    "[1",
    "[]",
    "null",
    "\xff",
    "[" * 100_000,
    {"verdict": 3},
    {"verdict": "passed"},
    WHOLE | {"verdict": "splendid"},
    WHOLE | {"verdict": None},
    WHOLE | {"checks": []},
    WHOLE | {"checks": {}},
    WHOLE | {"checks": {"parameters": 7}},
    WHOLE | {"checks": {"parameters": "splendid"}},
    WHOLE | {"files": "digest"},
    WHOLE | {"files": {}},
    WHOLE | {"culprits": [2]},
    WHOLE | {"culprits": ["step_99"]},
    WHOLE | {"culprits": ["extra_01"]},
    WHOLE | {"mistake": ["no"]},
    {"hints": {"parameters": "2"}},
    {"hints": {"parameters": -7}},
    {"hints": ["parameters"]},
    {"opened": True},
]


@pytest.mark.parametrize(
    "record",
    partly("commands in odd situations", RECORDS, RECORDS[::6].__contains__),
    ids=lambda record: (record if isinstance(record, str) else json.dumps(record))[:50],
)
def test_a_record_that_makes_no_sense_is_no_record(course: Path, record: object) -> None:
    solve(course, "7")
    record_file(course, "7").parent.mkdir()
    text = record if isinstance(record, str) else json.dumps(record)
    record_file(course, "7").write_text(text, encoding="latin-1")
    assert last_check(course, "7") == "not checked"
    assert "Hint 1 of 3" in said(course, "hint", "7")
    assert "Hint 2 of 3" in said(course, "hint", "7")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record)[:50])
def test_of_a_record_that_makes_no_sense_nothing_counts(
    record: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    text = record if isinstance(record, str) else json.dumps(record)
    records.record_file(find_step("7")).write_text(text, encoding="latin-1")
    assert records.load(find_step("7")) == Record()


def test_a_record_is_read_as_it_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    step, entries = find_step("e1"), {**WHOLE, "culprits": ["step_09"], "mistake": "It is off."}
    records.update(step, **entries)
    records.update(step, hints={"parameters": 2})
    assert records.load(step) == msgspec.convert(entries | {"hints": {"parameters": 2}}, Record)
    assert [file.name for file in tmp_path.iterdir()] == ["engine_01.json"]
    assert records.load(find_step("1")) == Record()


@pytest.mark.full("commands in odd situations")
@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_record_that_cannot_be_kept_is_no_obstacle(course: Path, place: str) -> None:
    solve(course, "1")
    if place == "file":
        (course / ".tutor").write_text("")
    else:
        record_file(course, "1").mkdir(parents=True)
    assert "So far: 0 of 12 steps" in said(course, "check", "1")
    assert last_check(course, "1") == "not checked"
    assert "Hint 1 of 3" in said(course, "hint", "1")


@pytest.mark.full("commands in odd situations")
def test_a_broken_environment_leaves_the_last_check_as_it_is(course: Path, tmp_path: Path) -> None:
    solve(course, "1")
    keep_check(course, "1")
    fake = tmp_path / "fake" / "max"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('libc is too old')")
    finished = run_child("check", "1", environment={"PYTHONPATH": str(fake.parent)}, course=course)
    assert finished.code == 3
    assert last_check(course, "1") == "passed"


def passed(steps: list[Step]) -> list[Standing]:
    return [Standing(step, "passed", step.points, was_checked=True) for step in steps]


@pytest.mark.parametrize(
    ("verdict", "was_checked", "edited", "why", "command"),
    [
        ("not there", False, (), "steps/step_07.py is missing", "tutor reset 7"),
        ("not started", False, (), "read the chapter with tutor read 7, fill in", "tutor check 7"),
        ("not started", True, (), "continue with the TODOs of steps/step_07.py", "tutor check 7"),
        ("not checked", False, (), "check steps/step_07.py", "tutor check 7"),
        ("wrong", True, (), "fix steps/step_07.py", "tutor hint 7"),
        ("timed out", True, (), "fix steps/step_07.py", "tutor hint 7"),
        ("crashed", True, ("step_07",), "check steps/step_07.py again", "tutor check 7"),
        ("passed", True, ("step_02",), "check again what passed", "tutor check 7"),
    ],
)
def test_each_verdict_has_its_next_command(
    verdict: str, was_checked: bool, edited: tuple[str, ...], why: str, command: str
) -> None:
    here = Standing(find_step("7"), verdict, 3, was_checked=was_checked, edited=edited)
    known = [*passed(all_steps()[:6]), here, Standing(find_step("8"), "not started")]
    assert progress.find_current(known) is here
    words, found = progress.next_command(known)
    assert words.startswith(why)
    assert found == command
    assert progress.what_next(known) == f"Next: {words} {command}"
    parse(command.split()[1:])


def test_after_the_twelve_steps_your_own_gpt2_writes() -> None:
    known = [*passed(all_steps(STEPS)), Standing(find_step("e1"), "not started")]
    with Console(width=80) as console, console.capture() as captured:
        console.print(progress.welcome(known))
    assert "Let your own GPT-2 write: tutor generate --tree steps\n" in captured.get()
    assert "  tutor check e1\n" in captured.get()
    assert progress.total(known) == "12 of 12 steps, 100 of 100 points"
    known = passed(all_steps())
    words = ["12 of 12 steps, 100 of 100 points"]
    for track in TRACKS[1:]:
        most = sum(step.points for step in all_steps(track))
        words.append(f"{most} of {most} in the {track.name} track")
    assert progress.total(known) == ", ".join(words)
    assert progress.find_current(known) is None
    assert progress.next_command(known)[1] == "tutor generate --tree steps"
    parse(progress.WRITE.split()[1:])


def test_each_track_has_its_title_and_its_points() -> None:
    first, *others = all_steps(ENGINE)
    known = [*passed(all_steps(STEPS)[:2]), Standing(first, "wrong", 3, was_checked=True)]
    known += [Standing(step, "not started") for step in others]
    with Console(width=80) as console, console.capture() as captured:
        console.print(progress.overview(known, 80))
    rows = [line.split() for line in captured.get().splitlines()]
    most = {track: sum(each.step.points for each in of_track(known, track)) for track in TRACKS}
    assert rows[1] == [*STEPS.title.split(), f"{most[STEPS]}/{most[STEPS]}"]
    assert rows[4] == []
    assert rows[5] == [*ENGINE.title.split(), f"3/{most[ENGINE]}"]
    assert rows[6][0] == "e01"
    assert rows[6][-2:] == [f"3/{first.points}", "wrong"]
    total = f"2 of 2 steps, {most[STEPS]} of {most[STEPS]} points, 3 of {most[ENGINE]}"
    assert progress.total(known) == f"{total} in the engine track"


def test_of_tracks_that_lie_ahead_only_the_titles_are_shown() -> None:
    def shown(known: list[Standing]) -> list[str]:
        with Console(width=80) as console, console.capture() as captured:
            console.print(progress.overview(known, 80))
        rows = [line.partition(" ")[0] for line in captured.get().splitlines()]
        return [step.track.name for step in all_steps() if step.task.removeprefix("s") in rows]

    def names(*tracks: Track) -> list[str]:
        return [step.track.name for track in tracks for step in all_steps(track)]

    known = [Standing(step, "not started") for step in all_steps()]
    assert shown(known) == names(STEPS)
    known[:12] = passed(all_steps(STEPS))
    assert shown(known) == names(STEPS, ENGINE)
    known[-1] = Standing(known[-1].step, "not checked")
    assert shown(known) == names(STEPS, ENGINE, TEXT)


@pytest.mark.parametrize("width", [40, 50, 69, 70, 100])
def test_every_verdict_is_shown_however_narrow_the_terminal(width: int) -> None:
    known = [Standing(step, "timed out", 1, was_checked=True) for step in all_steps()]
    with Console(width=width) as console, console.capture() as captured:
        console.print(progress.overview(known, width))
    assert captured.get().count("timed out") == len(known)
    assert max(map(len, captured.get().splitlines())) <= width


def test_all_steps_fit_on_a_screen_of_80_by_24(course: Path) -> None:
    solve(course, "1", "2")
    keep_check(course, "1", opened="yesterday")
    keep_check(course, "2", ["dtypes"])
    with in_terminal("progress", course=course) as (terminal, child):
        assert child.wait(SECONDS) == 0
        text = terminal.wait_for("tutor hint 2")
    lines = text.splitlines()
    assert lines[0].split() == ["step", "topic", "points", "last", "check"]
    rows = iter([line for line in lines[1:] if line.strip()])
    for track in TRACKS:
        assert track.title in next(rows)
        for step in all_steps(track) if track == STEPS else []:  # the others lie ahead
            assert step.title in next(rows)
    assert "passed, solution opened" in lines[2]
    assert b"\x1b[32m" in terminal.written


def test_without_colours_there_are_none(course: Path) -> None:
    with in_terminal("progress", course=course, NO_COLOR="1") as (terminal, child):
        assert child.wait(SECONDS) == 0
        terminal.wait_for("tutor check 1")
    assert b"\x1b[3" not in terminal.written
    assert "\x1b" not in run_child("progress", course=course).out


@pytest.mark.parametrize("arguments", [[], ["progress"], ["hint"]])
def test_a_reader_that_goes_away_is_no_error(course: Path, arguments: list[str]) -> None:
    with start_child(*arguments, course=course) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.wait(SECONDS) == 0
        assert child.stderr.read() == b""


def test_what_is_no_clone_of_the_course_says_so(course: Path) -> None:
    (course / "solutions").rename(course / "elsewhere")
    for arguments in ([], ["progress"], ["reset", "7"]):
        finished = run_child(*arguments, course=course)
        assert (finished.code, finished.out) == (3, "")
        assert "not installed from a clone of the course" in finished.err
    assert run_child("--help", course=course).out.startswith("Usage: tutor")


@pytest.mark.parametrize(
    "arguments",
    [[], ["progress"], ["hint", "7"], ["hint"], ["solution", "7", "--yes"], ["reset", "7"],
     ["reset", "7", "--undo"]],
    ids=" ".join,
)  # fmt: skip
def test_commands_of_the_day_import_nothing_heavy(course: Path, arguments: list[str]) -> None:
    solve(course, "7")
    keep_check(course, "7", ["equation"])
    assert run_child("reset", "7", course=course).code == 0
    if "--undo" not in arguments:
        solve(course, "7")
    code = (
        "import sys\n"
        "from tutor.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        f"sys.exit(str({HEAVY} & sys.modules.keys() or ''))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=course, env=dict(os.environ),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stderr.strip() == ""
    assert ended.stdout


def test_commands_of_the_day_have_pixi_tasks() -> None:
    for name in ("watch", "progress", "hint", "solution", "reset"):
        assert PIXI_TASKS[name]["cmd"] == f"tutor {name}"
