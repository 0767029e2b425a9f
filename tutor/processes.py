"""Processes of this very Python that run this very course, whichever is installed."""

import sys

from tutor import ROOT

# The course is found in the folder that comes first, in which nothing else is to be imported.
BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); import tutor; del sys.path[0]; "


def command(code: str, *arguments: str) -> list[str]:
    """A command that runs Python code of the course; `arguments` are its sys.argv[1:]."""
    return [sys.executable, "-P", "-u", "-c", BOOT + code, str(ROOT), *arguments]
