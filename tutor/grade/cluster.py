"""The workers of a Dask cluster as the place where submissions are graded.

The client reads each submission, in a process of its own as always, and sends what was read to a
worker with nothing else to do. It asks every worker first what it is: one that would grade in
another way gets nothing.
"""

import contextlib
import json
import logging
import queue
import secrets
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.text import Text

from tutor.check.sandbox.isolation import MEGABYTE, Isolation, Limits
from tutor.errors import EnvironmentBrokenError, InputError, reason
from tutor.grade import grades, worker
from tutor.grade.grades import Grade
from tutor.grade.here import Processes, failed
from tutor.grade.marking import Task, pack

if TYPE_CHECKING:
    from distributed import Client

AT_ONCE = 256  # submissions that are read or under way at a time
INTERVAL = 1.0  # seconds between two looks at the workers
CONNECTING = 20  # seconds that a scheduler may take to answer
WAITING = 600  # seconds that there may be no worker
TRIES = 3  # workers that may be lost with a submission before it is given up

MISSING = """\
--scheduler needs Dask, which is not installed; run `uv run --extra cluster tutor grade …`"""
GONE = """\
the scheduler at {} does not answer any more; start it and its workers again, and give the same \
command: finished grades are kept"""
NO_WORKER = """\
there is no worker at {} for {} minutes; start some with `dask worker`, and give the same command: \
finished grades are kept"""


@contextlib.contextmanager
def join(
    address: str, jobs: int, megabytes: int, *, run_as_root: bool = False
) -> Iterator["Cluster"]:
    """The workers of the scheduler at an address, or in a scheduler file, as soon as there is one.

    `local` stands for a scheduler that is started here, with as many workers as there are jobs.
    Raises InputError if no scheduler answers, EnvironmentBrokenError if no worker can grade.
    """
    if find_spec("distributed") is None:
        raise EnvironmentBrokenError(MISSING)
    logging.disable()  # what is wrong is told in our own words
    try:
        with connect(address, jobs) as client:
            cluster = Cluster(client, address, jobs, megabytes, run_as_root=run_as_root)
            try:
                cluster.wait()
                yield cluster
            finally:
                cluster.end()
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def connect(address: str, jobs: int) -> Iterator["Client"]:
    """A client of a scheduler."""
    from distributed import Client, LocalCluster

    class Member(Client):
        def __del__(self) -> None:
            """Say nothing of a connection that never was; the others are closed below."""

    with contextlib.ExitStack() as stack:
        place: Any = address
        if address == "local":
            place = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.CRITICAL + 1,
            )
            stack.callback(place.close, timeout=CONNECTING)
        try:
            if address.endswith(".json"):
                place = json.loads(Path(address).read_bytes())["address"]
            with warnings.catch_warnings(action="ignore"):  # on versions, which we compare
                client = Member(  # type: ignore[no-untyped-call]
                    place, timeout=CONNECTING, set_as_default=False
                )
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise InputError(
                f"no scheduler answers at {address} ({reason(error)}); check the address, or start "
                "one with `dask scheduler`"
            ) from None
        stack.callback(client.close, timeout=INTERVAL)
        yield client


class Cluster:
    """The workers of a scheduler: those that can grade have a seat for each of their threads."""

    def __init__(
        self, client: "Client", address: str, jobs: int, megabytes: int, *, run_as_root: bool
    ) -> None:
        self.at_once, self.kept_apart = AT_ONCE, ""
        self.isolation = Isolation(Limits(memory=megabytes * MEGABYTE))
        self._client, self._address = client, address
        self._how: dict[str, Any] = {"megabytes": megabytes, "run_as_root": run_as_root}
        self._run, self._versions = secrets.token_hex(8), worker.versions()
        self._processes, self._reading = Processes(), threading.Semaphore(jobs)
        self._workers: set[str] = set()  # those that can grade
        self._refused: dict[str, str] = {}  # the others, and why
        self._seats: queue.Queue[str] = queue.Queue()
        self._problem, self._seen = "", time.monotonic()  # when there was a worker last
        self._closing = threading.Event()

    @property
    def status(self) -> str:
        count = len(self._workers)
        return f"Grading on {count} worker{'s' * (count != 1)}"

    def wait(self) -> None:
        """Wait for a worker that can grade. Raises EnvironmentBrokenError if others are there."""
        while not self._workers:
            news = self._watch()
            if self._refused and not self._workers:
                self._problem = self._problem or news[0]
            self._go_on()
            time.sleep(0 if self._workers else INTERVAL)
        tell(news)
        threading.Thread(target=self._keep_watch, daemon=True).start()

    def mark(self, task: Task, number: int, temporary: str) -> Grade:
        file = Path(temporary) / f"{number}.json"
        with self._reading:
            said = self._processes.run("main_of_client", pack(task), temporary, str(file))
        if said is not None:
            return failed(task, said)
        if not file.exists():  # it is graded already
            return grades.load(task.file)
        for _ in range(TRIES):
            with self._seat() as address:
                answer = self._ask(address, file.read_bytes(), number)
            if answer is not None:
                file.unlink()
                return keep(task, *answer)
        return failed(task, f"{TRIES} workers were lost while they graded it")

    def end(self) -> None:
        self._closing.set()
        self._processes.end()
        if self._client.status == "running":
            with contextlib.suppress(Exception):  # else workers end what they have begun
                self._client.run(worker.stop, self._run, workers=[*self._workers])

    @contextlib.contextmanager
    def _seat(self) -> Iterator[str]:
        """A worker that has nothing to do."""
        address = ""
        while address not in self._workers:
            self._go_on()
            with contextlib.suppress(queue.Empty):
                address = self._seats.get(timeout=INTERVAL)
        try:
            yield address
        finally:
            self._seats.put(address)

    def _ask(self, address: str, message: bytes, number: int) -> tuple[bytes, str] | None:
        """What a worker answers; None if it was lost meanwhile."""
        future = self._client.submit(
            worker.mark, message, number, self._run, **self._how, workers=[address], pure=False
        )
        while address in self._workers:
            self._go_on()
            try:
                answer: tuple[bytes, str] = future.result(timeout=INTERVAL)
            except TimeoutError:
                continue
            except Exception:  # Dask has many names for it
                if self._client.status != "running":
                    self._fail(GONE.format(self._address))
                break
            return answer
        return None

    def _go_on(self) -> None:
        """Raise what keeps this run from going on, if anything does."""
        if self._processes.is_over:
            raise KeyboardInterrupt
        if self._problem:
            raise EnvironmentBrokenError(self._problem)

    def _keep_watch(self) -> None:
        while not self._closing.wait(INTERVAL) and not self._problem:
            tell(self._watch())

    def _watch(self) -> list[str]:
        """See who has come and who has gone; what is to be told of that."""
        try:
            there: dict[str, int] = self._client.nthreads()
            new = there.keys() - self._workers - self._refused.keys()
            found = self._look(new) if new else {}
        except Exception:  # Dask has many names for it
            self._fail(GONE.format(self._address))
            return []
        news = [self._lose(address) for address in sorted(self._workers - there.keys())]
        news += [self._judge(address, facts, there[address]) for address, facts in found.items()]
        if self._workers:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > WAITING:
            self._fail(NO_WORKER.format(self._address, WAITING // 60))
        return [*filter(None, news)]

    def _look(self, addresses: Iterable[str]) -> dict[str, Any]:
        """What these workers say of themselves, those first that keep code apart best."""
        found = self._client.run(worker.look, **self._how, workers=[*addresses], on_error="return")
        answers = {
            address: says for address, says in found.items() if not isinstance(says, OSError)
        }
        return dict(sorted(answers.items(), key=lambda each: (is_weak(each[1]), each[0])))

    def _judge(self, address: str, facts: Any, threads: int) -> str:
        """Let a worker grade, or say why it cannot."""
        if why := refusal(facts, self._versions, self.kept_apart):
            self._refused[address] = why
            return f"worker {address} gets nothing to do: it {why}"
        self.kept_apart = facts["isolation"]
        self._workers.add(address)
        for _ in range(1 if is_weak(facts) else threads):
            self._seats.put(address)
        return f"worker {address}: {facts['weakness']}" if is_weak(facts) else ""

    def _lose(self, address: str) -> str:
        """Give what a worker had begun to others."""
        self._workers.discard(address)
        return f"worker {address} is gone; others grade what it had begun"

    def _fail(self, problem: str) -> None:
        """Give up, for this reason."""
        self._problem = self._problem or problem


def tell(news: Iterable[str]) -> None:
    """Print what has changed on a cluster."""
    for line in news:
        Console(stderr=True, highlight=False).print(Text(line, style="yellow"), soft_wrap=True)


def is_weak(facts: Any) -> bool:
    """Whether a worker is without namespaces."""
    return not isinstance(facts, dict) or bool(facts.get("weakness"))


def refusal(facts: Any, versions: dict[str, str], kept_apart: str) -> str:
    """Why a worker that says this of itself cannot grade a class, or nothing."""
    if not isinstance(facts, dict):
        return f"cannot run this course: {reason(facts)}"
    for what, ours in versions.items():
        if (theirs := facts.get(what)) != ours:
            return f"has {what} {str(theirs)[:12]}, and this machine has {ours[:12]}"
    if facts.get("problem"):
        return f"cannot grade: {facts['problem']}"
    if kept_apart and facts["isolation"] != kept_apart:
        return f"keeps code apart by {facts['isolation']}, and others by {kept_apart}"
    return ""


def keep(task: Task, content: bytes, said: str) -> Grade:
    """Write the grade that came from a worker, if it is one."""
    if not content:
        return failed(task, said)
    try:
        grade = msgspec.json.decode(content, type=Grade)
    except msgspec.DecodeError as error:
        return failed(task, f"its grade cannot be read: {reason(error)}")
    is_theirs = grade.learner == task.source.learner
    if why := grades.fault(grade) if is_theirs else "it is the grade of another":
        return failed(task, f"what a worker sent is not to be used: {why}")
    grades.save(grade, task.file)
    return grade
