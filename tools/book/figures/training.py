"""The picture of how the bundled model was trained."""

import json
import math
from operator import itemgetter

from tools.book.figures.drawing import WIDTH, Drawing, Point, number
from tutor.engine.checkpoint import BUNDLED_MODEL

LEFT, RIGHT = 24, WIDTH - 24
UNIT = 80  # for a loss of 1


def training() -> Drawing:
    record = json.loads((BUNDLED_MODEL / "training.json").read_text(encoding="utf-8"))
    history, steps = record["history"], record["options"]["steps"]
    best, last = min(history, key=itemgetter("heldout_loss")), history[-1]
    learned, heldout = (f"{last[name]:.2f}" for name in ("train_loss", "heldout_loss"))
    drawing = Drawing(
        "training",
        "The loss over the steps of training, on tales that are learned from and on others",
        f"""Two curves fall, fast at first, then ever more slowly. They part from the start: at the
        end, the loss is {learned} on the tales that the model learns from and {heldout} on those
        that are held out. The latter is lowest after {best["step"]:,} of {steps:,} steps.""",
    )
    highest, lowest = math.ceil(history[0]["heldout_loss"]), math.floor(last["train_loss"])

    def place(step: float, loss: float) -> Point:
        return LEFT + step / steps * (RIGHT - LEFT), 10 + (highest - loss) * UNIT

    drawing.arrow(place(0, lowest), place(steps * 1.03, lowest), style="muted")
    drawing.arrow(place(0, lowest), place(0, highest + 0.1), style="muted")
    for loss in range(lowest, highest + 1):
        drawing.text(LEFT - 12, place(0, loss)[1], number(loss, 0), "mono muted")
    for step in range(1000, steps + 1, 1000):
        drawing.text(*place(step, lowest - 0.15), f"{step:,}", "mono muted")
    for name, style in (("heldout_loss", "stream bold"), ("train_loss", "dashed")):
        drawing.curve([place(entry["step"], entry[name]) for entry in history], style)
    middle = history[len(history) // 2]
    drawing.text(*place(middle["step"], middle["heldout_loss"] + 0.3), "held-out tales", "stream")
    drawing.text(*place(middle["step"], middle["train_loss"] - 0.4), "tales to learn from")
    return drawing
