"""Time two servers of the same model, with 1 to 16 clients: `tutor serve` and `max serve`.

    python benchmarks/serving.py [--model models/fairy-tales] [--clients 1 4 8 16]

One server runs at a time. For each number of clients, it gets the same 16 requests of up to 100
tokens, at temperature 0.8, and streams the answers. At its first start, `max serve` compiles.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import openai
from rich.console import Console
from rich.table import Table
from timing import TUTOR, describe_cpu, environment

from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL

BATCH = 16  # texts that a server writes side by side
REQUESTS = 16
TOKENS = 100  # at most, of each
SECONDS = 900  # that a server may take to start
PROMPTS = ("Once upon a time", "The witch", "A king had three sons", "One evening the wolf")
MAX_SERVE = str(ROOT / "examples" / "max_serve" / "serve.sh")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time `tutor serve` and `max serve`.")
    parser.add_argument("--model", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8, 16])
    options = parser.parse_args()
    folder = str(options.model.resolve())
    servers = {
        "tutor serve": [*TUTOR, "serve", "--model", folder, "--slots", str(BATCH)],
        "max serve": [MAX_SERVE, folder, "--max-batch-size", str(BATCH)],
    }
    table = Table("server", "start, s", "clients", "tokens/s", "first token, ms")
    for name, command in servers.items():
        for row in asyncio.run(measure(command, options.model.name, options.clients)):
            table.add_row(name, *row)
        table.add_section()
    Console().print(describe_cpu(), f"MAX {version('max')}", table, sep="\n")


async def measure(command: list[str], model: str, counts: list[int]) -> list[list[str]]:
    """A row for each number of clients: start, clients, tokens/s, median ms to the first token."""
    begun, rows = time.perf_counter(), []
    async with serving(command) as client:
        start = time.perf_counter() - begun
        await ask(client, model, 0)  # the first request isn't like the others
        for clients in counts:
            begun = time.perf_counter()
            tokens, firsts = zip(*await ask_all(client, model, clients), strict=True)
            rate = sum(tokens) / (time.perf_counter() - begun)
            first = 1000 * statistics.median(firsts)
            rows.append([f"{start:.1f}", str(clients), f"{rate:.0f}", f"{first:.0f}"])
    return rows


@asynccontextmanager
async def serving(command: list[str]) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of a server that has started, on a free port; it ends with all of its processes."""
    with socket.socket() as one, socket.socket() as two:
        for found in (one, two):
            found.bind(("127.0.0.1", 0))
        port, metrics = (found.getsockname()[1] for found in (one, two))
    variables = environment(None) | {"MAX_SERVE_METRICS_ENDPOINT_PORT": str(metrics)}
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}/v1"
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    try:
        await until_ready(client, process)
        yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


async def until_ready(client: openai.AsyncOpenAI, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server names its models."""
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            await client.models.list()
        except openai.APIConnectionError:
            await asyncio.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} has not started, code {process.returncode}")


async def ask_all(client: openai.AsyncOpenAI, model: str, clients: int) -> list[tuple[int, float]]:
    """What `ask` returns for each request, with so many running at a time."""
    gate = asyncio.Semaphore(clients)

    async def one(number: int) -> tuple[int, float]:
        async with gate:
            return await ask(client, model, number)

    return await asyncio.gather(*map(one, range(REQUESTS)))


async def ask(client: openai.AsyncOpenAI, model: str, number: int) -> tuple[int, float]:
    """The tokens of a text, and the seconds until the first one."""
    begun, first, tokens = time.perf_counter(), 0.0, 0
    async for chunk in await client.completions.create(
        model=model,
        prompt=PROMPTS[number % len(PROMPTS)],
        max_tokens=TOKENS,
        temperature=0.8,
        seed=number + 1,  # MAX takes 0 for none
        stream=True,
        stream_options={"include_usage": True},
    ):
        first = first or time.perf_counter() - begun
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return tokens, first


if __name__ == "__main__":
    main()
