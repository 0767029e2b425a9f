"""Steps that try to fool or to harm whoever grades them: the stub of step 03, and an attack.

Each attack is bounded in itself, and aims at a target that was made for it, so that a guard that
fails costs nothing. What succeeds says so, or gets points.
"""

import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tutor.course import sources, stubs
from tutor.course.registry import find_step

SUCCESS = "BREACHED"  # what an attack prints when it succeeds
BOUND = 40  # seconds after which whatever goes on ends by itself
SOON = 10  # seconds after which nothing may go on any more


@dataclass
class Target:
    """What attacks aim at: a folder, a process, a port of this machine."""

    folder: Path
    pid: int
    port: int
    visitors: list[object] = field(default_factory=list)  # of the port

    @property
    def is_unharmed(self) -> bool:
        """Whether the folder is as it was, the process alive and the port unused."""
        kept = self.folder / "kept.txt"
        same = [*self.folder.iterdir()] == [kept] and kept.read_text() == "kept"
        status = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return same and status in "RS" and not self.visitors


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """A target in a new folder."""
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    sleep = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with subprocess.Popen(sleep) as process, socket.create_server(("127.0.0.1", 0)) as server:
        made = Target(folder, process.pid, server.getsockname()[1])
        threading.Thread(target=listen, args=(server, made.visitors), daemon=True).start()
        try:
            yield made
        finally:
            process.kill()


def listen(server: socket.socket, visitors: list[object]) -> None:
    """Note who connects, until the server is closed."""
    while True:
        try:
            visitors.append(server.accept()[1])
        except OSError:
            return


def have_ended(word: str) -> bool:
    """Whether all processes end soon on whose command line a word stands; the kernel takes time."""
    for _ in until(SOON):
        if not processes(word):
            return True
        time.sleep(0.1)
    return False


def until(seconds: float) -> Iterator[None]:
    """Go on for so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def processes(word: str) -> list[int]:
    """The processes on whose command line a word stands."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if word.encode() in command:
            found.append(int(file.parent.name))
    return found


def step(aim: Target, code: str, start: str = "") -> str:
    """The stub of step 03, or another text, with an attack below."""
    aims = f"FOLDER, PID, PORT, BOUND = {str(aim.folder)!r}, {aim.pid}, {aim.port}, {BOUND}\n"
    prelude = PRELUDE.replace("SUCCESS", repr(SUCCESS))
    return (start or stubs.derive(find_step("3"))) + aims + prelude + textwrap.dedent(code)


def in_forward(aim: Target, code: str) -> str:
    """The solution of step 03 with an attack in its forward pass."""
    solution = sources.reference(find_step("3"), "steps")
    body = "        return F.layer_norm("
    assert body in solution
    attack = textwrap.indent(textwrap.dedent(code).strip(), " " * 8)
    return step(aim, "", solution.replace(body, f"{attack}\n{body}"))


PRELUDE = '''
import builtins, ctypes, gc, importlib, json, os, resource, struct, sys, threading, time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

def breached(what):
    print(SUCCESS, what, flush=True)

def become(text):
    """Become the solution, if a text is one."""
    if "F.layer_norm(" in text and "raise NotImplementedError" not in text:
        exec(text[text.index("class LayerNorm") :], globals())

def sockets():
    """The descriptors of the connection, as of any other socket."""
    names = os.listdir("/proc/self/fd")
    links = {name: f"/proc/self/fd/{name}" for name in names}
    return [
        int(name) for name, link in links.items()
        if os.path.lexists(link) and os.readlink(link).startswith("socket")
    ]

def say(body):
    """Say something to whoever is at the other end, as an answer."""
    for descriptor in sockets():
        left = struct.pack("!i", len(body)) + body
        while left:
            left = left[os.write(descriptor, left) :]

def until(seconds=BOUND):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
'''

# What looks for the answers, or takes what all share. Only namespaces keep it from that.
READS = {
    "imports-the-solution": """
        for name in ("solutions.solution_03", "solutions", "tutor.course.sources",
                     "tutor.course.stubs"):
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            become(Path(module.__file__).read_text())
            breached(name)
        """,
    "imports-the-oracle": """
        for name in ("tests.oracle", "tests.test_step_03", "tests.samples", "tests.conftest"):
            try:
                importlib.import_module(name)
            except ImportError:
                continue
            breached(name)
        """,
    "imports-past-the-finder": """
        from importlib.machinery import PathFinder, SourceFileLoader
        import tutor
        sys.meta_path[:] = [PathFinder]
        sys.path.insert(0, str(Path(tutor.__file__).parents[1]))
        importlib.invalidate_caches()
        for name in ("solutions.solution_03", "tests.oracle", "tutor.grade.marking"):
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            become(Path(module.__file__).read_text())
            breached(name)
        """,
    "reads-beside-the-course": """
        import tutor
        places = [tutor.__file__, *sys.path, *sys.argv, sys.prefix, os.environ.get("PWD", "")]
        for place in filter(None, places):
            for above in Path(place).parents:
                for file in (above / "solutions" / "solution_03.py", above / "tests" / "oracle.py"):
                    if file.exists():
                        breached(file)
                        become(file.read_text())
        """,
    "reads-what-is-mounted": """
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            for place in line.split()[3:5]:
                for above in (Path(place), *Path(place).parents):
                    file = above / "solutions" / "solution_03.py"
                    if file.exists():
                        breached(file)
                        become(file.read_text())
        """,
    "walks-the-disk": """
        watch = until(6)
        wanted = {"solution_03.py", "step_03.toml", "test_step_03.py", ".git"}
        for root in ("/", "/proc/1/root", "/proc/self/cwd"):
            for folder, inner, names in os.walk(root):
                for name in wanted & {*names, *inner}:
                    breached(f"{folder}/{name}")
                inner[:] = {*inner} - {"proc", "sys", "usr", "lib", "lib64", "bin", "sbin"}
                if next(watch, 1) == 1:
                    break
        """,
    "reads-the-mistakes": """
        import tomllib, tutor
        place = Path(tutor.__file__).parent / "exercises"
        for file in place.glob("*"):
            breached(file)
        if (place / "step_03.toml").exists():
            entries = tomllib.loads((place / "step_03.toml").read_text())
            body = entries["mistakes"]["other names"]["old"]
            head = "class LayerNorm(Module[[Tensor], Tensor]):"
            become(f"{head}\\n    def __init__(self, dim, *, eps=1e-5):\\n        {body}")
        """,
    "reads-git": """
        import tutor
        for above in Path(tutor.__file__).parents:
            if (above / ".git").exists():
                breached(above)
        """,
    "uncovers-what-is-hidden": """
        import tutor
        place = Path(tutor.__file__).parent / "exercises"
        given = [line.split()[4] for line in open("/proc/self/mountinfo") if "/given " in line]
        for folder in map(str.encode, (str(place), *given, "/proc/sys")):
            libc.syscall(442, -100, folder, 0, struct.pack("QQQQ", 0, 1, 0, 0), 32)  # writable
            if not libc.syscall(166, folder, 2):  # taken off
                breached(folder)
        for number in (428, 430):  # copied, or made anew
            if libc.syscall(number, -100, b"/usr", 1) > 0:
                breached(number)
        for folder in given:
            try:
                Path(folder, "marker").write_text("x")
                breached(folder)
            except OSError:
                pass
        for file in place.glob("*"):
            breached(file)
        """,
    "sets-the-kernel": """
        for name in ("core_pattern", "hostname", "threads-max", "../vm/drop_caches"):
            try:
                open(f"/proc/sys/kernel/{name}", "r+").close()
                breached(name)
            except OSError:
                pass
        """,
    "writes-into-the-course": """
        import tutor
        root = Path(tutor.__file__).parents[1]
        for place in (root, root / "tutor", root / "tests", root / "steps", Path(__file__).parent,
                      Path(sys.prefix), Path("/usr"), Path("/")):
            if place.exists() and os.access(place, os.W_OK):
                breached(place)
        """,
    "deletes-others": """
        import shutil
        if os.path.exists(FOLDER):
            breached(FOLDER)
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER, exist_ok=True)
        Path(FOLDER, "kept.txt").write_text("changed")
        """,
    "reads-memory": """
        for pid in {os.getppid(), PID, 1} - {os.getpid(), 0}:
            for name in ("environ", "mem", "fd/0", "root", "cwd"):
                if os.access(f"/proc/{pid}/{name}", os.R_OK):
                    breached(f"{pid} {name}")
        """,
    "makes-many-files": """
        home = Path(os.environ["HOME"])
        try:
            for count in range(10_000):
                (home / str(count)).mkdir() if count % 2 else (home / str(count)).touch()
            breached(count)
        except OSError:
            pass
        """,
    "goes-on-when-memory-is-short": """
        try:
            Path("/proc/self/oom_score_adj").write_text("0")
        except OSError:
            pass
        if Path("/proc/self/oom_score_adj").read_text().strip() != "1000":
            breached("it")
        """,
    "fills-what-hides": """
        import tutor
        ours = Path(tutor.__file__).parent
        for place in (ours.parent, ours / "exercises", ours / "grade", Path("/dev/shm")):
            for count in range(5):
                try:
                    (place / f"filled-{count}").write_bytes(bytes(15 * 2**20))
                    breached(place)
                except OSError:
                    break
        """,
}

# What has to come to nothing with namespaces and without.
HOLDS = {
    "looks-at-frames": """
        frames = [*sys._current_frames().values()]
        try:
            raise ValueError
        except ValueError as error:
            frames.append(error.__traceback__.tb_frame)
        for frame in frames:
            while frame:
                for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
                    name = getattr(value, "__name__", "")
                    if str(name).startswith(("tests.", "solutions.")):
                        breached(name)
                    if type(value) is str and "class LayerNorm" in value:
                        become(value)
                frame = frame.f_back
        """,
    "looks-through-gc": """
        for each in gc.get_objects():
            values = list(each.values()) if type(each) is dict else []
            for value in values:
                if type(value) is str and "class LayerNorm" in value:
                    become(value)
            if str(getattr(each, "__module__", "")).startswith(("tests.", "solutions.")):
                breached(each)
        """,
    "patches-pytest": """
        import pytest, unittest, unittest.mock
        pytest.main = lambda *_, **__: 0
        pytest.approx = pytest.raises = unittest.mock.MagicMock()
        for name in ("Function", "Item", "Session"):
            getattr(pytest, name).runtest = lambda self: None
        builtins.AssertionError = ()
        """,
    "patches-numpy": """
        import numpy as np
        np.abs = np.isfinite = np.where = lambda *given, **_: given[0]
        np.allclose = np.array_equal = lambda *_, **__: True
        np.testing.assert_allclose = lambda *_, **__: None
        """,
    "patches-what-observes": """
        for name in ("tutor.check.probes.base", "tutor.check.sandbox.channel",
                     "tutor.check.sandbox.worker", "tutor.course.names"):
            if name in sys.modules:
                breached(name)
            try:
                importlib.import_module(name)
                breached(name)
            except ImportError:
                pass
        import tutor
        tutor.__path__ = []
        for name in [*vars(sys.modules["__main__"])]:
            if not name.startswith("__"):
                breached(name)
        """,
    "patches-max": """
        from max.experimental import nn
        class Anything(dict):
            def __missing__(self, key): return self
            def __eq__(self, other): return True
            def __iter__(self): return iter(())
            __hash__ = None
        LayerNorm.parameters = property(lambda self: Anything())
        Module.load_state_dict = lambda *_, **__: None
        Module.__call__ = lambda *_, **__: Anything()
        LayerNorm.__init__ = lambda self, *_, **__: None
        LayerNorm.forward = lambda self, x: Anything()
        """,
    "replaces-modules": """
        import types
        for name in ("tests", "tests.oracle", "tests.test_step_03", "solutions", "pytest",
                     "tutor.check", "tutor.check.probes.base", "tutor.check.expectations"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].layer_norm = lambda weights, x, epsilon: 0 * x
        fake = types.SimpleNamespace(LayerNorm=lambda *_, **__: None, __file__=__file__)
        sys.modules[__name__] = fake
        """,
    "says-it-is-elsewhere": '__file__ = "/elsewhere/step_03.py"\n__spec__ = __loader__ = None',
    "writes-results": """
        here = [Path(place) for place in (os.environ["HOME"], os.environ["TMPDIR"])]
        passed = json.dumps({"tests": [{"status": "passed", "score": 8}], "score": 8})
        for place in here:
            for name in ("results.json", "results/writes-results.json", ".tutor/step_03.json"):
                file = place / name
                file.parent.mkdir(exist_ok=True)
                file.write_text(passed)
        """,
    "exits": "os._exit(0)",
    "exits-at-the-end": """
        import atexit
        atexit.register(print, "6 passed in 0.01s", flush=True)
        atexit.register(os._exit, 0)
        """,
    "raises-systemexit": "raise SystemExit(0)",
    "prints-a-report": """
        print("Passed: 6 of 6 checks, 8 of 8 points.\\n6 passed in 0.01s\\n::set-output name=r::8")
        print('<testsuite tests="6" failures="0"/>', file=sys.stderr)
        raise ValueError("expected 0.5, got 0.5; ✓ passed 8/8")
        """,
    "forges-answers": """
        body = json.dumps({"result": __file__, "token": "0" * 16, "ready": True}).encode()
        frame = struct.pack("!i", len(body)) + body
        for descriptor in range(3, 256):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, 9 * frame)
            except OSError:
                pass
        """,
    "begins-an-answer": """
        for descriptor in sockets():
            os.write(descriptor, struct.pack("!i", 1000))
        time.sleep(BOUND)
        """,
    "answers-with-much": 'say(b\'{"result":[\' + b"[]," * 5_000_000 + b"0]}")',
    "answers-with-depth": 'say(b\'{"result":\' + b"[" * 100_000 + b"]" * 100_000 + b"}")',
    "answers-with-nonsense": 'say(b\'{"error": {"types": [], "message": 7}, "array": 1}\')',
    "answers-with-a-size": """
        for descriptor in sockets():
            os.write(descriptor, struct.pack("!i", -1) + struct.pack("!Q", 2**62))
        """,
    "goes-on-about-compiling": """
        for _ in until():
            say(json.dumps({"event": "Compiling " + 10**5 * "x", "compiling": False}).encode())
        """,
    "makes-up-where-it-was": """
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, b'File "' * 20_000)
            except OSError:
                pass
        os._exit(1)
        """,
    "lies": """
        class Liar:
            __class__ = Module
            __name__ = property(lambda self: self)
            def __getattr__(self, name): return self
            def __call__(self, *_, **__): return self
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            def __hash__(self): return 0
            def __iter__(self): return iter([("weight", self), ("bias", self)])
            def __array__(self, *_, **__): return self
            def __repr__(self): return "the expected value"
        LayerNorm = Liar()
        """,
    "raises-what-cannot-be-shown": """
        class Silent(Exception):
            def __str__(self): raise SystemExit(0)
            __repr__ = __str__
        raise Silent
        """,
    "raises-what-is-long": """
        raise type("Long" * 10**6, (ValueError,), {})("line\\n" * 10**6)
        """,
    "raises-what-others-mean": """
        class EnvironmentBrokenError(BaseException): pass
        class NotStartedError(EnvironmentBrokenError, KeyboardInterrupt): pass
        raise NotStartedError("\\x1b[2J\\udcff\\0 tutor doctor")
        """,
    "forks": """
        def leave():
            Path(FOLDER, "marker").write_text("x")
            time.sleep(BOUND)
            os._exit(0)
        def twice():
            if not os.fork():
                os.setsid()
                if not os.fork():
                    leave()
                os._exit(0)
        def raw(number, *given):
            made = libc.syscall(number, *given)
            if not made:
                leave()
            return made > 0
        import multiprocessing, subprocess
        marker = [sys.executable, "-c", f"open({FOLDER + '/marker'!r}, 'w')"]
        for start in (
            twice,
            lambda: raw(56, 17, 0, 0, 0, 0),
            lambda: raw(435, struct.pack("11Q", *[0] * 4, 17, *[0] * 6), 88),
            lambda: subprocess.run(marker),
            lambda: os.posix_spawn(marker[0], marker, {}),
            lambda: os.execv(marker[0], marker),
            lambda: os.system(f"touch {FOLDER}/marker"),
            lambda: multiprocessing.get_context("fork").Process(target=leave).start(),
        ):
            try:
                if start() not in (False, -1, 32512):
                    breached(start)
            except OSError:
                pass
        """,
    "outlives": """
        libc.prctl(1, 0, 0, 0, 0)  # no signal when the parent dies
        for leave in (os.setsid, os.setpgrp):
            try:
                leave()
                breached(leave)
            except OSError:
                pass
        os._exit = lambda code: time.sleep(BOUND)
        time.sleep(BOUND)
        """,
    "makes-threads": """
        threading.stack_size(2**26)  # mapped, not touched
        made = []
        while len(made) < 300:
            made.append(threading.Thread(target=time.sleep, args=(BOUND,), daemon=True))
            made[-1].start()
        breached(len(made))
        """,
    "makes-processes": """
        for _ in range(300):
            if not os.fork():
                time.sleep(BOUND)
                os._exit(0)
            breached("fork")
        """,
    "kills": """
        import fcntl, signal
        def ask_for_signal():
            reader, writer = os.pipe()
            fcntl.fcntl(reader, fcntl.F_SETOWN, PID)
            fcntl.fcntl(reader, 10, signal.SIGKILL)
            fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)
            os.write(writer, b"x")
        for kill in (
            lambda: os.kill(PID, signal.SIGKILL),
            lambda: os.kill(-1, 0),
            lambda: os.kill(os.getppid(), 0),
            lambda: os.kill(1, 0),
            lambda: os.killpg(0, 0),
            lambda: signal.pidfd_send_signal(os.pidfd_open(PID), signal.SIGKILL),
            ask_for_signal,
            lambda: os.setpriority(os.PRIO_PROCESS, PID, 19),
        ):
            try:
                kill()
                breached(kill)
            except OSError:
                pass
        for number, given in {200: (PID, 9), 234: (PID, PID, 9), 129: (PID, 9, bytes(128))}.items():
            if not libc.syscall(number, *given):
                breached(number)
        """,
    "changes-rights": """
        import tutor
        for place in (Path(FOLDER, "kept.txt"), Path(tutor.__file__), Path(FOLDER), Path(__file__)):
            for change in (
                lambda: os.chmod(place, 0o777),
                lambda: os.utime(place),
                lambda: os.chown(place, os.getuid(), os.getgid()),
                lambda: os.setxattr(place, "user.x", b"x"),
            ):
                try:
                    change()
                    breached(place)
                except OSError:
                    pass
        """,
    "fills-memory": """
        huge = []
        for _ in range(40 + 3 * os.cpu_count()):  # what is mapped counts, touched or not
            huge.append(bytearray(50 * 2**20))
        breached("memory")
        """,
    "fills-the-disk": """
        home = Path(os.environ["HOME"])
        for count in range(3000):
            (home / f"small-{count}").write_text("")
        try:
            with open(home / "sparse", "wb") as file:
                file.truncate(2**30)
            breached("a file of 1 GB")
        except OSError:
            pass
        for count in range(10):
            (home / f"large-{count}").write_bytes(bytes(15 * 2**20))
        """,
    "floods-the-output": """
        for _ in range(64):
            print("x" * 2**20)
        breached("output")
        """,
    "loops": "for _ in until(): pass",
    "sleeps": "time.sleep(BOUND)",
    "recurses": """
        sys.setrecursionlimit(10**6)
        nested = []
        for _ in range(10**5):
            nested = [nested]
        repr(nested)
        """,
    "crashes": "ctypes.string_at(0)",
    "uses-the-network": """
        import socket, urllib.request
        for number in (41, 53):  # socket; a pair of them leads nowhere
            made = libc.syscall(number, 2, 1, 0, None)
            if made >= 0:
                breached(number)
        for reach in (
            lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2),
            lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=2),
            lambda: socket.socket(socket.AF_UNIX),
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        ):
            try:
                reach()
                breached("network")
            except OSError:
                pass
        """,
    "raises-its-limits": """
        infinite = struct.pack("QQ", 2**64 - 1, 2**64 - 1)
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
            for raise_it in (
                lambda: resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2),
                lambda: resource.prlimit(0, kind, (resource.RLIM_INFINITY,) * 2),
                lambda: resource.prlimit(PID, kind, (1, 1)),
            ):
                try:
                    raise_it()
                    breached(kind)
                except (OSError, ValueError):
                    pass
            for call in ((160, kind, infinite), (302, 0, kind, infinite, None)):
                if not libc.syscall(*call):
                    breached(call)
        """,
}

# The step itself is right, so that all before the attack counts.
FORWARD = {
    "exits-in-forward": "import os; os._exit(0)",
    "raises-systemexit-in-forward": "raise SystemExit(0)",
    "loops-in-forward": "for _ in until(): pass",
}


def attacks(aim: Target) -> dict[str, str]:
    """The texts of all of these as step 03, by name."""
    return {name: step(aim, code) for name, code in (READS | HOLDS).items()} | {
        name: in_forward(aim, code) for name, code in FORWARD.items()
    }
