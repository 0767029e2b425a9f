"""A Dask scheduler and its workers, as real processes on the loopback interface."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from distributed import Client

from tests.project.attacks import until
from tutor import ROOT
from tutor.grade import bundles

SECONDS = 240  # that a process may take to start on a slow machine


class Place:
    """A folder for what a scheduler and its workers write; all of them end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._stack = folder, ExitStack()
        self.scheduler = self._start("scheduler", ROOT, "--host", "127.0.0.1", "--port", "0")
        self.address = str(json.loads(self._wait_for(self.file).read_text())["address"])

    @property
    def file(self) -> Path:
        return self.folder / "scheduler.json"

    @property
    def temporary(self) -> Path:
        """The folder that workers have for temporary files."""
        return self.folder / "of workers"

    def start_worker(self, course: Path = ROOT) -> "subprocess.Popen[bytes]":
        """A worker with one thread, of the course in a folder, once the scheduler knows it."""
        with Client(self.address, timeout=SECONDS, set_as_default=False) as client:
            count = len(client.nthreads())
            worker = self._start("worker", course, "--no-nanny", "--nthreads", "1")
            client.wait_for_workers(count + 1, timeout=SECONDS)
        return worker

    def close(self) -> None:
        self._stack.close()

    def _start(self, kind: str, course: Path, *options: str) -> "subprocess.Popen[bytes]":
        self.temporary.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", f"distributed.cli.dask_{kind}"),
                *("--scheduler-file", str(self.file), "--no-dashboard", *options),
            ],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(course), "TMPDIR": str(self.temporary)},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{kind}.log").open("ab"),
        )
        self._stack.callback(end, process)
        return process

    def _wait_for(self, file: Path) -> Path:
        for _ in until(SECONDS):
            if file.exists() and file.read_text():
                return file
            time.sleep(0.1)
        raise AssertionError([log.read_text() for log in self.folder.glob("*.log")])


def end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def other_course(folder: Path) -> Path:
    """A copy of the course with another oracle, which may give other grades."""
    for name, content in bundles.course_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "tests" / "oracle.py").open("a").write("# another\n")
    return folder
