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
WEIGHTS = ROOT / "book" / "src" / "live" / "fairy-tales.js"  # `build` has had it made
SCRIPTS = [LIVE / f"{name}.js" for name in ("tokenizer", "model", "weights")]
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
    command = [node, str(PROBE.with_name("live_node.js")), str(PROBE), str(WEIGHTS)]
    finished = subprocess.run(
        [*command, *map(str, SCRIPTS)], input=json.dumps(asked), capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def in_page(page: Page, site: Path) -> Probe:
    """The probe in a page of the book that is opened from a file."""
    page.goto((site / "max.html").as_uri())
    page.evaluate(LOAD, f"live/{WEIGHTS.name}")
    return lambda **asked: page.evaluate(PROBE.read_text(), asked)
