"""Time generation at the sizes of a known model, with random weights, beside other engines.

    python benchmarks/generation.py [--model gpt2] [--rounds 5] [--output build/generation]

Each engine has a process of its own. Short bursts of the same work go round among them, so that
whatever else this machine does meets them all. An engine that is not installed is left out.
"""

import argparse
import functools
import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from safetensors.numpy import save_file
from timing import describe_cpu

from tutor import ROOT

GPT2 = {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}
SMOLLM2: dict[str, Any] = {  # of 135M parameters
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100000,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
SIZES: dict[str, dict[str, Any]] = {"gpt2": GPT2, "smollm2": SMOLLM2}
ONLY_DECODE = ("speculative", "bundled")  # engines that do no other work
BURST = 1.0  # seconds that an engine works before it is another's turn
CAN_SPECULATE = importlib.util.find_spec("solutions.engine_05") is not None
RATES = (0.75, 0.9)  # of guesses that stand; acceptance.py measures it on real text


@dataclass(frozen=True)
class Work:
    """Rows of so many random tokens, and how many to write after the first one; 0 is greedy."""

    rows: int = 1
    length: int = 18
    new: int = 32
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0


DECODE = "decode"
WORKS = {
    DECODE: Work(),
    "prompt of 512": Work(length=512, new=0),
    "8 rows": Work(rows=8),
    "temperature 0.8": Work(temperature=0.8),
    "0.8, top-k 40": Work(temperature=0.8, top_k=40),
    "0.8, top-p 0.95": Work(temperature=0.8, top_p=0.95),
}

# A function that writes so many tokens after prompts of one length, [B, T], as a work wants them.
Generate = Callable[[np.ndarray[Any, Any], int, Work], object]


def course(folder: Path, dtype: str = "float32") -> Generate:
    from tutor.engine.generation import load_engine
    from tutor.engine.loops import Options

    engine = load_engine(str(folder), dtype=dtype)

    def generate(prompts: np.ndarray[Any, Any], count: int, work: Work) -> object:
        stories = [engine.story(prompt.tolist(), 0) for prompt in prompts]
        options = Options(count, work.temperature, work.top_k, work.top_p, stop_at_eos=False)
        return list(engine.run(stories, options))

    return generate


def speculative(folder: Path, rate: float) -> Generate:
    """The course's speculative decoding, in which this share of the guesses stands.

    With random weights that takes some help, but every model is called as it would be.
    """
    from solutions.engine_02 import Sampling
    from solutions.engine_05 import ModelDraft, stream_speculative
    from tutor.engine import drafts
    from tutor.engine.generation import load_engine

    engine, rng = load_engine(str(folder)), np.random.default_rng(0)
    loop: Any = engine.loop

    class Agreeing:
        """The model, which chooses a guess as often as `rate` says."""

        config = engine.config

        def score(self, input_ids: Any, start: Any, count: int) -> Any:
            logits = np.array(loop.model.score(input_ids, start, count))
            guesses = input_ids[0, input_ids.shape[1] - count + 1 :]
            for row, guess in zip(logits[0, :-1], guesses, strict=True):
                row[guess] = np.inf if rng.random() < rate else -np.inf
            return logits

    agreeing: Any = Agreeing()
    drafts.FEWEST = 0  # whether it pays is what is measured
    draft = ModelDraft(drafts.make_draft(engine.model, engine.folder))

    def generate(prompts: np.ndarray[Any, Any], count: int, _: Work) -> object:
        return list(stream_speculative(agreeing, draft, prompts[0], count, Sampling(0)))

    return generate


def transformers(folder: Path) -> Generate:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(os.cpu_count() or 1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def generate(prompts: np.ndarray[Any, Any], count: int, work: Work) -> object:
        drawn = {"temperature": work.temperature, "top_k": work.top_k or 0, "top_p": work.top_p}
        with torch.no_grad():
            return model.generate(
                torch.from_numpy(prompts),
                attention_mask=torch.ones(prompts.shape, dtype=torch.int64),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=work.temperature > 0,
                pad_token_id=0,
                **(drawn if work.temperature else {}),
            )

    return generate


def ctranslate2(folder: Path, kind: str) -> Generate:
    import ctranslate2 as library

    converted = folder / f"ctranslate2-{kind}"
    model = library.Generator(
        str(converted), compute_type=kind, inter_threads=1, intra_threads=os.cpu_count() or 1
    )
    names = json.loads((converted / "vocabulary.json").read_text())

    def generate(prompts: np.ndarray[Any, Any], count: int, work: Work) -> object:
        return model.generate_batch(
            [[names[token] for token in prompt] for prompt in prompts],
            max_length=count,
            min_length=count,
            sampling_temperature=work.temperature or 1.0,
            sampling_topk=(work.top_k or 0) if work.temperature else 1,
            sampling_topp=work.top_p,
            include_prompt_in_result=False,
            end_token=[],
        )

    return generate


def write_models(folder: Path, model: str, convert: bool) -> None:
    """The model that all run, if it is not there yet, and as CTranslate2 wants it."""
    if not (folder / "model.safetensors").exists():
        write_random_model(folder, model)
    if convert:
        convert_for_ctranslate2(folder)


def convert_for_ctranslate2(folder: Path) -> None:
    """Write the model as CTranslate2 wants it, which no process has to do while it is timed."""
    from ctranslate2.converters import TransformersConverter

    for kind, quantization in (("float32", None), ("int8", "int8")):
        converted = folder / f"ctranslate2-{kind}"
        if not (converted / "model.bin").exists():
            converter = TransformersConverter(str(folder))
            converter.convert(str(converted), quantization=quantization, force=True)
            # A Llama's has null where a tokenizer knows no such token, and cannot be read again.
            settings = json.loads((converted / "config.json").read_text())
            absent = [name for name in settings if name.endswith("_token") and not settings[name]]
            settings.update(dict.fromkeys(absent, ""))
            (converted / "config.json").write_text(json.dumps(settings))


Q4_0, FLOAT32, INT8 = "course q4_0", "CTranslate2", "CTranslate2 int8"
Engines = dict[
    str, tuple[str, Callable[[Path], Generate]]
]  # by name: what it needs, how it is made
ENGINES: Engines = {
    "course": ("max", course),
    **{
        f"speculative, {rate}": ("max", functools.partial(speculative, rate=rate))
        for rate in RATES
        if CAN_SPECULATE
    },
    FLOAT32: ("ctranslate2", lambda folder: ctranslate2(folder, "float32")),
    "transformers": ("torch", transformers),
    Q4_0: ("max", lambda folder: course(folder, "q4_0")),
    INT8: ("ctranslate2", lambda folder: ctranslate2(folder, "int8")),
}
BESIDE = {Q4_0: INT8, INT8: INT8}  # what a ratio is to, where not to that of all

# Seconds of a work by engine: of whole calls, and of calls for the first token alone.
Pairs = list[tuple[float, float]]


def main(engines: Engines = ENGINES, reference: str = FLOAT32) -> None:
    parser = argparse.ArgumentParser(description="Time generation by engines side by side.")
    parser.add_argument("--model", choices=SIZES, default="gpt2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "generation")
    parser.add_argument("--engine", choices=engines, help=argparse.SUPPRESS)  # in its process
    options = parser.parse_args()
    folder, vocab = options.output / f"{options.model}-random", SIZES[options.model]["vocab_size"]
    if options.engine:
        serve(engines[options.engine][1](folder), vocab)
        return
    # In a process of its own: what it needs of memory would be counted as every engine's.
    convert = FLOAT32 in engines and importlib.util.find_spec("ctranslate2") is not None
    writing = multiprocessing.get_context("spawn").Process(
        target=write_models, args=(folder, options.model, convert)
    )
    writing.start()
    writing.join()
    found = [name for name, (module, _) in engines.items() if importlib.util.find_spec(module)]
    workers = {name: Worker(name, options.model, options.output) for name in found}
    pairs: dict[tuple[str, str], Pairs] = {}
    floors = [read_speed()]
    for _ in track(range(options.rounds), console=Console(stderr=True)):
        for name, work in WORKS.items():
            for engine, worker in workers.items():
                if name == DECODE or not engine.startswith(ONLY_DECODE):
                    pairs.setdefault((name, engine), []).extend(worker.burst(work))
        floors.append(read_speed())
    peaks = {engine: worker.stop() for engine, worker in workers.items()}
    console = Console(width=200)  # lines of a table that can be pasted
    console.print(f"{describe_cpu()}; reads {max(floors) / 1e9:.0f} GB/s.")
    console.print(table(found, pairs, peaks, reference))
    console.print(draws(vocab))
    result = {f"{work}, {engine}": each for (work, engine), each in pairs.items()}
    (options.output / "generation.json").write_text(json.dumps(result) + "\n")


class Worker:
    """An engine in a process of its own, which waits for work."""

    def __init__(self, engine: str, model: str, output: Path) -> None:
        self.engine = engine
        options = ("--engine", engine, "--model", model, "--output", str(output))
        self.process = subprocess.Popen(
            [sys.executable, sys.argv[0], *options],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()  # it is ready; so no engine is timed while another one starts

    def burst(self, work: Work) -> Pairs:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asdict(work)) + "\n")
        self.process.stdin.flush()
        pairs: Pairs = self._answer()
        return pairs

    def stop(self) -> float:
        """End the process; its peak memory, in bytes."""
        assert self.process.stdin
        self.process.stdin.close()
        peak: float = self._answer()
        self.process.wait()
        return peak

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.engine} has ended")
        return json.loads(line)


def serve(generate: Generate, vocab: int) -> None:
    """Answer each work with the seconds of a burst of it, and in the end with the peak memory."""
    rng = np.random.default_rng(0)

    def seconds(work: Work, count: int) -> float:
        prompts = rng.integers(vocab, size=(work.rows, work.length))
        start = time.perf_counter()
        generate(prompts, count, work)
        return time.perf_counter() - start

    print(seconds(Work(), 2), flush=True)
    for line in sys.stdin:
        work = Work(**json.loads(line))
        pairs: Pairs = []
        end = time.perf_counter() + BURST
        while not pairs or time.perf_counter() < end:
            first = seconds(work, 1)
            pairs.append((seconds(work, 1 + work.new) if work.new else first, first))
        print(json.dumps(pairs), flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


def milliseconds(work: Work, pairs: Pairs, of: Callable[[list[float]], float]) -> float:
    """The median or the least time of a token of all rows; of a prompt, if there is no more."""
    wholes, firsts = (of(list(times)) for times in zip(*pairs, strict=True))
    return 1e3 * ((wholes - firsts) / work.new if work.new else firsts)


def table(
    found: list[str], pairs: dict[tuple[str, str], Pairs], peaks: dict[str, float], reference: str
) -> Table:
    """Medians, least times in brackets, and how many times as fast as a reference that is."""
    made = Table("ms", *found, box=box.MARKDOWN)

    def ratio(engine: str, value: Callable[[str], float]) -> str:
        other = BESIDE.get(engine, reference)
        return (
            f" {value(other) / value(engine):.2f} x" if other in found and other != engine else ""
        )

    for name, work in WORKS.items():
        cells = []
        for engine in found:
            if (name, engine) not in pairs:
                cells.append("")
                continue

            def middle(engine: str, name: str = name, work: Work = work) -> float:
                return milliseconds(work, pairs[name, engine], statistics.median)

            least = milliseconds(work, pairs[name, engine], min)
            cells.append(f"{middle(engine):.1f} ({least:.1f}){ratio(engine, middle)}")
        made.add_row(name, *cells)
    made.add_row(
        "memory, MB", *(f"{peaks[e] / 1e6:.0f}{ratio(e, peaks.__getitem__)}" for e in found)
    )
    return made


def draws(vocab: int) -> str:
    """What it takes to draw a token from logits, which no model takes part in."""
    from solutions.engine_02 import Sampling, choose

    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((1, vocab), dtype=np.float32)
    said = []
    for name, work in WORKS.items():
        if work.temperature:
            sampling, times = Sampling(work.temperature, work.top_k or vocab, work.top_p), []
            for _ in range(200):
                start = time.perf_counter()
                choose(logits, sampling, [rng])
                times.append(1e3 * (time.perf_counter() - start))
            said.append(f"{name}: {statistics.median(times):.2f} ({min(times):.2f})")
    return f"Of that the course draws for, in ms: {'; '.join(said)}."


def write_random_model(folder: Path, model: str) -> None:
    """A model folder with the sizes of a model, and tokens that no text is made of."""
    from tokenizers import Tokenizer, models

    sizes, rng = SIZES[model], np.random.default_rng(0)
    shapes = {"gpt2": gpt2_shapes, "smollm2": llama_shapes}[model](sizes)
    state = {}
    for name, shape in shapes.items():
        numbers = rng.standard_normal(shape, dtype=np.float32)
        state[name] = 0.02 * numbers + ("norm" in name or ("ln_" in name and "weight" in name))
    folder.mkdir(parents=True, exist_ok=True)
    end = "<|endoftext|>"
    names = {f"t{token}": token for token in range(sizes["vocab_size"] - 1)}
    tokenizer = Tokenizer(models.BPE(vocab=names | {end: len(names)}, merges=[], unk_token=end))
    tokenizer.add_special_tokens([end])
    tokenizer.save(str(folder / "tokenizer.json"))
    family = {"gpt2": "gpt2", "smollm2": "llama"}[model]
    kind = {"gpt2": "GPT2LMHeadModel", "smollm2": "LlamaForCausalLM"}[model]
    config = {"model_type": family, "architectures": [kind], **sizes}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def gpt2_shapes(sizes: dict[str, Any]) -> dict[str, list[int]]:
    """The tensors of a GPT-2, as Hugging Face names them."""
    width = sizes["n_embd"]
    shapes = {
        "wte.weight": [sizes["vocab_size"], width],
        "wpe.weight": [sizes["n_positions"], width],
    }
    layers = {"attn.c_attn": 3, "attn.c_proj": 1, "mlp.c_fc": 4, "mlp.c_proj": 1}
    for layer in range(sizes["n_layer"]):
        for name, times in layers.items():
            rows = 4 * width if name == "mlp.c_proj" else width
            shapes[f"h.{layer}.{name}.weight"] = [rows, times * width]
            shapes[f"h.{layer}.{name}.bias"] = [times * width]
    norms = ["ln_f", *(f"h.{i}.ln_{n}" for i in range(sizes["n_layer"]) for n in (1, 2))]
    return shapes | {f"{norm}.{part}": [width] for norm in norms for part in ("weight", "bias")}


def llama_shapes(sizes: dict[str, Any]) -> dict[str, list[int]]:
    """The tensors of a Llama whose head is tied, as Hugging Face names them."""
    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    groups = width // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    layer = {
        "input_layernorm": [width],
        "self_attn.q_proj": [width, width],
        "self_attn.k_proj": [groups, width],
        "self_attn.v_proj": [groups, width],
        "self_attn.o_proj": [width, width],
        "post_attention_layernorm": [width],
        "mlp.gate_proj": [inner, width],
        "mlp.up_proj": [inner, width],
        "mlp.down_proj": [width, inner],
    }
    shapes = {"model.embed_tokens.weight": [sizes["vocab_size"], width]}
    for number in range(sizes["num_hidden_layers"]):
        shapes |= {f"model.layers.{number}.{name}.weight": layer[name] for name in layer}
    return shapes | {"model.norm.weight": [width]}


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


if __name__ == "__main__":
    main()
