"""`max serve` with the architecture in examples/max_serve: its texts are those of our engine.

What MAX compiles is kept in build/max-serve, so only the first run takes minutes.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.browsers import lacking
from tutor import ROOT
from tutor.engine.generation import Engine

pytestmark = pytest.mark.full("requests to MAX's server")

MODEL = "fairy-tales"
MINUTES = 30  # for a first start, on a machine that is busy; it needs 3
MEMORY = 12_000_000  # KB of addresses, for each of its processes
PLACE = ROOT / "build" / "max-serve"
SCRIPT = ROOT / "examples" / "max_serve" / "serve.sh"
PROMPTS = ("Once upon a time", "The witch", "A king had three sons,", "“Alas!”")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
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
            wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60 * MINUTES
    while process.poll() is None and time.monotonic() < until:
        try:
            httpx.get(f"{address}/health")
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail((PLACE / "log").read_text()[-5000:])


def ask(address: str, **fields: Any) -> httpx.Response:
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0}
    return httpx.post(f"{address}/v1/completions", json=body | fields, timeout=60)


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


def message(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return answer.text


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
    prompts = [" ".join(PROMPTS[: 1 + number % 4]) for number in range(12)]
    with ThreadPoolExecutor(len(prompts)) as pool:
        found = pool.map(lambda prompt: text(ask(address, prompt=prompt, max_tokens=80)), prompts)
        written = [prompt + each for prompt, each in zip(prompts, found, strict=True)]
    assert written == [engine.write(prompt, max_new_tokens=80, temperature=0) for prompt in prompts]
