"""`max serve` with the architecture in examples/max_serve: its texts are those of our engine.

What MAX compiles is kept in build/max-serve, so only the first run takes minutes.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import psutil
import pytest

from tests.browsers import lacking
from tutor import ROOT
from tutor.engine.generation import Engine

pytestmark = pytest.mark.full("requests to MAX's server")

MODEL = "fairy-tales"
MINUTES = 15  # for a first start, on a machine that is busy; it needs 3
SECONDS = 60  # for an answer, or for the end
MEMORY = 12_000_000  # KB of addresses, for each of its processes
PLACE = ROOT / "build" / "max-serve"
SCRIPT = ROOT / "examples" / "max_serve" / "serve.sh"
PROMPTS = ("Once upon a time", "The witch", "A king had three sons,", "“Alas!”")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """Where it listens, and its first process."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on a free port of this machine, which ends with all of its processes."""
    bash = shutil.which("bash")
    if not (bash and shutil.which("uv")):
        lacking("bash or uv is not here")
    port = free_port()
    variables = {
        "MODULAR_MAX_CACHE_DIR": str(PLACE),
        "UV_NO_SYNC": "1",
        "UV_PROJECT_ENVIRONMENT": sys.prefix,
    }
    PLACE.mkdir(parents=True, exist_ok=True)
    command = f'ulimit -v {MEMORY}; exec "$0" "$@"'
    with (PLACE / "log").open("w+") as log:
        process = subprocess.Popen(
            [bash, "-c", command, SCRIPT, "models/fairy-tales", "--port", str(port)],
            env=os.environ | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            started = Server(port, process)
            wait_for(started)
            yield started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            with contextlib.suppress(ProcessLookupError):  # what is left of them
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def address(server: Server) -> str:
    return server.address


def wait_for(server: Server) -> None:
    until = time.monotonic() + 60 * MINUTES
    while server.process.poll() is None and time.monotonic() < until:
        try:
            httpx.get(f"{server.address}/health")
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail((PLACE / "log").read_text()[-5000:])


def ask(address: str, **fields: Any) -> httpx.Response:
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0}
    return httpx.post(f"{address}/v1/completions", json=body | fields, timeout=SECONDS)


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


def test_greedy_texts_are_those_of_the_engine(address: str, engine: Engine) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [MODEL]
    for prompt in PROMPTS:
        expected = engine.write(prompt, max_new_tokens=60, temperature=0)
        asked: dict[str, Any] = {"model": MODEL, "prompt": prompt, "max_tokens": 60}
        whole = client.completions.create(**asked, temperature=0)
        chunks = client.completions.create(**asked, temperature=0, stream=True)
        assert prompt + whole.choices[0].text == expected
        assert prompt + "".join(each.choices[0].text for each in chunks) == expected


def test_rows_of_a_batch_do_not_see_each_other(address: str, engine: Engine) -> None:
    prompts = [" ".join(PROMPTS[: 1 + number % 4]) for number in range(8)]
    with ThreadPoolExecutor(len(prompts)) as pool:
        found = pool.map(lambda prompt: text(ask(address, prompt=prompt, max_tokens=80)), prompts)
        written = [prompt + each for prompt, each in zip(prompts, found, strict=True)]
    assert written == [engine.write(prompt, max_new_tokens=80, temperature=0) for prompt in prompts]


def test_it_listens_on_this_machine_only_and_calls_nobody(server: Server) -> None:
    first = psutil.Process(server.process.pid)
    sockets = [x for one in (first, *first.children(recursive=True)) for x in one.net_connections()]
    assert {each.laddr for each in sockets} == {("127.0.0.1", server.port)}
    assert {each.raddr.ip for each in sockets if each.raddr} <= {"127.0.0.1"}


# What it does otherwise than ours, as the book has it


def test_seed_0_is_no_seed(address: str) -> None:
    def draw(seed: int) -> set[str]:
        return {text(ask(address, seed=seed, temperature=1)) for _ in range(4)}

    assert len(draw(7)) == 1
    assert len(draw(0)) > 1


def test_some_fields_change_nothing(address: str) -> None:
    plain = ask(address).json()["choices"]
    for fields in ({"n": 3}, {"logit_bias": {"5": 100}}, {"suffix": "x"}, {"echo": True}):
        assert ask(address, **fields).json()["choices"] == plain


def test_a_text_ends_with_its_window(address: str, engine: Engine) -> None:
    # Without max_tokens, there's no other end; ours would continue with half of the window.
    answer = ask(address, max_tokens=None, ignore_eos=True).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == engine.config.n_positions


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"temprature": 0}, 400, "temprature"),
        ({"prompt": [1, 4096]}, 400, "from 0 to 4095, but one is 4096"),
        ({"prompt": [1, -1]}, 400, "but one is -1"),
        ({"prompt": [1] * 257}, 400, "too long"),
        ({"logprobs": 2}, 400, "logprobs must be left out"),
        ({"temperature": 3}, 400, "Value error."),
        ({"model": "other"}, 400, "Value error."),
        ({"prompt": ["A", "B"], "stream": True}, 500, "Internal server error."),
    ],
)
def test_what_is_refused(address: str, fields: dict[str, Any], status: int, words: str) -> None:
    refused = ask(address, **fields)
    assert (refused.status_code, words in refused.text) == (status, True), refused.text
    assert text(ask(address))  # the server lives on


def test_other_places(address: str) -> None:
    found = {x: httpx.get(address + x).status_code for x in ("/health", "/healthz", "/metrics")}
    assert found == {"/health": 200, "/healthz": 404, "/metrics": 404}


def test_on_its_own_it_would_listen_everywhere_and_report() -> None:
    from max.serve.config import Settings

    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert (defaults["host"], defaults["metrics_port"]) == ("0.0.0.0", 8001)  # noqa: S104
    assert not defaults["disable_telemetry"]
