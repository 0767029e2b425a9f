"""The server, asked over loopback by the clients that people have."""

import asyncio
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import OpenAI

from tests.project.commands import assert_refused, run_child, start_child
from tests.project.courses import make_course, solve, step_file
from tutor import ROOT
from tutor.engine.generation import Engine
from tutor.serve.app import Service, make_app
from tutor.serve.model import prepare

pytestmark = pytest.mark.full("requests to a server")

MODEL = "fairy-tales"
ONCE: dict[str, Any] = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 12}
GREEDY = ONCE | {"temperature": 0}
STORY = json.loads((ROOT / "tests" / "golden" / "fairy-tales.json").read_text())["stories"][0]
SECONDS = 60  # for a server to start, on a machine that is busy


CLIENT = httpx.Client(timeout=SECONDS)


@contextmanager
def served(*options: str, course: Path = ROOT) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server on a free port: its address, and its process."""
    process = start_child("serve", "--port", "0", *options, course=course)
    assert process.stdout
    try:
        found = re.search(r"http://[\d.]+:\d+", process.stdout.readline().decode())
        assert found
        yield found[0], process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served("--slots", "4", "--queue", "12", "--max-tokens", "3000") as (found, _):
        yield found


def post(address: str, body: Any, **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CLIENT.post(f"{address}/v1/completions", content=content, **options)


def written(address: str, **fields: Any) -> dict[str, Any]:
    answer = post(address, GREEDY | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def events(text: str) -> list[Any]:
    """What the events of a stream say."""
    assert text.endswith("data: [DONE]\n\n")
    parts = text.split("\n\n")[:-2]
    assert all(part.startswith("data: ") for part in parts)
    return [json.loads(part[6:]) for part in parts]


def streamed(address: str, **fields: Any) -> list[Any]:
    answer = post(address, GREEDY | {"stream": True} | fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text)


def test_the_openai_client_gets_the_text_of_the_engine(address: str, engine: Engine) -> None:
    text = engine.write("Once upon a time", max_new_tokens=12, temperature=0)
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    asked: dict[str, Any] = {
        "model": MODEL,
        "prompt": "Once upon a time",
        "max_tokens": 12,
        "temperature": 0,
    }
    whole = client.completions.create(**asked)
    assert "Once upon a time" + whole.choices[0].text == text
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (4, 12)
    chunks = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(each.choices[0].text for each in chunks if each.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="other", prompt="x")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.completions.create(model=MODEL, prompt="x", temperature=3)


def test_langchain_gets_the_same_texts_whole_and_in_parts(address: str) -> None:
    given: dict[str, Any] = {"base_url": f"{address}/v1", "api_key": "none", "max_retries": 0}
    client = OpenAI(model=MODEL, temperature=0, max_tokens=12, **given)
    text = written(address)["choices"][0]["text"]
    assert client.invoke("Once upon a time") == text
    assert "".join(client.stream("Once upon a time")) == text
    assert client.batch(["Once upon a time", "The witch"])[0] == text
    drawing = OpenAI(model=MODEL, seed=3, n=2, best_of=2, max_tokens=12, **given)
    drawn = drawing.generate(["The witch"], stop=["."]).generations[0]
    asked: dict[str, Any] = {"prompt": "The witch", "temperature": 0.7, "seed": 3, "n": 2}
    choices = written(address, stop=["."], **asked)["choices"]
    assert [each.text for each in drawn] == [choice["text"] for choice in choices]


def test_curl_streams(address: str) -> None:
    body = json.dumps(GREEDY | {"stream": True})
    command = ["curl", "-sN", "-d", body, f"{address}/v1/completions"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("curl is not here")
    text = "".join(each["choices"][0]["text"] for each in events(answer.stdout))
    assert text == written(address)["choices"][0]["text"]


def test_rows_have_the_seeds_that_single_requests_would_have(address: str) -> None:
    many = written(address, n=3, seed=7, temperature=0.9)
    texts = [choice["text"] for choice in many["choices"]]
    single = [written(address, seed=7 + k, temperature=0.9) for k in range(3)]
    assert texts == [each["choices"][0]["text"] for each in single]
    assert len({*texts}) == 3
    assert many["usage"]["prompt_tokens"] == 4


def test_prompts_come_in_lists_and_as_token_ids(address: str) -> None:
    ids = written(address, prompt=[1, 2, 3])["choices"]
    assert written(address, prompt=[[1, 2, 3], [4]])["choices"][:1] == ids
    two = written(address, prompt=["Once upon a time", "The witch"], n=2)
    assert [choice["index"] for choice in two["choices"]] == [0, 1, 2, 3]
    assert two["choices"][0]["text"] == written(address)["choices"][0]["text"]
    alone = [written(address, prompt=each) for each in ("Once upon a time", "The witch")]
    prompts = [each["usage"]["prompt_tokens"] for each in alone]
    assert two["usage"]["prompt_tokens"] == sum(prompts)


def test_echo_and_logprobs(address: str) -> None:
    plain = written(address)["choices"][0]["text"]
    assert written(address, echo=True)["choices"][0]["text"] == "Once upon a time" + plain
    chunks = streamed(address, echo=True)
    assert "".join(each["choices"][0]["text"] for each in chunks) == "Once upon a time" + plain
    scores = written(address, logprobs=2)["choices"][0]["logprobs"]
    assert "".join(scores["tokens"]) == plain
    ends = [
        at + len(token) for at, token in zip(scores["text_offset"], scores["tokens"], strict=True)
    ]
    assert [0, *ends[:-1]] == scores["text_offset"]
    for chance, best in zip(scores["token_logprobs"], scores["top_logprobs"], strict=True):
        assert len(best) == 2
        assert chance == max(best.values()) <= 0
    parts = [each["choices"][0]["logprobs"] for each in streamed(address, logprobs=2)]
    assert [token for part in parts for token in part["tokens"]] == scores["tokens"]


@pytest.mark.parametrize("stop", [" king who", "ing wh", ["nowhere", "sons"], "\u00fc"])
def test_a_stop_text_is_cut_off_streamed_or_not(address: str, stop: Any) -> None:
    free = written(address, max_tokens=40)["choices"][0]["text"]
    places = [free.find(each) for each in ([stop] if isinstance(stop, str) else stop)]
    (cut,) = [place for place in places if place >= 0] or [len(free)]
    found = written(address, max_tokens=40, stop=stop)["choices"][0]
    assert found["text"] == free[:cut]
    chunks = streamed(address, max_tokens=40, stop=stop)
    assert "".join(each["choices"][0]["text"] for each in chunks) == free[:cut]
    assert chunks[-1]["choices"][0]["finish_reason"] == found["finish_reason"]


REFUSED: list[tuple[int, str | None, Any]] = [
    (400, None, b"{bad"),
    (400, None, b""),
    (400, None, b"[]"),
    (400, None, b'{"model": "\xff"}'),
    (400, "model", {"prompt": "x"}),
    (400, "prompt", {"model": MODEL}),
    (400, "prompt", ONCE | {"prompt": ""}),
    (400, "prompt", ONCE | {"prompt": []}),
    (400, "prompt", ONCE | {"prompt": ["a", 1]}),
    (400, "prompt", ONCE | {"prompt": [True]}),
    (400, "prompt", ONCE | {"prompt": [5000]}),
    (400, "prompt", ONCE | {"prompt": [-1]}),
    (400, "prompt", ONCE | {"prompt": "word " * 400}),
    (400, "prompt", ONCE | {"prompt": ["a"] * 5, "n": 4}),
    (400, "n", ONCE | {"n": 0}),
    (400, "n", ONCE | {"n": 1.5}),
    (400, "max_tokens", ONCE | {"max_tokens": 3001}),
    (400, "top_k", ONCE | {"top_k": 10_000}),
    (400, "stop", ONCE | {"stop": list("abcde")}),
    (400, "stop", ONCE | {"stop": [""]}),
    (400, "logprobs", ONCE | {"logprobs": 6}),
    (400, "logprobs", ONCE | {"logprobs": 1, "echo": True}),
    (400, "stream_options", ONCE | {"stream_options": {"include_usage": True}}),
    (400, "best_of", ONCE | {"best_of": 3}),
    (400, "logit_bias", ONCE | {"logit_bias": {"5": 1}}),
    (400, "suffix", ONCE | {"suffix": "end"}),
    (400, "temprature", ONCE | {"temprature": 1}),
    (404, "model", ONCE | {"model": "gpt2"}),
    (413, None, b" " * 1_100_000),
]


@pytest.mark.parametrize(("status", "param", "body"), REFUSED)
def test_a_bad_request_is_told_what_is_wrong(
    address: str, status: int, param: str | None, body: Any
) -> None:
    answer = post(address, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["message"]


def test_a_connection_that_pauses_stays_open(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    for pause in (0, 6):  # httpx drops a connection after 5 seconds: the server must not be first
        time.sleep(pause)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()


def test_null_counts_as_left_out(address: str) -> None:
    fields = "n", "stop", "stream", "seed", "top_p", "top_k", "logprobs", "user", "logit_bias"
    nothing = dict.fromkeys(fields)
    assert written(address, **nothing)["choices"] == written(address)["choices"]


def test_other_places_and_methods(address: str) -> None:
    for method, place, status in (
        ("GET", "/v1/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/models/gpt2", 404),
        ("POST", "/v1/chat/completions", 400),
    ):
        answer = CLIENT.request(method, address + place)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
        assert ("allow" in answer.headers) == (status == 405)
    assert CLIENT.get(f"{address}/healthz").json() == {"status": "ok"}
    page = CLIENT.get(address)
    assert "text/html" in page.headers["content-type"]
    assert MODEL in page.text


def test_texts_are_the_same_whatever_runs_beside_them(address: str) -> None:
    async def texts(clients: int) -> list[str]:
        gate = asyncio.Semaphore(clients)
        async with httpx.AsyncClient(timeout=SECONDS) as client:

            async def one(number: int) -> str:
                body = ONCE | {"seed": number, "temperature": 1, "max_tokens": 5 + 3 * number}
                async with gate:
                    answer = await client.post(f"{address}/v1/completions", json=body)
                return str(answer.json()["choices"][0]["text"])

            return await asyncio.gather(*map(one, range(16)))

    alone = asyncio.run(texts(1))
    assert all(asyncio.run(texts(clients)) == alone for clients in (4, 8, 16))


def test_too_many_are_told_to_come_again(address: str) -> None:
    async def ask() -> list[httpx.Response]:
        body = ONCE | {"max_tokens": 60, "temperature": 1, "seed": 3}
        async with httpx.AsyncClient(timeout=SECONDS) as client:
            asked = (client.post(f"{address}/v1/completions", json=body) for _ in range(30))
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(answer.headers["retry-after"] for answer in refused)
    assert len(answers) - len(refused) >= 16
    assert len({answer.text for answer in refused if answer.json()["error"]["code"]})


def metrics(address: str) -> dict[str, float]:
    lines = CLIENT.get(f"{address}/metrics").text.splitlines()
    return {n: float(v) for n, v in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def test_whoever_leaves_frees_the_slot(address: str) -> None:
    body = ONCE | {"max_tokens": 3000, "temperature": 2, "seed": 1, "n": 4, "stream": True}
    with (
        httpx.Client() as client,
        client.stream("POST", f"{address}/v1/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()  # kept: without it the response is closed
        next(lines)
        running = metrics(address)['tutor_rows{state="running"}']
    with pytest.raises(httpx.ReadTimeout):
        CLIENT.post(f"{address}/v1/completions", json=body | {"stream": False}, timeout=0.1)
    until = time.monotonic() + SECONDS
    while metrics(address)['tutor_rows{state="running"}'] and time.monotonic() < until:
        time.sleep(0.05)
    after = metrics(address)
    assert running > 0
    assert after['tutor_rows{state="running"}'] == after['tutor_rows{state="waiting"}'] == 0
    assert after["tutor_first_token_seconds_count"] > 0
    assert after['tutor_requests_total{status="200"}'] > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_texts_with_an_event(number: signal.Signals, code: int) -> None:
    with served("--max-tokens", "100000", "--slots", "1") as (address, process):
        body = ONCE | {"max_tokens": 100_000, "temperature": 2, "stream": True, "n": 16}
        with (
            httpx.Client(timeout=SECONDS) as client,
            client.stream("POST", f"{address}/v1/completions", json=body) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(number)
            *_, last = [line for line in lines if line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "stopped"
        assert process.wait(SECONDS) == code


def test_a_server_that_stops_takes_nothing_new(engine: Engine) -> None:
    service = Service(prepare(engine, MODEL), slots=1, queue=1, most_tokens=10)
    transport = httpx.ASGITransport(make_app(service))

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            before = await client.get("/healthz")
            service.is_stopping.set()
            after = await client.get("/healthz")
            return [before, after, await client.post("/v1/completions", json=GREEDY)]

    before, after, refused = asyncio.run(ask())
    assert (before.status_code, after.status_code, refused.status_code) == (200, 503, 503)
    assert refused.json()["error"]["code"] == "stopping"
    assert refused.headers["retry-after"]


def test_what_cannot_be_served_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(run_child("serve", "--port", str(port)), "port", str(port))
    assert_refused(run_child("serve", "--host", "256.0.0.1"), "256.0.0.1")
    assert_refused(run_child("serve", "--model", "nowhere/at-all"), "nowhere/at-all")


def test_a_llama_is_served_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTOR_KERNELS", "numpy")  # MAX would compile for a minute and more
    golden = json.loads((ROOT / "tests" / "golden" / "llama-tales.json").read_text())
    story = golden["stories"][0]
    with served("--model", "llama-tales") as (address, _):
        got = written(address, model="llama-tales", prompt=story["prompt"], max_tokens=40)
    assert story["prompt"] + got["choices"][0]["text"] == story["text"]


def solved(folder: Path, *names: str) -> Path:
    """A course in which these steps are the learner's own."""
    course = make_course(folder)
    (course / "models").symlink_to(ROOT / "models")
    solve(course, *names)
    return course


TWELVE = [str(number) for number in range(1, 13)]


@pytest.mark.parametrize(
    ("own", "stand_ins"),
    [
        (TWELVE, ["engine 04", "engine 06", "engine 07"]),
        ([*TWELVE, "e2", "e3", "e4", "e6"], ["engine 07"]),
        ([*TWELVE, "e2", "e3", "e4", "e6", "e7"], []),
    ],
)
def test_own_steps_are_served(tmp_path: Path, own: list[str], stand_ins: list[str]) -> None:
    course = solved(tmp_path, *own)
    with served("--tree", "steps", course=course) as (address, process):
        story = written(address)["choices"][0]["text"]
        process.terminate()
        process.wait(SECONDS)
        said = process.stderr.read().decode() if process.stderr else ""
    assert STORY["text"].startswith("Once upon a time" + story)
    for label in ("engine 04", "engine 06", "engine 07"):
        assert (label in said) == (label in stand_ins), said


def test_an_error_of_own_code_reaches_the_client(tmp_path: Path) -> None:
    course = solved(tmp_path, *TWELVE, "e2", "e3", "e4", "e6", "e7")
    file = step_file(course, "e6")
    text = file.read_text()
    broken = text.replace("        self.length += 1\n", "        self.length += 1 / 0\n")
    assert broken != text
    file.write_text(broken)
    with served("--tree", "steps", course=course) as (address, _):
        assert post(address, GREEDY).status_code == 503
        assert CLIENT.get(f"{address}/healthz").json() == {"status": "failed"}
        assert post(address, GREEDY).json()["error"]["code"] == "engine_failed"


def test_an_hour_of_clients_of_all_kinds_in_short() -> None:
    soak = ROOT / "benchmarks" / "soak.py"
    command = [sys.executable, str(soak), "--minutes", "0.4", "--clients", "12"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
