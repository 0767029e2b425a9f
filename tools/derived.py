"""What the tools share whose files can be derived again at any time."""

import argparse
import operator
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tutor import ROOT


def update(
    what: str,
    derived: Iterable[tuple[Path, str]],
    *,
    found: Iterable[Path] = (),
    same: Callable[[str, str], bool] = operator.eq,
) -> None:
    """Write the files whose text has changed, and remove those found that are derived no more.

    With --check on the command line, only tell which these are, and exit with 1 if there are any.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what changed")
    only_check = parser.parse_args().check
    texts = dict(derived)
    outdated = sorted(set(found) - set(texts))
    for file in outdated:
        print(f"{file.relative_to(ROOT)} {'is derived no more' if only_check else 'removed'}")
        if not only_check:
            file.unlink()
    changed = [file for file, text in texts.items() if not has(file, text, same)]
    for file in changed:
        print(f"{file.relative_to(ROOT)} {'is not what is derived' if only_check else 'written'}")
        if not only_check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(texts[file], encoding="utf-8")
    if only_check and (outdated or changed):
        spec = sys.modules["__main__"].__spec__  # python -m leaves the name of the module there
        tool = spec.name if spec else sys.argv[0]
        raise SystemExit(f"changed, please run: uv run --extra dev python -m {tool}")


def has(file: Path, text: str, same: Callable[[str, str], bool]) -> bool:
    """Whether a file is there with this text."""
    return file.exists() and same(file.read_text(encoding="utf-8"), text)
