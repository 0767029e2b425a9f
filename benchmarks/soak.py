"""Keep `tutor serve` busy for an hour with clients of all kinds; look for leaks and mistakes.

    python benchmarks/soak.py [--minutes 60] [--clients 12]

Whatever runs beside it, a text has to be the one that its seed gave alone. Clients that stream,
wait, read slowly, leave in the middle, or ask for what cannot be, come and go at random. The
command prints what they did and the server's memory, and ends with 1 if anything was wrong or lost,
or if the memory grew.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from timing import TUTOR, describe_cpu, environment

SEEDS = range(24)  # of different texts
PROMPTS = ("Once upon a time", "There was once a king", "The wolf said to the")
BAD = {  # requests that have to be refused, and how
    "{": 400,
    json.dumps({"model": "fairy-tales", "prompt": "x", "n": 0}): 400,
    json.dumps({"model": "gpt2", "prompt": "x"}): 404,
    " " * 1_100_000: 413,
}
SAMPLES = 60  # looks at the memory
WARM = 0.2  # of the time, in which the memory may still grow
GROWTH = 1.05  # of the memory from then on that is no leak
TIMEOUT = 600  # seconds that an answer may take, on a machine that is busy
LINE = 0.05  # seconds that a slow reader takes for a line


class Clients:
    """They send requests to a server until the time is over, and count what came of them."""

    def __init__(self, address: str) -> None:
        self.client = httpx.AsyncClient(base_url=address, timeout=TIMEOUT)
        self.texts: dict[int, str] = {}  # that each seed gives when nothing else runs
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.rng = random.Random(0)  # noqa: S311 (nothing is secret)

    def asked(self, seed: int, **more: Any) -> dict[str, Any]:
        given = {"prompt": PROMPTS[seed % len(PROMPTS)], "max_tokens": 5 + 4 * seed, "seed": seed}
        return {"model": "fairy-tales", "temperature": 0.8, **given, **more}

    async def learn(self) -> None:
        """Ask for each text alone."""
        for seed in SEEDS:
            answer = await self.client.post("/v1/completions", json=self.asked(seed))
            self.texts[seed] = answer.raise_for_status().json()["choices"][0]["text"]

    async def run(self, until: float) -> None:
        """One client after the other, each of a kind that chance picks."""
        kinds: list[Callable[[], Awaitable[str]]] = [
            self.waits,
            self.streams,
            self.streams,
            self.reads_slowly,
            self.leaves,
            self.asks_badly,
        ]
        while time.monotonic() < until:
            kind = self.rng.choice(kinds)
            try:
                self.counts[await kind()] += 1
            except (httpx.HTTPError, AssertionError, KeyError, ValueError) as error:
                self.wrong.append(f"{kind.__name__}: {error!r}")
            await asyncio.sleep(self.rng.random() / 10)

    async def waits(self) -> str:
        seed = self.rng.choice(SEEDS)
        answer = await self.client.post("/v1/completions", json=self.asked(seed))
        if answer.status_code == 429:
            return "was told to come again"
        assert answer.json()["choices"][0]["text"] == self.texts[seed], f"text of seed {seed}"
        return "waited for its text"

    async def streams(self, seconds: float = 0) -> str:
        seed, text, last = self.rng.choice(SEEDS), "", ""
        async with self._streamed(seed) as answer:
            if answer.status_code == 429:
                return "was told to come again"
            async for line in answer.aiter_lines():
                await asyncio.sleep(seconds)
                if line and (last := line.removeprefix("data: ")) != "[DONE]":
                    text += json.loads(last)["choices"][0]["text"]
        assert last == "[DONE]", "a stream without an end"
        assert text == self.texts[seed], f"streamed text of seed {seed}"
        return "read slowly" if seconds else "read a stream"

    async def reads_slowly(self) -> str:
        return await self.streams(LINE)

    async def leaves(self) -> str:
        async with self._streamed(SEEDS[-1]) as answer:
            if answer.status_code == 429:
                return "was told to come again"
            async for _ in answer.aiter_lines():
                if self.rng.random() < 0.2:
                    break
        return "left in the middle"

    async def asks_badly(self) -> str:
        body, status = self.rng.choice([*BAD.items()])
        answer = await self.client.post("/v1/completions", content=body)
        assert answer.status_code == status, f"{answer.status_code} in place of {status}"
        assert answer.json()["error"]["message"]
        return "was refused"

    def _streamed(self, seed: int) -> Any:
        return self.client.stream("POST", "/v1/completions", json=self.asked(seed, stream=True))


async def soak(address: str, process: int, seconds: float, clients: int) -> tuple[Clients, Any]:
    """What the clients found, and the server's memory in bytes at equal times after the warm-up."""
    found, memory = Clients(address), list[int]()
    await found.learn()
    start = time.monotonic()
    running = [asyncio.create_task(found.run(start + seconds)) for _ in range(clients)]
    with Progress(console=Console(stderr=True)) as progress:
        for look in progress.track(range(SAMPLES), description="soaking"):
            await asyncio.sleep(max(0, start + seconds * (look + 1) / SAMPLES - time.monotonic()))
            memory.append(psutil.Process(process).memory_info().rss)
    await asyncio.gather(*running)
    await found.client.aclose()
    await idle(found, address)
    return found, memory[int(WARM * SAMPLES) :]


async def idle(found: Clients, address: str) -> None:
    """Whether the server is well afterwards, and has forgotten all rows."""
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT) as client:
        for _ in range(100):
            lines = (await client.get("/metrics")).text.splitlines()
            rows = [line for line in lines if line.startswith("tutor_rows{")]
            if all(line.endswith(" 0.0") for line in rows):
                break
            await asyncio.sleep(0.1)
        else:
            found.wrong.append(f"rows that nobody waits for: {rows}")
        answer = await client.get("/healthz")
        if answer.status_code != 200:
            found.wrong.append(f"not well: {answer.text}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Keep a server busy, and look for leaks.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=12)
    options = parser.parse_args()
    command = [*TUTOR, "serve", "--port", "0", "--slots", "8", "--queue", "2"]
    with subprocess.Popen(
        command, env=environment(None), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        address = re.findall(r"http://[\d.:]+", process.stdout.readline())[0]
        try:
            asked = address, process.pid, 60 * options.minutes, options.clients
            found, memory = asyncio.run(soak(*asked))
            process.terminate()
            if code := process.wait(10):
                found.wrong.append(f"the server ended with {code}")
        finally:
            process.kill()
    quarter = len(memory) // 4
    before, after = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    if after > GROWTH * before:
        found.wrong.append(f"the memory grew from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
    table = Table("what a client did", "times")
    for name, count in found.counts.most_common():
        table.add_row(name, f"{count:,}")
    console = Console()
    console.print(describe_cpu(), table)
    console.print(f"Memory: {before / 1e6:.0f} MB first, {after / 1e6:.0f} MB last.")
    console.print(f"Wrong or lost: {len(found.wrong)}", *found.wrong[:10], sep="\n")
    return bool(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
