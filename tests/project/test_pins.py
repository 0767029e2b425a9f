"""What the course installs is pinned, so that a clone installs the same in years to come."""

import itertools
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.course import pin_versions
from tutor import ROOT


def read_project(text: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = read_project(TEXT)
EXTRAS = list(PROJECT["optional-dependencies"])
LOCK = ROOT / "uv.lock"
README = (ROOT / "README.md").read_text()
PINS = [Requirement(pin) for pin in pin_versions.pins(TEXT)]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# Some wheels of max-core need it, in one version, and others do not; uv believes the one it reads.
IN_SOME_WHEELS = "max-shmem-libs"


def is_exact(requirement: Requirement) -> bool:
    versions = [(only.operator, only.version[-1]) for only in requirement.specifier]
    return len(versions) == 1 and versions[0][0] == "==" and versions[0][1] != "*"


def version_of(pin: Requirement) -> str:
    (only,) = pin.specifier
    return only.version


def required(project: dict[str, Any], *extras: str) -> Iterator[Requirement]:
    """What a project asks for, with these extras and with those that they take in."""
    of_extras = (project["optional-dependencies"][extra] for extra in extras)
    for item in map(Requirement, itertools.chain(project["dependencies"], *of_extras)):
        if item.name == project["name"]:
            yield from required(project, *item.extras)
        else:
            yield item


def resolved(requirements: Iterable[Requirement], lock: dict[str, Any]) -> set[tuple[str, str]]:
    """The versions that a lock has for these and for all that they bring, on any system."""
    packages = defaultdict(list)
    for package in lock["package"]:
        packages[package["name"]].append(package)
    ahead = [(item.name, extra) for item in requirements for extra in ("", *item.extras)]
    found: set[tuple[str, str]] = set()
    while ahead:
        name, extra = reached = ahead.pop()
        if reached in found:
            continue
        found.add(reached)
        for package in packages[name]:
            extras = package.get("optional-dependencies", {})
            for item in extras.get(extra, []) if extra else package.get("dependencies", []):
                ahead += [(item["name"], chosen) for chosen in ("", *item.get("extra", []))]
    names = {name for name, _ in found} - {IN_SOME_WHEELS}
    return {(name, package["version"]) for name in names for package in packages[name]}


def test_the_pins_are_exact() -> None:
    builders = map(Requirement, tomllib.loads(TEXT)["build-system"]["requires"])
    assert [str(pin) for pin in (*PINS, *builders) if not is_exact(pin)] == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("system", "machine"), MACHINES)
def test_a_package_has_one_version_on_each_machine(system: str, machine: str, python: str) -> None:
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_machine": machine,
    }
    applying = (pin for pin in PINS if not pin.marker or pin.marker.evaluate(here))
    versions = {(pin.name, version_of(pin)) for pin in applying}  # two extras may need the same
    counts = Counter(name for name, _ in versions)
    assert {name for name, count in counts.items() if count > 1} == set()


@pytest.mark.skipif(not LOCK.exists(), reason="uv has not resolved this clone")
@pytest.mark.parametrize("extras", [(), *((extra,) for extra in EXTRAS)], ids="-".join)
def test_the_pins_are_all_that_uv_resolves_to(extras: tuple[str, ...]) -> None:
    own = required(read_project(pin_versions.unpinned(TEXT)), *extras)
    found = resolved(own, tomllib.loads(LOCK.read_text()))
    pinned = {(pin.name, version_of(pin)) for pin in required(PROJECT, *extras) if pin in PINS}
    assert found == pinned, (
        "changed, please run: uv run --frozen python -m tools.course.pin_versions"
    )


def test_extras_and_further_versions_are_found_in_a_lock() -> None:
    lock = """
        [[package]]
        name = "a"
        version = "1"
        dependencies = [{ name = "b", extra = ["fast"], marker = "sys_platform == 'linux'" }]
        [[package]]
        name = "b"
        version = "2"
        [package.optional-dependencies]
        fast = [{ name = "c", version = "3" }, { name = "c", version = "4" }]
        slow = [{ name = "d" }]
        [[package]]
        name = "c"
        version = "3"
        [[package]]
        name = "c"
        version = "4"
        dependencies = [{ name = "a" }]
        [[package]]
        name = "d"
        version = "5"
    """
    found = resolved([Requirement("a")], tomllib.loads(lock))
    assert found == {("a", "1"), ("b", "2"), ("c", "3"), ("c", "4")}
    assert resolved([Requirement("b[slow]")], tomllib.loads(lock)) == {("b", "2"), ("d", "5")}


def test_what_is_installed_is_what_is_pinned() -> None:
    installed = {str(canonicalize_name(item.name)): item for item in metadata.distributions()}
    needed = filter(applies, required(PROJECT))
    assert [str(item) for item in needed if item.name not in installed] == []
    pinned = {pin.name for pin in PINS} | {IN_SOME_WHEELS}
    for pin in filter(applies, PINS):
        if pin.name in installed:  # an extra need not be
            assert installed[pin.name].version == version_of(pin), pin.name
            brought = map(Requirement, installed[pin.name].requires or [])
            names = {canonicalize_name(item.name) for item in brought if applies(item)}
            assert names <= pinned, pin.name


def applies(item: Requirement) -> bool:
    """Whether something is required here, without an extra."""
    return not item.marker or item.marker.evaluate({"extra": ""})


def test_uv_takes_a_python_that_max_is_made_for() -> None:
    all_pythons = [f"3.{minor}" for minor in range(30)]
    own = SpecifierSet(PROJECT["requires-python"])
    assert [python for python in all_pythons if own.contains(f"{python}.1")] == PYTHONS
    of_max = SpecifierSet(metadata.metadata("max")["Requires-Python"])
    newest = [python for python in all_pythons if of_max.contains(f"{python}.1")][-1]
    assert newest == PYTHONS[-1]


def test_ci_installs_the_pins_on_each_machine_with_each_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    matrix = workflow["jobs"]["quick"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    systems = [machine.partition("-")[0] for machine in matrix["machine"]]
    assert systems == [{"linux": "ubuntu", "darwin": "macos"}[system] for system, _ in MACHINES]
    installing = [step.get("run", "") for step in workflow["jobs"]["quick"]["steps"]]
    assert any(command and command in README for command in installing)


def test_the_tool_pins_what_the_course_needs_and_then_what_each_extra_adds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def run_uv(folder: Path, *arguments: str) -> list[str]:
        asked.append(tomllib.loads((folder / file.name).read_text())["tool"]["uv"][CONSTRAINTS])
        extra = arguments[-1].removeprefix("--extra=")
        return ["a==1", *{"fast": ["b==2"], "faster": ["b==2", "c==3"]}.get(extra, [])]

    file = tmp_path / "pyproject.toml"
    file.write_text(EXAMPLE)
    monkeypatch.setattr(pin_versions, "FILE", file)
    monkeypatch.setattr(pin_versions, "run_uv", run_uv)
    monkeypatch.setattr("sys.argv", ["pin_versions.py"])
    pin_versions.main()
    written = read_project(file.read_text())
    assert written["dependencies"] == ["a>=0", "a==1"]
    assert written["optional-dependencies"] == {
        "fast": ["b>=1", "b==2"],
        "faster": ["c", "x[fast]", "c==3"],
    }
    assert pin_versions.unpinned(file.read_text()) == pin_versions.unpinned(EXAMPLE)
    assert asked[0] == ["a==0.5 ; sys_platform == 'linux'", "b==1"]
    monkeypatch.setattr("sys.argv", ["pin_versions.py", "--upgrade"])
    pin_versions.main()
    assert asked[-1] == []
    assert read_project(file.read_text()) == written


CONSTRAINTS = "constraint-dependencies"
EXAMPLE = """\
[project]
name = "x"
dependencies = [
    "a>=0", # for this
    # Pinned by tools/course/pin_versions.py:
    "a==0.5 ; sys_platform == 'linux'",
]

[project.optional-dependencies]
fast = [
    "b>=1",
    # Pinned by tools/course/pin_versions.py:
    "b==1",
]
faster = [
    "c",
    "x[fast]",
    # Pinned by tools/course/pin_versions.py:
]

[tool.x]
y = ["z"]
"""
