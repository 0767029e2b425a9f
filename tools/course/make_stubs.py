"""Derive the stubs in steps/ from the solutions.

python -m tools.course.make_stubs            write them
python -m tools.course.make_stubs --check    only tell which have changed; exit with 1 if any has
"""

from tools import derived
from tutor import ROOT
from tutor.course import stubs
from tutor.course.registry import all_steps


def main() -> None:
    files = ((ROOT / step.file("steps"), stubs.derive(step)) for step in all_steps())
    derived.update("Derive the stubs in steps/ from the solutions.", files)


if __name__ == "__main__":
    main()
