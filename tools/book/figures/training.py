"""Pictures of training: the curve of the bundled model, and how far its steps went."""

import json

from tools.book.figures.drawing import WIDTH, Drawing, Point, number
from tutor.engine.checkpoint import BUNDLED_MODEL

LOWEST, HIGHEST = 2.8, 5.0  # losses that are shown
LEFT, HEIGHT = 34, 190


def losses() -> Drawing:
    report = json.loads((BUNDLED_MODEL / "training.json").read_text())
    history, steps = report["history"], report["options"]["steps"]
    first, best = history[0], min(history, key=lambda entry: entry["heldout_loss"])
    drawing = Drawing(
        "losses",
        "The losses of the bundled model, step by step",
        f"""Two curves fall from left to right, fast and then slowly. On held-out tales the loss is
        {first["heldout_loss"]:.2f} at step {first["step"]:,}, and lowest at step {best["step"]:,}
        with {best["heldout_loss"]:.2f}. On the text that it learns from, the curve jumps up and
        down, falls below the other one, and ends at {history[-1]["train_loss"]:.2f}.""",
    )

    def place(step: float, loss: float) -> Point:
        x = LEFT + step / steps * (WIDTH - LEFT - 6)
        return x, 8 + (HIGHEST - loss) / (HIGHEST - LOWEST) * HEIGHT

    drawing.line(place(0, HIGHEST), place(0, LOWEST), place(steps, LOWEST), style="muted")
    for loss in (3, 3.5, 4, 4.5, 5):
        drawing.text(LEFT - 6, place(0, loss)[1], number(loss, 1), "mono muted", align="end")
    for step in (1000, 2000, 3000):
        x, y = place(step, LOWEST)
        drawing.text(min(x, WIDTH - 22), y + 12, f"{step:,}", "mono muted")
    drawing.text(place(steps / 6, 0)[0], place(0, LOWEST)[1] + 12, "step", "muted")
    for kind, style in (("train_loss", "query"), ("heldout_loss", "stream bold")):
        drawing.curve([place(entry["step"], entry[kind]) for entry in history], style)
    drawing.text(*place(1500, 4.25), "held-out tales", "stream", align="start")
    drawing.text(*place(250, 3.08), "what it learns from", "query", align="start")
    return drawing
