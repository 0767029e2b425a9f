"""Derive the stubs in steps/ from the solutions.

python tools/make_stubs.py            write them
python tools/make_stubs.py --check    only tell which have changed; exit with 1 if any has
"""

import argparse

from tutor import ROOT, course, stubs


def main() -> None:
    parser = argparse.ArgumentParser(description="Derive the stubs in steps/ from the solutions.")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what changed")
    only_check = parser.parse_args().check
    changed = []
    for step in course.all_steps():
        file, stub = ROOT / step.file("steps"), stubs.derive(step.number)
        if not file.exists() or file.read_text() != stub:
            changed.append(step.file("steps"))
            if not only_check:
                file.write_text(stub)
    for name in changed:
        print(f"{name} {'is not what its solution gives' if only_check else 'written'}")
    if changed and only_check:
        raise SystemExit("changed, please run: uv run python tools/make_stubs.py")


if __name__ == "__main__":
    main()
