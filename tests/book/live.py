"""Runs the model of the pages, by the same files, in node or in a page that Chromium has opened."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.browsers import lacking
from tutor import ROOT

LIVE = ROOT / "book" / "live"
PACKED = ROOT / "book" / "src" / "live"  # `build` has had the scripts made
WEIGHTS, LLAMA_WEIGHTS = (PACKED / f"{name}.js" for name in ("fairy-tales", "llama-tales"))
SCRIPTS = [LIVE / f"{name}.js" for name in ("tokenizer", "model", "gpt2", "llama", "weights")]
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
