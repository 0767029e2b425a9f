"""What keeps the one who grades from being fooled or harmed, guard by guard.

`test_class.py` has all attacks in one class, in namespaces. Here they come without namespaces, too.
"""

import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import oracle
from tests.project import hostile, suites
from tests.project.attacks import (
    FORWARD,
    HOLDS,
    SUCCESS,
    Target,
    attacks,
    have_ended,
    step,
    target,
)
from tests.project.hostile import HONEST, RIGHT, THIRD
from tests.project.test_class import ATTACKERS, BLANK, ENDLESS, UNREADABLE, Row
from tests.samples import RUN_SEED
from tutor import ROOT
from tutor.check.results import Result
from tutor.check.sandbox import seal
from tutor.check.sandbox.isolation import (
    HIDDEN,
    MEGABYTE,
    SYSTEM,
    Isolation,
    Limits,
    find_bubblewrap,
)
from tutor.check.sandbox.places import landlock_version
from tutor.check.sandbox.workbench import Workbench
from tutor.course import stubs
from tutor.course.registry import all_steps, find_step
from tutor.course.verdicts import Verdict
from tutor.errors import InputError
from tutor.grade.grades import Grade
from tutor.grade.here import Here
from tutor.grade.marking import Order
from tutor.grade.run import Class
from tutor.grade.submissions import entries, repositories
from tutor.grade.submissions.entries import UnreadableError, spelled, within_limits
from tutor.grade.submissions.find import find
from tutor.grade.submissions.read import Source, Submission, read

Array = NDArray[Any]

LIMITS = Limits(memory=1024 * MEGABYTE)
APART = Isolation(LIMITS, *find_bubblewrap())
TOGETHER = Isolation(LIMITS, "", "it is left out for a test")
namespaces = pytest.mark.skipif(not APART.bubblewrap, reason="no user namespaces here")
sealed = pytest.mark.skipif(not seal.is_possible(), reason="no seal here")

# What a folder or archive keeps beside its honest step 01, none of which is run.
MORE = {
    "folder-package": {"__init__.py"},
    "folder-tools": {
        *("conftest.py", "max.py", "numpy.py", "sitecustomize.py", "usercustomize.py"),
        "tutor/__init__.py",
    },
    "zip-names": {"con/step_03.py"},
}
WHY = {
    "folder-links": "is a link or no plain file",
    "folder-pipe": "is a link or no plain file",
    "folder-names": "has a name that cannot be imported",
    "git-fetches": "is missing in the repository",
    "tar-devices": "is a link or no plain file",
    "tar-links": "is a link or no plain file",
    "tar-names": "has a name that cannot be imported",
    "tar-paths": "leads out of the archive",
    "zip-bomb": "has more than 1,048,576 bytes",
    "zip-links": "is a link or no plain file",
    "zip-names": "has a name that cannot be imported",
    "zip-paths": "leads out of the archive",
}


def source(folder: Path, name: str) -> Source:
    """A hostile submission, beside nothing else; what it leaves behind would be in `left`."""
    (folder / "class").mkdir()
    hostile.submissions(folder / "left")[name](folder / "class" / name)
    (found,) = find([str(folder / "class")])
    return found


@pytest.mark.parametrize("name", hostile.submissions(Path()))
def test_a_hostile_submission_is_read_or_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repositories, "SECONDS", 600)
    (tmp_path / "left").mkdir()
    given = source(tmp_path, name)
    if name in UNREADABLE:
        with pytest.raises(UnreadableError, match=UNREADABLE[name]):
            read(given)
    else:
        found = read(given)
        assert found.files.keys() == {"step_01.py"} | MORE.get(name, set())
        assert found.files["step_01.py"] == HONEST.encode()
        assert all(map(str.isprintable, found.notes))
        assert all(line.endswith(f"{WHY[name]}; it was left out.") for line in found.notes)
        assert bool(found.notes) == (name in WHY)
    assert not list((tmp_path / "left").iterdir())


@pytest.mark.full("attacks")
def test_reading_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_SECONDS", 1)
    hostile.header_bomb(tmp_path / "eve")
    begin = time.monotonic()
    with pytest.raises(UnreadableError, match="takes more than 1 seconds"):
        read(find([str(tmp_path / "eve.tar")])[0])
    assert time.monotonic() - begin < 30


@pytest.mark.full("ways to grade")
def test_reading_takes_no_more_memory_than_there_is_for_it() -> None:
    with pytest.raises(MemoryError), within_limits():
        bytearray(2 * entries.MOST_MEMORY)
    assert bytearray(2 * entries.MOST_MEMORY)


def test_submissions_lie_where_they_should(tmp_path: Path) -> None:
    names = {f"step_{number:02}.py": b"" for number in (1, 3)}
    Submission(names | {"a/b.py": b"", "__init__.py": b"1/0"}, []).lay_out(tmp_path / "course")
    found = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.py")}
    assert found == {f"course/steps/{name}" for name in [*names, "a/b.py", "__init__.py"]}
    ours = (ROOT / "steps" / "__init__.py").read_bytes()
    assert (tmp_path / "course" / "steps" / "__init__.py").read_bytes() == ours


def test_no_two_names_are_spelled_alike() -> None:
    names = ["a\nb", "a\\nb", "a\\\nb", "a\\\\nb", "a\x1bb", "a\\x1bb", "a\udce9b", "a\\udce9b"]
    assert len(set(map(spelled, names))) == len(names)
    assert all(spelled(name).isprintable() for name in names)


def test_one_learner_who_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    hostile.folder(tmp_path / "ada", {})
    (tmp_path / "eve").symlink_to(tmp_path / "nowhere")
    ada, eve = find([str(tmp_path)])
    assert read(ada).files
    with pytest.raises(UnreadableError):
        read(eve)
    with pytest.raises(InputError):
        find([str(tmp_path / "eve")])


# The code of a submission


def say(code: str, isolation: Isolation, folder: Path) -> list[str]:
    """The lines that code prints when a step is imported that has it."""
    third = find_step("3")
    file = folder / "course" / third.file("steps")
    file.parent.mkdir(parents=True)
    (file.parent / "__init__.py").write_bytes((ROOT / "steps" / "__init__.py").read_bytes())
    file.write_text(stubs.derive(third) + code)
    (folder / "given").mkdir()
    with mock.patch("tempfile.tempdir", str(folder / "given")):
        bench = Workbench("steps", root=folder / "course", isolation=isolation)
        try:
            bench.select(third)
            with pytest.raises(Exception, match="LayerNorm"):
                bench.parameters("LayerNorm", 4)
            return bench.output().splitlines()
        finally:
            bench.close()


LOOK = """
import os
def look(place):
    for name in os.listdir(place):
        path = os.path.join(place, name)
        if any(each.startswith(f"{path}/") for each in READABLE) or path == "/tmp":
            look(path)
        elif path not in READABLE:
            print("stray:", path)
look("/")
print(*(name for hidden in HIDDEN for name in os.listdir(hidden)))
print(*os.environ)
print(os.getpid(), *(name for name in os.listdir("/proc") if name.isdecimal()))
print(*(line.strip() for line in open("/proc/self/status") if line.startswith("CapEff")))
for fd in os.listdir("/proc/self/fd"):
    if os.path.lexists(f"/proc/self/fd/{fd}"):
        print(os.readlink(f"/proc/self/fd/{fd}"))
"""


@namespaces
def test_nothing_but_the_tutor_is_seen_in_namespaces(tmp_path: Path) -> None:
    python = Path(sys.prefix), Path(sys.base_prefix)
    shown = [*python, ROOT / "tutor", tmp_path]
    readable = ["/proc", "/dev", *SYSTEM, *(str(place.resolve()) for place in shown)]
    hidden = [str(ROOT / "tutor" / name) for name in HIDDEN]
    places = f"READABLE, HIDDEN = {readable!r}, {hidden!r}\n"
    empty, variables, pids, rights, *open_files = say(places + LOOK, APART, tmp_path)
    assert empty == ""
    assert "TUTOR_SEED" not in variables.split()
    assert pids.split() == ["1", "1"]
    assert int(rights.split()[1], 16) == 0
    kinds = [each.partition(":")[0] for each in open_files if "(deleted)" not in each]
    assert sorted(kinds) == ["/dev/null", "socket"]


# The first letters of what can be done: to read a file, and to list the folder that it is in; then,
# with a file that was made for it, to write, truncate, move and link it, and to make another.
OPEN = """
import os
def tried(do):
    try:
        do()
    except OSError:
        return False
    return True
for place in PLACES:
    reads = {"r": lambda: open(place).read(1), "l": lambda: os.listdir(os.path.dirname(place))}
    print("".join(letter for letter in reads if tried(reads[letter])), place)
print([letter for letter, do in {
    "w": lambda: open(KEPT, "r+"),
    "t": lambda: os.truncate(KEPT, 0),
    "m": lambda: os.rename(KEPT, KEPT + "x"),
    "l": lambda: os.link(KEPT, os.environ["HOME"] + "/linked"),
    "n": lambda: open(KEPT + "y", "w"),
    "f": lambda: os.mkdir(KEPT + "z"),
    "own": lambda: open(os.environ["HOME"] + "/mine", "w").write("x"),
}.items() if tried(do)])
print(open("/proc/self/cmdline").read().split("\\0")[-2:])
"""


@pytest.mark.skipif(not landlock_version(), reason="no Landlock here")
def test_landlock_leaves_few_files_without_namespaces(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    allowed = {
        kept: "",
        ROOT / "solutions" / "solution_03.py": "",
        ROOT / "tests" / "oracle.py": "",
        ROOT / "tutor" / "exercises" / "step_03.toml": "l",
        ROOT / "tutor" / "__init__.py": "rl",
        Path(f"/proc/{os.getpid()}/environ"): "",
        Path("/etc/passwd"): "",
        tmp_path / "apart" / "course" / "steps" / "__init__.py": "rl",
    }
    code = f"PLACES, KEPT = {list(map(str, allowed))!r}, {str(kept)!r}\n{OPEN}"
    *lines, writes, arguments = say(code, TOGETHER, tmp_path / "apart")
    assert lines == [f"{letters} {place}" for place, letters in allowed.items()]
    assert writes == "['own']"
    assert "course" not in arguments
    assert kept.read_text() == "kept"


def test_code_goes_first_when_memory_is_short(tmp_path: Path) -> None:
    code = 'print(open("/proc/self/oom_score_adj").read())'
    assert "1000" in say(code, TOGETHER, tmp_path)


def test_what_is_not_hidden_gives_nothing_away() -> None:
    steps = all_steps()
    told = {hint for step in steps for check in step.checks for hint in check.hints}
    told |= {mistake.says for step in steps for mistake in step.mistakes}
    assert all((ROOT / "tutor" / name).is_dir() for name in HIDDEN)
    for file in (ROOT / "tutor").rglob("*"):
        place = file.relative_to(ROOT / "tutor").parts[0]
        if file.suffix in (".py", ".json", ".toml") and place not in HIDDEN:
            text = file.read_text()
            assert not [each for each in told if each in text], file


TRY = """
import ctypes, errno, os, resource
libc = ctypes.CDLL(None, use_errno=True)
for name, given in CALLS.items():
    made = libc.syscall(*given)
    if not made and name in ("fork", "vfork", "clone", "clone3"):
        os._exit(0)
    print(name, made, errno.errorcode.get(ctypes.get_errno()))
"""
LEFT = """
import resource
for name in ("AS", "FSIZE", "NOFILE", "CPU", "CORE", "NPROC"):
    print(name, *resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
"""


@sealed
@pytest.mark.parametrize("isolation", [pytest.param(APART, marks=namespaces), TOGETHER])
def test_the_kernel_refuses_what_is_sealed(isolation: Isolation, tmp_path: Path) -> None:
    machine = list(seal.MACHINES).index(platform.machine())
    calls = {name: [numbers[machine], *[0] * 6] for name, numbers in seal.CALLS.items()}
    calls = {name: given for name, given in calls.items() if given[0]}
    calls["clone"] = [seal.CLONE[machine], int(signal.SIGCHLD), *[0] * 5]
    calls["prlimit64"] = [seal.PRLIMIT[machine], 0, resource.RLIMIT_CORE, 1, 0, 0, 0]
    calls["tgkill"] = [seal.TGKILL[machine], os.getpid(), os.getpid(), 0, 0, 0, 0]
    newer = {"newer": [seal.NEWEST + 1, *[0] * 6]}
    printed = say(f"CALLS = {calls | newer!r}\n{TRY}", isolation, tmp_path)
    assert printed == [*(f"{name} -1 EPERM" for name in calls), "newer -1 ENOSYS"]


@pytest.mark.parametrize("isolation", [pytest.param(APART, marks=namespaces), TOGETHER])
def test_limits_are_those_of_the_grader(isolation: Isolation, tmp_path: Path) -> None:
    lines = [line.split() for line in say(LEFT, isolation, tmp_path)]
    found = {name: int(soft) for name, soft, hard in lines if soft == hard}
    limits = isolation.limits
    assert limits.memory < found.pop("AS") < limits.memory + 8 * 2**30
    expected = {"FSIZE": limits.file, "NOFILE": limits.files, "CPU": limits.processor, "CORE": 0}
    assert expected.items() <= found.items()
    assert not isolation.bubblewrap or found["NPROC"] == limits.threads


# Attacks


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, dict[str, Grade]]]:
    """What has to hold without namespaces, graded without them."""
    folder = tmp_path_factory.mktemp("together")
    with target(folder / "target") as aim:
        texts = {name: attacks(aim)[name] for name in (*HOLDS, *FORWARD)}
        yield aim, grade_all(folder, texts | {"honest": RIGHT}, TOGETHER)
        assert have_ended(str(folder))


def grade_all(folder: Path, texts: dict[str, str], isolation: Isolation) -> dict[str, Grade]:
    """Grade these texts as step 03 of as many learners; those without an end get little time."""
    grades: dict[str, Grade] = {}
    for kind, seconds, jobs in (("others", 120, os.cpu_count() or 1), ("endless", 8, len(ENDLESS))):
        given, results = folder / kind, folder / f"results of {kind}"
        for place in (given, results, folder / "temporary"):
            place.mkdir(exist_ok=True)
        for name, text in texts.items():
            if (name in ENDLESS) == (kind == "endless"):
                (given / name / THIRD).parent.mkdir(parents=True)
                (given / name / THIRD).write_text(text)
        order = Order(["step_03"], "reference", 2026, seconds, isolation, results, "")
        with mock.patch.dict(os.environ, TMPDIR=str(folder / "temporary")):
            sources = find([str(given)]) if any(given.iterdir()) else []
            found = Class(order, sources, Here(isolation, jobs)).grade()
            grades |= {grade.learner: grade for grade in found}
    return grades


ALSO: dict[str, Row] = {"honest": (Verdict.PASSED, 8, ""), "fills-the-disk": BLANK}


@pytest.mark.full("attacks")
@sealed
@pytest.mark.parametrize("name", ["honest", *HOLDS, *FORWARD])
def test_an_attack_fails_without_namespaces(
    name: str, together: tuple[Target, dict[str, Grade]]
) -> None:
    (found,) = together[1][name].steps
    assert (found.verdict, found.points, found.mistake) == (ATTACKERS | ALSO)[name]
    assert not any(SUCCESS in check.explanation for check in found.checks)


@pytest.mark.full("attacks")
@sealed
def test_nobody_is_harmed_without_namespaces(together: tuple[Target, dict[str, Grade]]) -> None:
    time.sleep(1)  # for what would have been left behind
    assert together[0].is_unharmed


# Whoever has hold of the process can say what it likes, but does not know what is expected.

HOLD = {
    "frames": """
        frame = sys._getframe()
        while not hasattr(frame.f_locals.get("self"), "probes"):
            frame = frame.f_back
        worker = frame.f_locals["self"]
        """,
    "tracebacks": """
        try:
            raise ValueError
        except ValueError as error:
            frame = error.__traceback__.tb_frame
        while not hasattr(frame.f_locals.get("self"), "probes"):
            frame = frame.f_back
        worker = frame.f_locals["self"]
        """,
    "threads": """
        frames = [*sys._current_frames().values()]
        for frame in frames:
            frames += [frame.f_back] * bool(frame.f_back)
        workers = [frame.f_locals.get("self") for frame in frames]
        worker = next(each for each in workers if hasattr(each, "probes"))
        """,
    "gc": """
        worker = next(each for each in gc.get_objects() if type(each).__name__ == "Worker")
        """,
    "code": """
        functions = [each for each in gc.get_objects() if type(each).__name__ == "function"]
        def worker(): pass
        worker.methods = [f for f in functions if f.__qualname__.startswith("StepProbes.")]
        """,
}
FORGE = """
import numpy as np

class Forged:
    def __init__(self, step): pass
    def parameters(self, name, dim, **_): return {"weight": [dim], "bias": [dim]}
    def initial_weights(self, name, dim, **_):
        return {"weight": 1 + 0 * NUMBERS[:dim], "bias": 0 * NUMBERS[:dim]}
    def forward(self, name, dim, *, weights, x, **_): return x.astype("float32")
    def trace(self, name, dim, *, dtype, shape): return [str(size) for size in shape]

NUMBERS = np.arange(1000, dtype="float32")
if hasattr(worker, "methods"):
    for method in worker.methods:
        if forged := vars(Forged).get(method.__name__):
            method.__globals__["NUMBERS"] = NUMBERS
            method.__code__ = forged.__code__
else:
    worker.probes = Forged
"""
# Names, shapes and a beginning of ones and zeros, which is to say what the constructor is about.
FORGEABLE = {"parameters": 1, "start": 1, "symbolic_lengths": 1}


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    folder = tmp_path_factory.mktemp("forged")
    aim = Target(folder, 0, 0)
    texts = {name: step(aim, code) + FORGE for name, code in HOLD.items()}
    return grade_all(
        folder, texts | {"table": with_a_table()}, APART if APART.bubblewrap else TOGETHER
    )


@pytest.mark.full("attacks")
@pytest.mark.parametrize("name", HOLD)
def test_numbers_cannot_be_forged(name: str, forged: dict[str, Grade]) -> None:
    (found,) = forged[name].steps
    gained = {check.check: check.points for check in found.checks if check.points}
    assert gained == FORGEABLE  # with less, nothing would have been forged


class Recorder(Workbench):
    """Stands in for the code under check, computes with the oracle, and keeps all answers."""

    def __init__(self) -> None:
        self.answers: dict[tuple[bytes, float], bytes] = {}

    def forward(
        self,
        name: str,  # noqa: ARG002
        *_: Any,
        weights: Mapping[str, Array],
        x: Array,
        **options: Any,
    ) -> Array:
        epsilon = options.get("eps", 1e-5)
        answer = oracle.layer_norm(weights, x, epsilon).astype(np.float32)
        self.answers[x.astype(np.float32).tobytes(), epsilon] = answer.tobytes()
        return answer


def with_a_table() -> str:
    """Step 03 with the right answers for the inputs that everybody sees, and nothing else."""
    recorder, tests = Recorder(), suites.tests_of(find_step("3"))
    for name in ("equation", "epsilon", "offset"):
        tests[name](recorder)
    body = RIGHT[RIGHT.index("        return F.layer_norm(") :]
    look_up = """
        import numpy as np
        values = x.to_numpy()
        answer = np.frombuffer(ANSWERS[values.tobytes(), self.eps], np.float32)
        return Tensor.from_dlpack(answer.reshape(values.shape).copy())
"""
    return RIGHT.replace(body, look_up) + f"\n\nANSWERS = {recorder.answers!r}\n"


@pytest.mark.full("attacks")
@pytest.mark.skipif(bool(RUN_SEED), reason="the inputs are not those that everybody sees")
def test_a_table_of_answers_is_worth_nothing(forged: dict[str, Grade], bench: Workbench) -> None:
    result = Result(find_step("3"), "solutions", {})
    suites.run_tests(result, bench, with_a_table())
    passed = {name for name, outcome in result.outcomes.items() if not outcome.error}
    assert passed == {"parameters", "start", "equation", "epsilon", "offset"}
    (found,) = forged["table"].steps
    assert {check.check for check in found.checks if check.points} == {"parameters", "start"}
