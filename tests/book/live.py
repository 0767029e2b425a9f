"""Runs the models of the pages, by the same files, in node or in a page that Chromium has opened.

And tells what NumPy computes with their weights.
"""

import functools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from tests import oracle, oracle_modern
from tests.book import test_widget_data
from tests.book.test_widget_data import Array, config
from tests.browsers import lacking
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED, BUNDLED_MODEL
from tutor.engine.settings import read_config

LIVE = ROOT / "book" / "live"
PACKED = ROOT / "book" / "src" / "live"  # `build` has had the scripts made
WEIGHTS, LLAMA_WEIGHTS = (PACKED / f"{name}.js" for name in ("fairy-tales", "llama-tales"))
SCRIPTS = [LIVE / f"{name}.js" for name in ("tokenizer", "model", "gpt2", "llama", "weights")]
LLAMA = BUNDLED[1]
STEPS = 550  # in the root mean square of a tensor
PROBE = Path(__file__).parent / "live_probe.js"
LOAD = """
(source) => new Promise((done) => {
    const script = document.createElement("script");
    Object.assign(script, { src: source, onload: () => done() });
    document.head.append(script);
})
"""

Probe = Callable[..., Any]


def in_node(**asked: Any) -> Any:
    node = shutil.which("node")
    if node is None:
        lacking("node is not here")
    scripts = map(str, (PROBE, WEIGHTS, LLAMA_WEIGHTS, *SCRIPTS))
    command = [node, str(PROBE.with_name("live_node.js")), *scripts]
    finished = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def in_page(page: Page, site: Path) -> Probe:
    """The probe in a page of the book that is opened from a file."""
    page.goto((site / "max.html").as_uri())
    for weights in (WEIGHTS, LLAMA_WEIGHTS):
        page.evaluate(LOAD, f"live/{weights.name}")
    return lambda **asked: page.evaluate(PROBE.read_text(), asked)


def rounded(named: dict[str, Array]) -> dict[str, Array]:
    """The weights as the pages have them: each a multiple of its tensor's step, in float32."""
    found = {}
    for name, weight in named.items():
        step = np.sqrt((weight**2).mean()) / STEPS
        found[name] = (np.rint(weight / step) * step).astype(np.float32).astype(np.float64)
    return found


@functools.cache
def weights() -> dict[str, Array]:
    """Those of the bundled GPT-2 in the pages."""
    return rounded(test_widget_data.weights())


@functools.cache
def llama_weights() -> dict[str, Array]:
    """Those of the bundled Llama in the checkpoint, with its head."""
    found = load_file(LLAMA / "model.safetensors")
    named = {name: weight.astype(np.float64) for name, weight in found.items()}
    return {**named, "lm_head.weight": named["model.embed_tokens.weight"]}


def follow(text: str) -> tuple[list[Array], list[list[Array]]]:
    return test_widget_data.follow(text, weights())


def sizes() -> list[Any]:
    return [config()[name] for name in ("n_layer", "n_head", "layer_norm_epsilon")]


def encode(text: str) -> list[int]:
    ids: list[int] = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json")).encode(text).ids
    return ids


def llama_sizes() -> dict[str, Any]:
    sizes = read_config(LLAMA / "config.json")
    return {**sizes, "rope_theta": sizes["rope_parameters"]["rope_theta"]}


def gpt2_logits(named: dict[str, Array], ids: list[int]) -> Array:
    logits: Array = oracle.lm_head_model(named, np.array([ids]), *sizes())[0]
    return logits


def llama_logits(named: dict[str, Array], ids: list[int]) -> Array:
    logits: Array = oracle_modern.lm_head_model(named, np.array([ids]), llama_sizes())[0]
    return logits
