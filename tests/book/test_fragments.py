"""What the chapters include is what the course gives today."""

import os
import subprocess
import sys

from tutor import ROOT


def test_fragments_are_what_the_course_gives() -> None:
    command = [sys.executable, "tools/make_fragments.py", "--check"]
    finished = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
