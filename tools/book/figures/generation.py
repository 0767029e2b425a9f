"""Pictures of how text is generated: step 12, and sampling in engine 02."""

import numpy as np

from solutions.engine_02 import Sampling, probabilities
from tools.book.figures import bundled
from tools.book.figures.drawing import WIDTH, Drawing

SURE, UNSURE = "Once upon a time", "The king had a beautiful"


def temperature() -> Drawing:
    temperatures = 0.5, 1.0, 1.5
    scores = bundled.logits(bundled.encode(UNSURE))[-1:]
    top = np.argsort(-scores[0])[:7]
    words = [f"`{bundled.word(token)}`" for token in top]
    columns = []
    for value in temperatures:
        shares = probabilities(scores, Sampling(value))[0, top]
        columns.append([*shares, 1 - shares.sum()])
    said = "; ".join(
        f"at {value}, {first:.1%} for {bundled.word(top[0])!r} and {others:.1%} for all others"
        for value, (first, *_, others) in zip(temperatures, columns, strict=True)
    )
    drawing = Drawing(
        "temperature",
        "One distribution at three temperatures",
        f"""How likely the bundled model takes the {len(top)} most likely tokens after {UNSURE!r}:
        {said}. A low temperature makes the likely tokens likelier, a high one levels them.""",
    )
    left, step, height, longest = 86, 78, 23, 32
    drawing.text(0, 8, f"{UNSURE} …", "strong", align="start")
    drawing.text(left - 8, 34, "temperature", "muted", align="end")
    drawing.down(left - 2, 46, [*words, "all others"], height=height)
    for column, (value, shares) in enumerate(zip(temperatures, columns, strict=True)):
        x = left + column * step
        drawing.text(x, 34, f"`{value}`", align="start")
        for row, share in enumerate(shares):
            y = 46 + (row + 0.5) * height
            style = "stream full" if row < len(top) else "cut"
            bar = drawing.box(x, y - 8, share * longest, 16, style=style)
            drawing.text(bar.right[0] + 4, y, f"`{share:.1%}`", align="start")
    return drawing


def top_p() -> Drawing:
    top_k, share, shown = 3, 0.6, 8
    drawing = Drawing(
        "top_p",
        "What top-k and top-p keep of two distributions",
        f"""The {shown} most likely next tokens after two prompts, as bars with running sums. Top-k
        {top_k} keeps {top_k} tokens after both. Top-p {share} keeps as many as it takes to reach
        {share}: few where one token is likely, more where many are.""",
    )
    left, right, longest, height, y = 80, WIDTH - 62, 140, 22, 0
    for prompt in (SURE, UNSURE):
        scores = bundled.logits(bundled.encode(prompt))[-1:]
        shares = probabilities(scores, Sampling())[0]
        kept = int(np.count_nonzero(probabilities(scores, Sampling(top_p=share))))
        top = np.argsort(-shares)[:shown]
        drawing.text(0, y + 8, f"{prompt} …", "strong", align="start")
        drawing.text(right - 20, y + 8, "sum so far", "muted", align="end")
        y += 24
        words = [f"`{bundled.word(token)}`" for token in top]
        drawing.down(left - 2, y, words, height=height)
        for row, (token, total) in enumerate(zip(top, shares[top].cumsum(), strict=True)):
            middle = y + (row + 0.5) * height
            bar, text = ("stream full", "mono") if row < kept else ("cut", "mono muted")
            drawing.box(left, middle - 7, shares[token] * longest, 14, style=bar)
            drawing.text(right - 20, middle, f"{total:.1%}", text, align="end")
        cuts = (top_k, f"top-k {top_k}", "query"), (kept, f"top-p {share}", "key")
        for rows, cut, style in cuts:
            level = y + rows * height - 1
            drawing.line((left, level), (right, level), style=f"{style} dashed")
            drawing.text(WIDTH, level, cut, style, align="end")
        y += shown * height + 16
    return drawing


def sliding() -> Drawing:
    window, calls = 4, 3
    ids = bundled.go_on(SURE, calls, window)
    words = [bundled.word(token).strip("\N{OPEN BOX}") for token in ids]
    prompt = len(ids) - calls
    drawing = Drawing(
        "sliding",
        "What the model sees, and what is returned",
        f"""A model with n_positions {window} goes on from {SURE!r}. In call 1 it sees these
        {prompt} tokens and adds {words[prompt]!r}. In call 2 it sees the last {window} of
        {prompt + 1}, in call 3 the last {window} of {prompt + 2}. What is returned keeps all
        {len(words)}: {" ".join(words)!r}.""",
    )
    width, height = 45, 26
    drawing.text(WIDTH, 9, f"`n_positions = {window}`", align="end")
    for call in range(calls):
        unseen = prompt + call - window
        styles = ["soft"] * unseen + ["stream"] * window + ["query"]
        drawing.text(0, 62 * call + 9, f"call {call + 1}", align="start")
        drawing.cells(0, 62 * call + 20, [words[: len(styles)]], width, styles, height=height)
    y = 62 * calls
    drawing.text(0, y + 9, "returned", align="start")
    drawing.cells(0, y + 20, [words], width, ["soft"] * prompt + ["query"] * calls, height=height)
    drawing.sample(0, y + 71, "stream", "seen")
    drawing.sample(70, y + 71, "soft", "not seen")
    drawing.sample(160, y + 71, "query", "new")
    return drawing
