"""Updating the course with git, by the commands of the book: what a learner wrote is not lost."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project.tiers import partly
from tutor import ROOT
from tutor.course import sources
from tutor.course.names import NAMES, Name, named

KIND = "updates of the course"
CHAPTER = ROOT / "book" / "src" / "keeping.md"
COPIED = ("steps", "solutions", "tutor")
EDITED = [*map(named, ("step_01", "step_03", "step_07"))]  # steps that the learner has worked at
# Steps whose exercise changes upstream, one of them in the middle.
UPDATED = [*map(named, ("step_03", "step_04", "step_07", "step_12"))]
SHELL = shutil.which("sh") or "sh"
IDENTITY = "[user]\n    name = Somebody\n    email = somebody@example.org\n"

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="there is no git here")


def documented() -> list[list[str]]:
    """The commands under the heading in the book: how to update, and how to go on after a stop."""
    section = CHAPTER.read_text().partition("\n## Updating the course\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [block.splitlines() for block in blocks]


@dataclass
class Clone:
    """A clone of the course, used by somebody with a git of their own."""

    root: Path

    def run(self, command: str) -> tuple[int, str]:
        """Run a command line in a terminal; an editor or a pager that opens there is an error."""
        home = self.root.parent
        own = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "GIT_EDITOR": "false",
            "GIT_PAGER": "false",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(home),
            "LC_ALL": "C",
            "TERM": "dumb",
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        terminal, device = pty.openpty()
        with subprocess.Popen(
            [SHELL, "-c", command],
            cwd=self.root,
            env={**others, **own},
            stdin=device,
            stdout=device,
            stderr=device,
        ) as child:
            os.close(device)
            said = b""
            with contextlib.suppress(OSError):  # which is how a terminal ends
                while data := os.read(terminal, 4096):
                    said += data
            os.close(terminal)
        return child.returncode, said.decode().replace("\r\n", "\n")

    def git(self, arguments: str) -> str:
        code, said = self.run(f"git --no-pager {arguments}")
        assert code == 0, said
        return said

    def commit(self) -> None:
        self.git("add --all")
        self.git("commit --quiet --message Changes")

    def path(self, step: Name) -> Path:
        return self.root / step.file("steps")

    def steps(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (self.root / "steps").glob("*.py")}

    def update(self) -> None:
        """Type the commands of the book, one after the other."""
        for line in documented()[0]:
            code, said = self.run(line)
            assert code == 0 or ("nothing" in said and line.startswith("git commit")), said


@pytest.fixture
def server(tmp_path: Path) -> Clone:
    """Where the course is published; its commits come from those who work on it."""
    (tmp_path / "gitconfig").write_text(f"{IDENTITY}[init]\n    defaultBranch = main\n")
    course = Clone(tmp_path / "server")
    ignored = shutil.ignore_patterns("__pycache__", "packs")
    for name in COPIED:
        shutil.copytree(ROOT / name, course.root / name, ignore=ignored)
    shutil.copy(ROOT / ".gitattributes", course.root)
    for step in NAMES:
        course.path(step).write_text(stub(step))
    course.git("init --quiet")
    course.commit()
    return course


@pytest.fixture
def learner(server: Clone, tmp_path: Path) -> Clone:
    """A learner's clone, from before the course changed."""
    clone = Clone(tmp_path / "mein Kurs – ü")
    server.git(f"clone --quiet . '{clone.root}'")
    publish(server)
    return clone


def stub(step: Name) -> str:
    """An exercise, long enough to be changed at several places."""
    return (ROOT / step.file("solutions")).read_text() + "\n# TODO: One\n# TODO: Two\n"


def publish(server: Clone) -> None:
    """Change exercises, a solution and the tutor, and add a step.

    What changes in an exercise is what learners change, and what they leave as it is.
    """
    for step in UPDATED:
        new = stub(step).replace('"""', '"""Anew: ', 1).replace("# TODO: One", "# TODO: Another")
        server.path(step).write_text(new.replace("Source: ", "Read: "))
    for name in ("solutions/solution_07.py", "tutor/course/registry.py"):
        with (server.root / name).open("a") as file:
            file.write("# changed\n")
    (server.root / "steps" / "engine_99.py").write_text("# a new step\n")
    server.commit()


def work(learner: Clone) -> None:
    """Solve some steps, in lines that the update changes and in others."""
    for step in EDITED:
        text = sources.reference(step, "steps").replace('"""', '"""Mine: ', 1)
        learner.path(step).write_text(text + "\n# my own words\n# TODO: Two\n")


def edit_and_commit(learner: Clone) -> None:
    work(learner)
    learner.commit()


def edit_after_a_commit(learner: Clone) -> None:
    edit_and_commit(learner)
    learner.path(EDITED[-1]).write_text("# once more\n")


def edit_on_a_branch(learner: Clone) -> None:
    learner.git("switch --quiet --create my-gpt2")
    edit_and_commit(learner)


def leave_all(learner: Clone) -> None:
    """Change nothing at all."""


def delete_a_step(learner: Clone) -> None:
    work(learner)
    learner.path(named("engine_01")).unlink()


WAYS = [work, edit_and_commit, edit_after_a_commit, edit_on_a_branch, leave_all, delete_a_step]


@pytest.mark.parametrize("way", partly(KIND, WAYS, (work, edit_and_commit).__contains__))
@pytest.mark.parametrize(
    "settings",
    partly(KIND, ["", "[pull]\n    rebase = true\n", "[pull]\n    ff = only\n"], "".__eq__),
)
def test_steps_stay_to_the_byte_and_the_rest_is_that_of_the_course(
    server: Clone, learner: Clone, way: Callable[[Clone], None], settings: str
) -> None:
    with (learner.root.parent / "gitconfig").open("a") as file:
        file.write(settings)
    before = learner.steps()
    way(learner)
    mine = {name: text for name, text in learner.steps().items() if text != before[name]}
    assert len(mine) == (0 if way is leave_all else len(EDITED))
    gone = before.keys() - learner.steps().keys()

    learner.update()

    theirs = {name: text for name, text in server.steps().items() if name not in gone}
    assert learner.steps() == {**theirs, **mine}
    assert learner.git("status --porcelain") == ""
    assert learner.git(f"diff --name-only {commit_of(server)} -- :!steps") == ""
    learner.update()  # once more, with nothing new
    assert learner.steps() == {**theirs, **mine}


def commit_of(clone: Clone) -> str:
    return clone.git("rev-parse HEAD").strip()


def test_changes_elsewhere_that_are_committed_are_kept_where_they_do_not_collide(
    learner: Clone,
) -> None:
    file = learner.root / "tutor" / "course" / "registry.py"
    file.write_text("# mine\n" + file.read_text())
    learner.commit()
    learner.update()
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("# mine", "# changed")


def test_an_update_stops_before_it_writes_over_a_change_elsewhere(learner: Clone) -> None:
    work(learner)
    file = learner.root / "tutor" / "course" / "registry.py"
    file.write_text("# mine\n")
    mine = learner.steps()
    *before, merge = documented()[0]
    for line in before:
        learner.run(line)
    code, said = learner.run(merge)
    assert code != 0
    assert "tutor/course/registry.py" in said
    assert learner.steps() == mine
    assert file.read_text() == "# mine\n"


def test_an_update_by_somebody_unknown_to_git_changes_nothing(learner: Clone) -> None:
    work(learner)
    mine = learner.steps()
    settings = learner.root.parent / "gitconfig"
    known = settings.read_text()
    settings.write_text("[user]\n    useConfigOnly = true\n")
    said = [learner.run(line) for line in documented()[0]]
    assert "tell me who you are" in said[1][1]
    assert said[-1][0] != 0
    assert learner.steps() == mine
    settings.write_text(known)
    learner.update()
    assert learner.steps().items() >= {name: mine[name] for name in edited()}.items()


def edited() -> list[str]:
    return [Path(step.file("steps")).name for step in EDITED]


@pytest.mark.parametrize("settings", ["", "[pull]\n    rebase = false\n"])
def test_a_plain_pull_stops_at_what_is_not_committed(learner: Clone, settings: str) -> None:
    with (learner.root.parent / "gitconfig").open("a") as file:
        file.write(settings)
    work(learner)
    mine = learner.steps()
    code, said = learner.run("git pull")
    assert code != 0
    assert "steps/step_07.py" in said
    assert learner.steps() == mine


def test_a_step_in_a_conflict_is_the_learners_without_marks_in_it(
    server: Clone, learner: Clone
) -> None:
    edit_and_commit(learner)
    mine = {name: learner.steps()[name] for name in edited()}
    assert "CONFLICT" in learner.run("git pull --no-rebase")[1]
    assert learner.steps() == {**server.steps(), **mine}
    for line in documented()[1]:
        learner.git(line.removeprefix("git "))
    assert learner.steps() == {**server.steps(), **mine}
    assert learner.git("status --porcelain") == ""


def test_a_step_that_the_course_gave_up_stays_with_the_learner(
    server: Clone, learner: Clone
) -> None:
    server.path(EDITED[0]).unlink()
    server.commit()
    edit_and_commit(learner)
    mine = {name: learner.steps()[name] for name in edited()}
    assert "CONFLICT" in [learner.run(line) for line in documented()[0]][-1][1]
    for line in documented()[1]:
        learner.git(line.removeprefix("git "))
    assert learner.steps() == {**server.steps(), **mine}


@pytest.mark.parametrize(
    ("pull", "abort"),
    [
        ("git pull --no-rebase", "git merge --abort"),
        ("git pull --rebase", "git rebase --abort"),
    ],
)
def test_an_update_that_stopped_can_be_taken_back(learner: Clone, pull: str, abort: str) -> None:
    edit_and_commit(learner)
    mine, commit = learner.steps(), commit_of(learner)
    assert learner.run(pull)[0] != 0
    assert abort in CHAPTER.read_text()
    learner.git(abort.removeprefix("git "))
    assert (learner.steps(), commit_of(learner)) == (mine, commit)
    assert learner.git("status --porcelain") == ""
