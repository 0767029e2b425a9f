"""Derive the stubs in steps/ from the solutions.

python -m tools.course.make_stubs            write them
python -m tools.course.make_stubs --check    only tell which have changed; exit with 1 if any has
"""

from tools import derived
from tutor import ROOT
from tutor.course import registry as course
from tutor.course import stubs


def main() -> None:
    steps = course.all_steps()
    files = ((ROOT / step.file("steps"), stubs.derive(step.number)) for step in steps)
    derived.update("Derive the stubs in steps/ from the solutions.", files)


if __name__ == "__main__":
    main()
