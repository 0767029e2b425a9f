"""`tutor reset`: the exercise comes back, and a learner's file is never lost."""

import os
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from tests.project.commands import Finished, assert_refused, run_child
from tests.project.courses import make_course, step_file
from tutor import files
from tutor.course import stubs
from tutor.course.registry import find_step

OWN = b"# mine, caf\xe9\r\nx = 1"  # which is no UTF-8, and has no newline at its end
STUB = stubs.derive(find_step("7")).encode()


@pytest.fixture
def course(tmp_path: Path) -> Path:
    root = make_course(tmp_path)
    step_file(root, "7").write_bytes(OWN)
    return root


def saved(course: Path) -> list[bytes]:
    """All that was saved, the oldest first."""
    return [file.read_bytes() for file in saved_files(course)]


def saved_files(course: Path) -> list[Path]:
    return sorted((course / ".tutor" / "saved").glob("*"))


def reset(course: Path, *options: str) -> str:
    finished = run_child("reset", "7", *options, course=course)
    assert (finished.code, finished.err) == (0, "")
    return finished.out


def test_a_reset_saves_and_undo_brings_back(course: Path) -> None:
    file = step_file(course, "7")
    said = reset(course)
    assert file.read_bytes() == STUB
    (kept,) = saved_files(course)
    assert kept.read_bytes() == OWN
    shown = f".tutor/saved/{kept.name}"
    assert said == (
        f"steps/step_07.py has been reset. Your version was saved to:\n{shown}\n"
        "To bring it back: tutor reset 7 --undo\n"
    )
    when = datetime.strptime(kept.stem, "step_07_%Y-%m-%d_%H-%M-%S-%f")
    assert abs((datetime.now() - when).total_seconds()) < 600

    assert (
        reset(course, "--undo") == f"steps/step_07.py is again the version saved last:\n{shown}\n"
    )
    assert file.read_bytes() == OWN
    assert saved(course) == [OWN]  # a stub is no work that could be lost


def test_undo_takes_an_undo_back(course: Path) -> None:
    file = step_file(course, "7")
    reset(course)
    file.write_bytes(b"another try")
    said = reset(course, "--undo")
    assert file.read_bytes() == OWN
    assert saved(course) == [OWN, b"another try"]
    assert (
        f"The version it replaced was saved to:\n.tutor/saved/{saved_files(course)[-1].name}\n"
        in said
    )
    reset(course, "--undo")
    assert file.read_bytes() == b"another try"
    reset(course, "--undo")
    assert file.read_bytes() == OWN


def test_there_is_nothing_to_undo_twice_or_before_a_reset(course: Path) -> None:
    assert_refused(
        run_child("reset", "7", "--undo", course=course), "no version of step 07 has been saved"
    )
    reset(course)
    reset(course, "--undo")
    assert_refused(
        run_child("reset", "7", "--undo", course=course),
        "already is the version that was saved last",
    )
    assert step_file(course, "7").read_bytes() == OWN


def test_an_untouched_exercise_stays(course: Path) -> None:
    before = step_file(course, "8").stat()
    finished = run_child("reset", "8", course=course)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == (
        "steps/step_08.py is still the original exercise; there is nothing to reset.\n"
    )
    assert step_file(course, "8").stat().st_mtime_ns == before.st_mtime_ns
    assert saved(course) == []


def test_a_step_that_is_not_there_comes_back(course: Path) -> None:
    step_file(course, "7").unlink()
    assert reset(course) == "steps/step_07.py was missing; the original exercise is there again.\n"
    assert step_file(course, "7").read_bytes() == STUB
    assert saved(course) == []


def test_steps_of_two_tracks_do_not_take_each_others_files(course: Path) -> None:
    for name in ("1", "e1"):
        step_file(course, name).write_text(f"# {name}")
    for name in ("1", "e1"):
        assert run_child("reset", name, course=course).code == 0
        assert run_child("reset", name, "--undo", course=course).code == 0
    assert [step_file(course, name).read_text() for name in ("1", "e1")] == ["# 1", "# e1"]


def test_resets_within_a_second_keep_all(course: Path) -> None:
    texts = [f"# try {count}\n".encode() for count in range(5)]
    for text in texts:
        step_file(course, "7").write_bytes(text)
        reset(course)
    assert saved(course) == texts
    reset(course, "--undo")
    assert step_file(course, "7").read_bytes() == texts[-1]


def test_undo_goes_by_the_time_even_if_the_clock_was_put_back(course: Path) -> None:
    reset(course)
    (kept,) = saved_files(course)
    kept.rename(kept.with_name("step_07_2999-12-31_23-59-59-000000.py"))
    step_file(course, "7").write_bytes(b"later")
    reset(course)
    reset(course, "--undo")
    assert step_file(course, "7").read_bytes() == b"later"


def test_links_and_rights_stay(course: Path) -> None:
    file, real = step_file(course, "7"), course / "mine.py"
    file.rename(real)
    real.chmod(0o640)
    file.symlink_to(real)
    reset(course)
    assert (file.is_symlink(), real.read_bytes()) == (True, STUB)
    assert real.stat().st_mode & 0o777 == 0o640
    reset(course, "--undo")
    assert (file.is_symlink(), real.read_bytes()) == (True, OWN)


@pytest.mark.parametrize("target", ["nowhere/at/all.py", "step_07.py"])
def test_a_link_that_leads_nowhere_gives_way(course: Path, target: str) -> None:
    step_file(course, "7").unlink()
    step_file(course, "7").symlink_to(target)
    assert "was missing" in reset(course)
    assert step_file(course, "7").read_bytes() == STUB


def test_a_folder_in_place_of_a_step_is_refused(course: Path) -> None:
    step_file(course, "7").unlink()
    (step_file(course, "7") / "own").mkdir(parents=True)
    assert_refused(run_child("reset", "7", course=course), "steps/step_07.py cannot be written")
    assert sorted(file.name for file in (course / "steps").glob("*step_07*")) == ["step_07.py"]


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_write_that_is_cut_short_leaves_the_old_file(
    place: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "step_07.py"
    file.write_bytes(OWN)

    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(place, fail)
    with pytest.raises(type(error) if isinstance(error, OSError) else KeyboardInterrupt):
        files.write(file, STUB)
    assert file.read_bytes() == OWN
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("moment", [1, 2])  # when it is saved, when it is replaced
def test_ctrl_c_in_the_middle_of_a_reset_leaves_the_old_file(course: Path, moment: int) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tutor.__main__ import main\n"
        f"calls, sync, sys.argv = iter(range({moment - 1}, -1, -1)), os.fsync, ['', 'reset', '7']\n"
        "def interrupt(file): sync(file) if next(calls) else os.kill(os.getpid(), signal.SIGINT)\n"
        "os.fsync = interrupt\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=course,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (130, "", "")
    assert step_file(course, "7").read_bytes() == OWN
    assert saved(course) == [OWN] * (moment - 1)
    assert not list((course / "steps").glob(".*"))


def test_a_file_that_may_not_grow_leaves_the_old_one(course: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(OWN), len(OWN)))

    ended = subprocess.run(
        [sys.executable, "-m", "tutor", "reset", "7"], cwd=course, preexec_fn=limit,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    finished = Finished(ended.returncode, ended.stdout, ended.stderr)
    assert_refused(finished, "steps/step_07.py has not changed", "File too large")
    assert step_file(course, "7").read_bytes() == OWN
    assert saved(course) == [OWN]
    assert not list((course / "steps").glob(".*"))


def in_namespace(course: Path, mounts: str, *arguments: str) -> Finished:
    """A command where file systems are mounted for it alone, then what is in steps/."""
    script = (
        f'{mounts}\n"$@" && code=0 || code=$?; '
        "cat steps/step_07.py >&2; ls -A steps | grep step_07; exit $code"
    )
    command = ["unshare", "-rm", "sh", "-ec", script, "sh"]
    ended = subprocess.run(
        [*command, *arguments], cwd=course, env=dict(os.environ),
        capture_output=True, check=False,
    )  # fmt: skip
    return Finished(ended.returncode, ended.stdout.decode(), ended.stderr.decode("latin-1"))


FULL = (
    "cp steps/step_07.py .; mount -t tmpfs -o size=64k tmpfs {folder}; "
    "[ -e steps/step_07.py ] || cp step_07.py steps; "
    "cat /dev/zero > {folder}/filling 2> /dev/null || true"
)
READ_ONLY = "mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}"


@pytest.mark.parametrize("folder", ["steps", ".tutor/saved"])
@pytest.mark.parametrize(
    ("mounts", "why"), [(FULL, "No space left on device"), (READ_ONLY, "Read-only file system")]
)
def test_a_full_or_read_only_disk_leaves_the_old_file(
    course: Path, folder: str, mounts: str, why: str
) -> None:
    (course / ".tutor" / "saved").mkdir(parents=True)
    mounts = mounts.format(folder=folder)
    if probe := in_namespace(course, mounts, "true").code:
        pytest.skip(f"no file system can be mounted for a test here (exit code {probe})")
    finished = in_namespace(course, mounts, sys.executable, "-m", "tutor", "reset", "7")
    message, _, file = finished.err.partition("\n")
    assert (finished.code, finished.out, file) == (2, "step_07.py\n", OWN.decode("latin-1"))
    place = "steps/step_07.py" if folder == "steps" else folder
    assert message == (
        f"tutor: steps/step_07.py has not changed, since {place} cannot be written: {why}; "
        "check its permissions and the disk"
    )


def test_a_folder_that_is_closed_leaves_the_old_file(course: Path) -> None:
    (course / "steps").chmod(0o500)
    if os.access(course / "steps", os.W_OK):
        (course / "steps").chmod(0o700)
        pytest.skip("this user may write everywhere")
    assert_refused(run_child("reset", "7", course=course), "Permission denied")
    (course / "steps").chmod(0o700)
    assert step_file(course, "7").read_bytes() == OWN
