"""Pin all that the course installs, in pyproject.toml, which uv, pip and pixi read alike.

python -m tools.course.pin_versions             pin what is new, drop what is gone, keep the rest
python -m tools.course.pin_versions --upgrade   pin the newest versions that go together
"""

import argparse
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tutor import ROOT

FILE = ROOT / "pyproject.toml"
PINS = re.compile(r'(    # Pinned by tools/course/pin_versions\.py:\n)((?:    ".*",\n)*)')
EXPORT = ("export", "--frozen", "--no-hashes", "--no-header", "--no-annotate", "--no-emit-project")


def main() -> None:
    parser = argparse.ArgumentParser(description="Pin all that the course installs.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    text = FILE.read_text()
    kept = [] if parser.parse_args().upgrade else pins(text)
    lists = iter(resolve(unpinned(text), kept))
    FILE.write_text(PINS.sub(lambda found: found[1] + as_lines(next(lists)), text))


def unpinned(text: str) -> str:
    """The project with what the course itself asks for, and no more."""
    return PINS.sub("", text)


def pins(text: str) -> list[str]:
    """The pins of all lists: names with exact versions, and where these apply."""
    return [pin for _, lines in PINS.findall(text) for pin in re.findall(r'"(.*)"', lines)]


def as_lines(pins: list[str]) -> str:
    return "".join(f'    "{pin}",\n' for pin in pins)


def resolve(project: str, kept: list[str]) -> Iterator[list[str]]:
    """The pins of each list: first what the course needs, then what each extra adds."""
    metadata = tomllib.loads(project)["project"]
    extras: dict[str, list[str]] = metadata["optional-dependencies"]
    with TemporaryDirectory() as folder:
        file = Path(folder) / FILE.name
        file.write_text(f"{project}\n[tool.uv]\nconstraint-dependencies = {kept}\n")
        run_uv(file.parent, "lock")
        base = run_uv(file.parent, *EXPORT)
        found = {name: run_uv(file.parent, *EXPORT, f"--extra={name}") for name in extras}
    yield base
    for name, requirements in extras.items():
        others = (other for other in extras if f"{metadata['name']}[{other}]" in requirements)
        known = {*base, *(pin for other in others for pin in found[other])}
        yield [pin for pin in found[name] if pin not in known]


def run_uv(folder: Path, *arguments: str) -> list[str]:
    """The lines that a command of uv writes about the project in a folder."""
    uv = shutil.which("uv")
    if not uv:
        raise SystemExit("uv resolves the versions, and is not found; run `pip install uv`")
    finished = subprocess.run(
        [uv, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=False
    )
    if finished.returncode:
        raise SystemExit("uv says above why these versions do not go together")
    return finished.stdout.splitlines()


if __name__ == "__main__":
    main()
