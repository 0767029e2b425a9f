"""Pictures of the modern track: what a Llama has in place of GPT-2's parts."""

from solutions.modern_01 import read_config
from tests import test_modern_01 as files
from tools.book.figures.drawing import WIDTH, Box, Drawing

LLAMA = "Llama-3.2-1B"


def two_files() -> Drawing:
    older = files.FILES[LLAMA]
    newer = files.as_version_5_writes(older)
    config, rope = read_config(newer), newer["rope_parameters"]
    assert config.rope_scaling
    drawing = Drawing(
        "two_files",
        "Where two versions of transformers keep what the rotation needs",
        f"""Three rows of boxes, for {LLAMA}. In a config.json of transformers 4, rope_theta,
        {older["rope_theta"]:g}, and rope_scaling, of type {older["rope_scaling"]["rope_type"]}, stand
        side by side. In one of transformers 5, both are in rope_parameters. From either, LlamaConfig
        gets a rope_theta and a rope_scaling.""",
    )
    half, height = (WIDTH - 12) / 2, 44

    def two(y: float, theta: float, kind: str, style: str) -> list[Box]:
        words = f"`rope_theta`\n{theta:g}", f"`rope_scaling`\n{kind}"
        return [
            drawing.box(1 + place * (half + 10), y, half, height, text, style)
            for place, text in enumerate(words)
        ]

    drawing.text(0, 8, "`config.json`, transformers 4", align="start")
    above = two(22, older["rope_theta"], older["rope_scaling"]["rope_type"], "page")
    drawing.text(WIDTH / 2, 98, "`LlamaConfig`", "stream")
    both = two(110, config.rope_theta, config.rope_scaling["rope_type"], "stream")
    words = f"`rope_parameters`\n{rope['rope_theta']:g}, {rope['rope_type']}"
    below = drawing.box(1, 198, WIDTH - 2, height, words, "page")
    drawing.text(0, 254, "`config.json`, transformers 5", align="start")
    for upper, middle in zip(above, both, strict=True):
        drawing.arrow(upper.bottom, middle.top, style="stream")
        x, y = middle.bottom
        drawing.arrow((x, below.y), (x, y), style="stream")
    return drawing
