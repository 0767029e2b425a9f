"""Derive the stubs in steps/ from the solutions.

python tools/make_stubs.py            write them
python tools/make_stubs.py --check    only tell which have changed; exit with 1 if any has
"""

from tools import derived
from tutor import ROOT, course, stubs


def main() -> None:
    steps = course.all_steps()
    files = ((ROOT / step.file("steps"), stubs.derive(step.number)) for step in steps)
    derived.update("Derive the stubs in steps/ from the solutions.", files)


if __name__ == "__main__":
    main()
