"""The examples for instructors: valid, and run as far as that is possible without the services."""

import base64
import json
import os
import platform
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.browsers import lacking
from tests.project.commands import run_here
from tests.project.grades import untimed
from tests.project.schemas import KUBERNETES, SCHEMAS
from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import Step, find_step
from tutor.grade import bundles, grades, marking
from tutor.grade.formats import services
from tutor.grade.grades import Grade

EXAMPLES = ROOT / "examples"
WORKFLOWS = [*EXAMPLES.glob("*.yml"), *(ROOT / ".github" / "workflows").glob("*.yml")]
CLUSTER = EXAMPLES / "cluster"
SCRIPTS = [
    *(EXAMPLES / "batch.sh", EXAMPLES / "max_serve" / "serve.sh", *CLUSTER.glob("*.sh")),
    *(EXAMPLES / "gradescope").iterdir(),
]
PROGRAMS = Path(sys.executable).parent
MINUTES = 5  # that a script of an example may take on a slow machine


def steps_of(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The steps of a workflow with the names of their jobs."""
    jobs: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    for name, job in jobs.items():
        yield from ((name, step) for step in job["steps"])


def script_of(file: str, job: str, words: str) -> str:
    """The script of the one step of a job that has these words in it."""
    scripts = [step.get("run", "") for name, step in steps_of(EXAMPLES / file) if name == job]
    (script,) = [script for script in scripts if words in script]
    return str(script)


def run(
    *command: str | Path, folder: Path, **variables: str | Path
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, with these variables in its environment."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )


# Forms


def test_workflows_hold_against_the_schema_of_github() -> None:
    checker = PROGRAMS / "check-jsonschema"
    checked = run(checker, "--builtin-schema=vendor.github-workflows", *WORKFLOWS, folder=ROOT)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.skipif(platform.machine() == "aarch64", reason="PyPI has no shellcheck for it")
def test_shellcheck_has_nothing_to_say_of_a_script(tmp_path: Path) -> None:
    scripts = list(SCRIPTS)
    for file in WORKFLOWS:
        for count, (_, step) in enumerate(steps_of(file)):
            if "run" in step:
                scripts.append(tmp_path / f"{file.stem}-{count}")
                scripts[-1].write_text(step["run"])
    checked = run(PROGRAMS / "shellcheck", "--shell=bash", *scripts, folder=ROOT)
    assert checked.returncode == 0, checked.stdout


def test_scripts_can_be_run() -> None:
    assert [file for file in SCRIPTS if not os.access(file, os.X_OK)] == []


def test_classroom_finds_what_it_looks_for() -> None:
    file = EXAMPLES / "github-classroom.yml"
    assert yaml.safe_load(file.read_text())["name"] == "Autograding Tests"
    steps = list(steps_of(file))
    assert {job for job, _ in steps} == {"run-autograding-tests"}
    runner = steps[-1][1]["with"]["runners"]
    assert steps[-1][1]["env"] == {
        f"{runner.upper()}_RESULTS": f"${{{{ steps.{runner}.outputs.result }}}}"
    }
    assert [step["id"] for _, step in steps if "GITHUB_OUTPUT" in step.get("run", "")] == [runner]


# Clusters


@pytest.fixture(scope="module")
def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / "kubernetes.yml").read_text()))


def test_kubernetes_knows_all_that_it_is_told(kubernetes: list[dict[str, Any]]) -> None:
    for each in kubernetes:
        jsonschema.validate(each, KUBERNETES)


def test_what_kubernetes_is_told_goes_together(kubernetes: list[dict[str, Any]]) -> None:
    pods = {
        each["metadata"]["name"]: each["spec"] for each in kubernetes if "template" in each["spec"]
    }
    service, policy = kubernetes[0], kubernetes[-1]["spec"]["podSelector"]["matchLabels"]
    scheduler = pods["grade-scheduler"]["template"]
    assert service["spec"]["selector"] == scheduler["metadata"]["labels"]
    (port,) = service["spec"]["ports"]
    (named,) = scheduler["spec"]["containers"][0]["ports"]
    assert (port["targetPort"], port["port"]) == (named["name"], named["containerPort"])
    images = set()
    for spec in pods.values():
        labels, pod = spec["template"]["metadata"]["labels"], spec["template"]["spec"]
        assert spec.get("selector", {"matchLabels": labels})["matchLabels"] == labels
        assert policy.items() <= labels.items()
        (container,) = pod["containers"]
        mounted = {each["name"] for each in container.get("volumeMounts", [])}
        assert mounted == {each["name"] for each in pod.get("volumes", [])}
        images.add(container["image"])
        if "dask" in container["command"]:
            check_dask(container["command"][3:])
        elif "tutor grade" in container["command"][-1]:
            check_tutor(shlex.split(container["command"][-1].partition("||")[0])[3:])
    assert len(images) == 1
    assert f"tcp://{service['metadata']['name']}:{port['port']}" in str(pods["grade-worker"])
    assert f"tcp://{service['metadata']['name']}:{port['port']}" in str(pods["grade"])


def check_dask(command: list[str]) -> None:
    """Raises click.UsageError for what Dask does not take."""
    from distributed.cli import dask_scheduler, dask_worker

    _, kind, *arguments = command
    main = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[kind]
    main.make_context(kind, arguments)


def check_tutor(command: list[str]) -> None:
    """Raises click.UsageError for what the course does not take."""
    from tutor.cli import grade

    assert command[:2] == ["tutor", "grade"]
    grade.make_context("grade", command[2:])


def test_slurm_is_told_what_it_knows() -> None:
    text = (CLUSTER / "slurm.sh").read_text()
    told = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.+)$", text, re.MULTILINE))
    assert told.keys() == {"job-name", "ntasks", "cpus-per-task", "mem-per-cpu", "time"}
    assert re.fullmatch(r"\d+[MG]", told["mem-per-cpu"])
    assert re.fullmatch(r"\d\d:\d\d:\d\d", told["time"])
    assert int(told["ntasks"]) * int(told["cpus-per-task"]) > 1
    assert text.index("#SBATCH") < text.index("\nset ")  # what comes later is not read


# What the scripts call: uv, which has nothing to install, and what starts something elsewhere.
ELSEWHERE = {
    "uv": f"""#!/bin/sh
[ "$1" = sync ] && exit
shift
while :; do
    case $1 in --no-sync) shift ;; --extra | --project) shift 2 ;; *) break ;; esac
done
program=$1
shift
exec "{PROGRAMS}/$program" "$@"
""",
    "srun": '#!/bin/sh\nexec "$@"\n',
    "ssh": '#!/bin/sh\nexec sh -c "$3"\n',
}


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize("name", ["slurm", "ssh"])
def test_a_script_grades_a_class_on_a_cluster(name: str, place: Path, tmp_path: Path) -> None:
    for program, text in ELSEWHERE.items():
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(0o755)
    course, script = place / "course", place / "course" / "examples" / "cluster" / f"{name}.sh"
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        script.write_text(script.read_text().replace("8786", str(found.getsockname()[1])))
    (tmp_path / "hosts").write_text("lab01 1\n")
    first = {"slurm": [], "ssh": [str(tmp_path / "hosts"), "127.0.0.1"]}[name]
    done = run(
        *map(str, (script, *first, place / "submissions", tmp_path / "grades", "--steps", "1-2")),
        folder=course,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PYTHONPATH=ROOT,
        SLURM_SUBMIT_DIR=course,
        SLURM_JOB_ID="7",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"ada,6,8,14,14,0,0," in (tmp_path / "grades" / "points.csv").read_bytes()
    assert not [*course.glob("scheduler-*")]


# Workflows and batch systems


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the course, as far as uv has to know it, and a class of four."""
    folder = tmp_path_factory.mktemp("a place")
    shutil.copytree(EXAMPLES, folder / "course" / "examples")
    shutil.copy(ROOT / "pyproject.toml", folder / "course")
    submissions = folder / "submissions"
    one, two = (find_step(name) for name in ("1", "2"))
    right = sources.reference(two, "steps")
    add(submissions / "ada", {one: sources.reference(one, "steps"), two: right})
    add(submissions / "bob" / "work", {two: two.mistakes[0].apply(right)})
    (submissions / "eve").mkdir()
    add(folder / "kim", {one: "raise SystemExit"})
    shutil.make_archive(str(submissions / "kim"), "zip", folder / "kim")
    return folder


def add(folder: Path, steps: dict[Step, str]) -> None:
    """A submission of these steps."""
    (folder / "steps").mkdir(parents=True)
    for step, source in steps.items():
        (folder / step.file("steps")).write_text(source)


def run_with_uv(script: str, folder: Path, **variables: str | Path) -> str:
    """Run a script as Actions do, with the environment of this test; what it prints."""
    if not shutil.which("uv"):
        lacking("uv is not here")
    as_is = {"UV_NO_SYNC": "1", "UV_PROJECT_ENVIRONMENT": sys.prefix}
    done = run("bash", "-e", "-c", script, folder=folder, **as_is, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.full("ways to grade")
def test_parts_that_are_joined_are_the_same_as_one_run(place: Path) -> None:
    part = script_of("github-actions.yml", "grade", "batch.sh")
    given = {"PARTS": "2", "STEPS": "1-2", "SEED": "4711"}
    (place / "parts").mkdir()
    for number in ("1", "2"):
        run_with_uv(part, place, PART=number, **given)
        shutil.move(place / "grades" / "results", place / "parts" / f"grades-{number}")
        shutil.rmtree(place / "grades")
    join = script_of("github-actions.yml", "report", "--merge")
    run_with_uv(join, place / "course")
    whole = run_here(
        *("grade", str(place / "submissions"), "--output", str(place / "whole")),
        *("--steps", "1-2", "--seed", "4711"),
    )
    assert whole.code == 1
    names = ["ada.json", "bob.json", "eve.json", "kim.json"]
    for folder in (place / "whole", place / "grades"):
        assert sorted(file.name for file in (folder / "results").iterdir()) == names
    for name in names:
        one, joined = (place / folder / "results" / name for folder in ("whole", "grades"))
        assert untimed(joined) == untimed(one)
    points = {(place / folder / "points.csv").read_bytes() for folder in ("whole", "grades")}
    assert len(points) == 1
    assert b"ada,6,8,14,14,0,0," in points.pop()


@pytest.mark.full("ways to grade")
def test_a_part_may_be_empty(place: Path) -> None:
    said = run_with_uv("course/examples/batch.sh 5 5 submissions none", place)
    assert said == "Part 5 of 5 is empty: there are fewer submissions.\n"


@pytest.mark.full("ways to grade")
def test_an_error_of_the_grading_is_one_of_its_part(place: Path) -> None:
    with pytest.raises(AssertionError, match="names no steps"):
        run_with_uv("course/examples/batch.sh 1 5 submissions none --steps 99", place)


@pytest.mark.parametrize(("given", "seeds"), [("", range(1, 2**30)), ("7", [7])])
def test_all_parts_are_planned_with_one_seed(given: str, seeds: range, tmp_path: Path) -> None:
    output = tmp_path / "output"
    run_with_uv(
        script_of("github-actions.yml", "plan", "seq"),
        tmp_path,
        PARTS="4",
        SEED=given,
        GITHUB_OUTPUT=output,
    )
    outputs = dict(line.split("=") for line in output.read_text().splitlines())
    assert json.loads(outputs["parts"]) == [1, 2, 3, 4]
    assert int(outputs["seed"]) in seeds


@pytest.mark.full("ways to grade")
def test_classroom_is_handed_the_grade_of_the_learner(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "course", tmp_path / "course")
    shutil.copytree(place / "submissions" / "bob", tmp_path / "submissions" / "learner")
    output = tmp_path / "output"
    script = script_of("github-classroom.yml", "run-autograding-tests", "tutor grade")
    run_with_uv(script, tmp_path / "course", GITHUB_OUTPUT=output)
    name, _, result = output.read_text().partition("=")
    assert name == "result"
    assert result == f"{services.classroom_text(learner(tmp_path / 'grades'))}\n"
    jsonschema.validate(json.loads(base64.b64decode(result)), SCHEMAS["classroom"])


def learner(folder: Path) -> Grade:
    """The one grade in a folder."""
    (file,) = (folder / "results").iterdir()
    return grades.load(file)


# Gradescope


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive to be uploaded, which grades two steps."""
    folder = tmp_path_factory.mktemp("bundle")
    made = run_here("grade", "--bundle", "gradescope", "--steps", "1-2", "--output", str(folder))
    assert (made.code, made.err) == (0, "")
    file = folder / "gradescope.zip"
    assert made.out.startswith(f"{file} is written, ")
    return file


def test_the_bundle_has_what_grading_needs_and_nothing_else(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        for name in bundles.SCRIPTS:
            assert archive.read(name) == (EXAMPLES / "gradescope" / name).read_bytes()
    modes = {name: stat.S_IMODE(entry.external_attr >> 16) for name, entry in entries.items()}
    assert [name for name, mode in modes.items() if mode & 0o111] == sorted(bundles.SCRIPTS)
    assert {entry.date_time for entry in entries.values()} == {bundles.DATE}
    for name in entries.keys() - set(bundles.SCRIPTS) - {"course/options.txt"}:
        assert (ROOT / name.removeprefix("course/")).is_file()
    steps = [name for name in entries if name.startswith("course/steps/")]
    assert steps == ["course/steps/__init__.py"]  # and nobody's own
    assert not [name for name in entries if "/project/" in name or ".pyc" in name]


def test_a_bundle_of_the_same_files_is_the_same(bundle: Path, tmp_path: Path) -> None:
    bundles.gradescope(tmp_path, "1-2", "reference", None, 20, 3072)
    assert (tmp_path / "gradescope.zip").read_bytes() == bundle.read_bytes()


def test_a_bundle_takes_no_steps_that_there_are_not(tmp_path: Path) -> None:
    made = run_here("grade", "--bundle", "gradescope", "--steps", "99", "--output", str(tmp_path))
    assert made.code == 2
    assert list(tmp_path.iterdir()) == []


# What setup.sh calls, in short: apt-get, pip, and the uv that it gets, which makes an environment.
FAKES = {
    "apt-get": "#!/bin/sh\n",
    "python3": '#!/bin/sh\nmkdir -p "$5/bin" && cp "$(dirname "$0")/uv" "$5/bin"\n',
    "uv": f"""#!/bin/sh
mkdir -p .venv/bin && cd .venv/bin && cat > python <<END
#!/bin/sh
exec "{sys.executable}" "\\$@"
END
chmod +x python
""",
}


@pytest.fixture(scope="module")
def image(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Gradescope builds of the bundle, with an environment that is here."""
    root, programs = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("programs")
    source = root / "autograder" / "source"
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(source)
    for name in bundles.SCRIPTS:
        (source / name).chmod(0o755)
    (root / "opt" / "course").mkdir(parents=True)
    for name, text in FAKES.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    built = run(source / "setup.sh", folder=root, AUTOGRADER_ROOT=root, PATH=path)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "Passed: 5 of 5 checks" in built.stdout
    shutil.copy(source / "run_autograder", root / "autograder")
    return root


def autograde(image: Path, submission: Path) -> dict[str, Any]:
    """What Gradescope reads when it has run the autograder on a submission."""
    autograder = image / "autograder"
    for name in ("submission", "results"):
        shutil.rmtree(autograder / name, ignore_errors=True)
    shutil.copytree(submission, autograder / "submission")
    done = run(autograder / "run_autograder", folder=autograder, AUTOGRADER_ROOT=image)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((autograder / "results" / "results.json").read_bytes())
    return result


@pytest.mark.full("ways to grade")
def test_gradescope_reads_the_points_of_each_check(image: Path, place: Path) -> None:
    result = autograde(image, place / "submissions" / "ada")
    jsonschema.validate(result, SCHEMAS["gradescope"])
    assert result["score"] == 14
    assert {test["status"] for test in result["tests"]} == {"passed"}
    assert {test["tags"][0] for test in result["tests"]} == {"step_01", "step_02"}
    assert result["extra_data"]["course"] == marking.course_digest()
    assert stat.S_IMODE((image / "autograder").stat().st_mode) == 0o700


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize("name", ["bob", "eve"])
def test_gradescope_reads_what_is_wrong_with_a_submission(
    image: Path, place: Path, name: str
) -> None:
    result = autograde(image, place / "submissions" / name)
    jsonschema.validate(result, SCHEMAS["gradescope"])
    assert result["score"] < 14
    is_empty = name == "eve"
    assert result["output"].startswith("It was not graded: it holds no file") is is_empty
    assert any("Mistake: " in test["output"] for test in result["tests"]) is not is_empty


@pytest.mark.full("ways to grade")
def test_other_users_see_no_tests_and_no_solutions(image: Path) -> None:
    course = image / "opt" / "course"
    closed = [course / name for name in ("solutions", "tests", "tutor/exercises")]
    for place in (*closed, course / "tutor" / "grade"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700, place
    for place in (course, course / "tutor", course / "tutor" / "check" / "sandbox" / "worker.py"):
        assert place.stat().st_mode & stat.S_IROTH, place


@pytest.mark.full("ways to grade")
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (".venv/bin/python", "no/such/python", "grading ended with exit code 127."),
        ("minutes=9", "minutes=0.01", "it took longer than 0.01 minutes."),
        ("<options.txt", "<no-such-options.txt", "grading ended with exit code 1."),
    ],
)
def test_gradescope_reads_why_there_is_no_grade(
    image: Path, place: Path, old: str, new: str, why: str
) -> None:
    script = image / "autograder" / "run_autograder"
    text = script.read_text()
    assert text.count(old) == 1
    script.write_text(text.replace(old, new))
    try:
        result = autograde(image, place / "submissions" / "ada")
    finally:
        script.write_text(text)
    assert result["score"] == 0
    assert result["output"].startswith(f"This was not graded: {why} ")
    allowed = SCHEMAS["gradescope"]["properties"]
    for name, value in result.items():
        jsonschema.validate(value, allowed[name])
