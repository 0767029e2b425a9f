"""The thread that has the model to itself: it lets the rows of all jobs write side by side."""

import queue
import sys
import threading
import traceback
from typing import Any

from tutor.engine.trees import learners_code
from tutor.errors import InputError
from tutor.serve.jobs import Job


class StoppedError(Exception):
    """The server has stopped, or its engine has failed; the rest of a job is lost."""


class Worker(threading.Thread):
    """Takes jobs from a queue, and tells each about its rows' new tokens."""

    def __init__(self, batch: Any, tree: str) -> None:
        super().__init__(daemon=True, name="engine")
        self.batch, self.tree = batch, tree
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.owners: dict[Any, Job] = {}  # of rows that have not ended
        self.failed = ""
        self.is_cut = threading.Event()

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows are being written, and how many wait."""
        waiting = len(self.batch.waiting)
        return max(len(self.owners) - waiting, 0), waiting

    def run(self) -> None:
        try:
            with learners_code(self.tree):
                while self._take():
                    for row in self.batch.step():
                        self.owners[row].took(row)
                    self.owners = {row: job for row, job in self.owners.items() if not row.ended}
        except Exception as error:
            self.failed = str(error)
            if not isinstance(error, InputError):
                traceback.print_exc()
            print(f"tutor: the engine has failed: {error}", file=sys.stderr, flush=True)
            self._drop(StoppedError("the engine has failed; see the server's log"))

    def _take(self) -> bool:
        """Take new jobs; wait for one if there is nothing to do. Returns whether to continue."""
        while not self.owners or not self.jobs.empty() or self.is_cut.is_set():
            if self.is_cut.is_set():
                self._drop(StoppedError("the server has stopped"))
            job = self.jobs.get()
            if job is None:
                return False
            self.owners |= dict.fromkeys(job.rows, job)
            self.batch.waiting += job.rows
        return True

    def _drop(self, error: StoppedError) -> None:
        for job in {*self.owners.values()}:
            job.cancel()
            job.put(error)
        self.owners = {}
