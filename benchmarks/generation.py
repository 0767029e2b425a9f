"""Time generation at the sizes of GPT-2 124M, with random weights, beside other engines.

    python benchmarks/generation.py [--rounds 3] [--output build/generation]

Each engine runs in processes of its own, one after the other, in several rounds; the table has
medians. An engine that is not installed is left out. Writes JSON and a plot beside the table.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from safetensors.numpy import save_file

from tutor import ROOT

SIZES = {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}
POSITIONS = (50, 250, 500, 750, 1000)  # where the time of a token is measured
FEW, NEW, LONG, BATCH = 4, 32, 512, 8

# A function that generates so many tokens, greedily, after prompts of one length: [B, T].
Generate = Callable[[np.ndarray[Any, Any], int], object]


def course(folder: Path, dtype: str = "float32", cache: bool = True) -> Generate:
    from tutor.engine.generation import load_engine
    from tutor.engine.loops import Options

    engine = load_engine(str(folder), dtype=dtype, cache=cache)

    def generate(prompts: np.ndarray[Any, Any], count: int) -> object:
        stories = [engine.story(prompt.tolist(), 0) for prompt in prompts]
        return list(engine.run(stories, Options(count, temperature=0, stop_at_eos=False)))

    return generate


def transformers(folder: Path, cache: bool = True) -> Generate:
    import torch
    from transformers import GPT2LMHeadModel

    torch.set_num_threads(os.cpu_count() or 1)
    model = GPT2LMHeadModel.from_pretrained(folder).eval()

    def generate(prompts: np.ndarray[Any, Any], count: int) -> object:
        with torch.no_grad():
            return model.generate(
                torch.from_numpy(prompts),
                attention_mask=torch.ones(prompts.shape, dtype=torch.int64),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=False,
                use_cache=cache,
                pad_token_id=0,
            )

    return generate


def ctranslate2(folder: Path, kind: str) -> Generate:
    import ctranslate2 as library

    converted = folder / f"ctranslate2-{kind}"
    model = library.Generator(
        str(converted), compute_type=kind, inter_threads=1, intra_threads=os.cpu_count() or 1
    )
    names = json.loads((converted / "vocabulary.json").read_text())

    def generate(prompts: np.ndarray[Any, Any], count: int) -> object:
        return model.generate_batch(
            [[names[token] for token in prompt] for prompt in prompts],
            max_length=count,
            min_length=count,
            sampling_topk=1,
            include_prompt_in_result=False,
            end_token=[],
        )

    return generate


def convert_for_ctranslate2(folder: Path) -> None:
    """Write the model as CTranslate2 wants it, which no run has to wait for."""
    from ctranslate2.converters import TransformersConverter

    for kind, quantization in (("float32", None), ("int8", "int8")):
        converted = folder / f"ctranslate2-{kind}"
        if not (converted / "model.bin").exists():
            converter = TransformersConverter(str(folder))
            converter.convert(str(converted), quantization=quantization, force=True)


ENGINES: dict[str, tuple[str, Callable[[Path], Generate]]] = {
    "course": ("max", course),
    "course, no cache": ("max", lambda folder: course(folder, cache=False)),
    "course, q4_0": ("max", lambda folder: course(folder, dtype="q4_0")),
    "transformers": ("torch", transformers),
    "transformers, no cache": ("torch", lambda folder: transformers(folder, cache=False)),
    "ctranslate2 float32": ("ctranslate2", lambda folder: ctranslate2(folder, "float32")),
    "ctranslate2 int8": ("ctranslate2", lambda folder: ctranslate2(folder, "int8")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time generation beside other engines.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "generation")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)  # one, in a process
    options = parser.parse_args()
    folder = options.output / "gpt2-random"
    if options.engine:
        print(json.dumps(measure(options.engine, folder)))
        return
    if not (folder / "model.safetensors").exists():
        write_random_model(folder)
    found = [name for name, (module, _) in ENGINES.items() if importlib.util.find_spec(module)]
    if importlib.util.find_spec("ctranslate2"):
        convert_for_ctranslate2(folder)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in found}
    floors = []
    runs = [name for _ in range(options.rounds) for name in (*found, "floor")]
    for name in track(runs, console=Console(stderr=True)):
        if name == "floor":
            floors.append(read_speed())
        else:
            rounds[name].append(run(name, options.output))
    figures = {
        name: {key: statistics.median(entry[key] for entry in entries) for key in entries[0]}
        for name, entries in rounds.items()
    }
    bytes_per_second = statistics.median(floors)
    result = {"bytes_per_second": bytes_per_second, "medians": figures, "rounds": rounds}
    (options.output / "generation.json").write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(figures, bytes_per_second))
    plot(figures, options.output / "generation.svg")


def run(name: str, output: Path) -> dict[str, float]:
    """Measure an engine in a process of its own."""
    command = [sys.executable, __file__, "--engine", name, "--output", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def measure(name: str, folder: Path) -> dict[str, float]:
    """Seconds of everything that is compared, and bytes of memory, of an engine."""
    rng = np.random.default_rng(0)

    def seconds(batch: int, length: int, count: int) -> float:
        prompts = rng.integers(SIZES["vocab_size"], size=(batch, length))
        start = time.perf_counter()
        generate(prompts, count)
        return time.perf_counter() - start

    def token(batch: int, position: int) -> float:
        """The median time of a token before this position, the first one left out."""
        length = position - count
        pairs = [(seconds(batch, length, count), seconds(batch, length, 1)) for _ in range(repeats)]
        return statistics.median((whole - first) / (count - 1) for whole, first in pairs)

    start = time.perf_counter()
    generate = ENGINES[name][1](folder)
    generate(np.array([[0]]), 1)
    begun = time.perf_counter() - start
    repeats, count = (1, FEW) if "no cache" in name else (3, NEW)
    return {
        "start": begun,
        "first": statistics.median(seconds(1, LONG, 1) for _ in range(repeats)),
        **{f"token at {p}": token(1, p) for p in POSITIONS},
        "token in a batch": token(BATCH, POSITIONS[0]) / BATCH,
        "memory": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
    }


def write_random_model(folder: Path) -> None:
    """A model folder with GPT-2's sizes, and tokens that no text is made of."""
    from tokenizers import Tokenizer, models

    vocab, width, rng = SIZES["vocab_size"], SIZES["n_embd"], np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray[Any, Any]:
        return 0.02 * rng.standard_normal(shape, dtype=np.float32)

    state = {"wte.weight": normal(vocab, width), "wpe.weight": normal(SIZES["n_positions"], width)}
    layers = {"attn.c_attn": 3, "attn.c_proj": 1, "mlp.c_fc": 4, "mlp.c_proj": 1}
    for layer in range(SIZES["n_layer"]):
        for name, times in layers.items():
            rows = 4 * width if name == "mlp.c_proj" else width
            state[f"h.{layer}.{name}.weight"] = normal(rows, times * width)
            state[f"h.{layer}.{name}.bias"] = normal(times * width)
    for norm in ["ln_f", *(f"h.{i}.ln_{n}" for i in range(SIZES["n_layer"]) for n in (1, 2))]:
        state |= {f"{norm}.weight": 1 + normal(width), f"{norm}.bias": normal(width)}
    folder.mkdir(parents=True, exist_ok=True)
    names = {f"t{token}": token for token in range(vocab - 1)} | {"<|endoftext|>": vocab - 1}
    tokenizer = Tokenizer(models.BPE(vocab=names, merges=[], unk_token="<|endoftext|>"))  # noqa: S106
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], **SIZES}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def read_speed() -> float:
    """Bytes a second that all cores together read from memory, at best."""
    threads = os.cpu_count() or 1
    parts = np.split(np.ones(threads * 2**26 // 4 * 4, np.float32), threads)
    best = np.inf
    for _ in range(10):
        workers = [threading.Thread(target=np.dot, args=(part, part)) for part in parts]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - start)
    return sum(part.nbytes for part in parts) / best


def table(figures: dict[str, dict[str, float]], bytes_per_second: float) -> Table:
    """What was measured, a line for each engine."""
    made = Table(
        Column("engine", no_wrap=True),
        "tok/s",
        "share",
        f"{BATCH} rows",
        "late",
        "first",
        "start",
        "MB",
        title=f"GPT-2 124M shapes on {os.cpu_count()} cores",
    )
    width, layers = SIZES["n_embd"], SIZES["n_layer"]
    read = 4 * width * (SIZES["vocab_size"] + 12 * layers * width)  # bytes of weights for a token
    most = bytes_per_second / read
    for name, entry in figures.items():
        made.add_row(
            name,
            f"{1 / entry['token at 50']:.1f}",
            f"{1 / entry['token at 50'] / most:.0%}",
            f"{1 / entry['token in a batch']:.0f}",
            f"{entry['token at 1000'] / entry['token at 50']:.2f}",
            f"{entry['first']:.2f}",
            f"{entry['start']:.1f}",
            f"{entry['memory'] / 1e6:.0f}",
        )
    made.caption = (
        f"Tokens per second at position 50, their share of the {most:.0f} that a memory of "
        f"{bytes_per_second / 1e9:.0f} GB/s allows in float32, and those of {BATCH} rows together; "
        f"late is how much slower at 1,000. Seconds to the first token after {LONG}, and to start."
    )
    return made


def plot(figures: dict[str, dict[str, float]], file: Path) -> None:
    """The time of a token by its position, if matplotlib is there to draw it."""
    if not importlib.util.find_spec("matplotlib"):
        Console(stderr=True).print("No plot: matplotlib is not installed.")
        return
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for name, entry in figures.items():
        times = [1e3 * entry[f"token at {position}"] for position in POSITIONS]
        axes.plot(POSITIONS, times, marker="o", markersize=3, label=name)
    axes.set(xlabel="position", ylabel="milliseconds per token", yscale="log")
    axes.set_title("With a cache, a token costs the same wherever it stands")
    axes.grid(alpha=0.3, which="both")
    figure.legend(fontsize="small", loc="outside right center")
    figure.savefig(file)


if __name__ == "__main__":
    main()
