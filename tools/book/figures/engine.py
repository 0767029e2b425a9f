"""Pictures of what makes generation fast: compiling, batches, the KV cache, guesses, slots."""

from typing import Any

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental.tensor import Tensor

from solutions.engine_02 import Sampling
from solutions.engine_03 import left_pad, positions_and_mask
from solutions.engine_05 import verify
from solutions.engine_06 import Row, RunningBatch
from solutions.engine_07 import Text
from solutions.solution_01 import GPT2Config
from tools.book.figures import bundled
from tools.book.figures.drawing import Drawing


def compiled() -> Drawing:
    operations = "matmul", "add", "gelu"
    drawing = Drawing(
        "compile",
        "Eager and compiled: how often Python and MAX talk",
        f"""Two lanes, Python and MAX. Eager, every call goes from Python to MAX and back once for
        each operation: {", ".join(operations)}. Compiled, Python describes the whole graph once,
        MAX compiles it once, and every call is one way there and one way back.""",
    )
    python, device, width = 100, 236, 96
    edge = device - width / 2

    def lanes(y: float, title: str, height: float) -> None:
        drawing.text(0, y + 9, title, "strong", align="start")
        for x, name in ((python, "Python"), (device, "MAX")):
            drawing.text(x, y + 9, name)
            drawing.line((x, y + 22), (x, y + 22 + height), style="muted dashed")

    def trip(y: float, words: str, height: float = 22, style: str = "stream") -> None:
        """From Python to MAX, to do something there, and back."""
        drawing.arrow((python, y + 6), (edge, y + 6))
        drawing.arrow((edge, y + height - 6), (python, y + height - 6))
        drawing.box(edge, y, width, height, style="page")
        drawing.box(edge, y, width, height, words, style)

    lanes(0, "eager", 102)
    drawing.beside(72, 30, 116, "each call", side=-1)
    for place, operation in enumerate(operations):
        trip(30 + place * 32, f"`{operation}`")

    lanes(150, "compiled", 134)
    drawing.beside(72, 180, 224, "once", side=-1)
    trip(180, "compile\nthe graph", 44, "query")
    drawing.beside(72, 234, 298, "each call", side=-1)
    trip(234, "\n".join(f"`{operation}`" for operation in operations), 64)
    return drawing


def batch() -> Drawing:
    prompts = "Once upon a time", "The wolf", "There was a"
    ids, starts = left_pad([bundled.encode(prompt).tolist() for prompt in prompts])
    length = ids.shape[1]
    positions, _ = positions_and_mask(starts, length, length)
    following = [bundled.word(bundled.go_on(prompt, 1)[-1]) for prompt in prompts]
    drawing = Drawing(
        "batch",
        "Three prompts of different lengths, padded on the left",
        f"""A row for each prompt: {", ".join(prompts)}. Padding fills the shorter ones from the
        left, so that all end in column {length - 1}. They start in columns
        {", ".join(map(str, starts))}, and each counts its positions from there. The next tokens
        all go into one new column: {", ".join(following)}.""",
    )
    left, width, height, y = 44, 54, 26, 26
    after = left + length * width + 4
    drawing.text(18, 8, "`start`", "muted")
    drawing.over(after + 2, after + width - 2, 18, "next", "query")
    for row, start in enumerate(starts.tolist()):
        words = [""] * start + [bundled.word(token) for token in ids[row, start:]]
        styles = ["absent"] * start + ["stream"] * (length - start)
        counted = [""] * start + [str(position) for position in positions[row, start:]]
        drawing.text(18, y + height / 2, f"`{start}`", "muted")
        drawing.cells(left, y, [words], width, styles, height=height)
        drawing.cells(after, y, [[following[row]]], width, "query", height=height)
        drawing.across(left, y + height + 10, counted, width, "mono muted")
        y += 58
    drawing.text(left, y, "below each token: its position", "muted", align="start")
    return drawing


def cache() -> Drawing:
    prompt, turns = "Once upon a", 3
    ids = bundled.go_on(prompt, turns - 1)
    words = [bundled.word(token) for token in ids]
    lengths = range(len(ids) - turns + 1, len(ids) + 1)
    drawing = Drawing(
        "cache",
        "The KV cache grows by a column a token",
        f"""Three turns. The first reads the prompt, {lengths[0]} tokens, and computes a query, a
        key and a value for each. The next two read one token each: they compute its query, key and
        value, and take the other keys and values from the cache. In all {len(ids)} columns are
        computed; without a cache {sum(lengths)}.""",
    )
    left, width, y, known = 62, 51, 0, 0
    for turn, length in enumerate(lengths):
        new = length - known
        drawing.text(0, y + 13, f"turn {turn + 1}", "strong", align="start")
        styles = ["absent"] * known + ["stream"] * new
        drawing.cells(left, y, [words[:length]], width, styles, height=26)
        for row, (name, style) in enumerate(
            (("queries", "query"), ("keys", "key"), ("values", "value"))
        ):
            level = y + 32 + row * 20
            drawing.text(left - 8, level + 10, name, style, align="end")
            if known and style != "query":
                drawing.cells(left, level, [[""] * known], width, style, height=20)
            start = left + known * width
            drawing.cells(start, level, [[""] * new], width, f"{style} full", height=20)
        known = length
        y += 108
    drawing.sample(left, y, "key full", "computed")
    drawing.sample(left + 96, y, "key", "from the cache")
    summary = f"{len(ids)} columns computed; {sum(lengths)} without a cache"
    drawing.text(left, y + 30, summary, align="start")
    return drawing


def speculation() -> Drawing:
    prompt, count = "Once upon a time there was a king", 4
    ids = bundled.go_on(prompt, count, of=bundled.four_bit_model())
    logits = bundled.logits(ids)[-count - 1 :]
    written = len(verify(logits, ids[-count:], Sampling(temperature=0), np.random.default_rng()))
    last, *guesses = (bundled.word(token) for token in ids[-count - 1 :])
    chosen = [bundled.word(token) for token in logits.argmax(axis=-1)]
    right, dropped = written - 1, len(chosen) - written
    drawing = Drawing(
        "speculation",
        "A round of guesses, checked in one pass of the model",
        f"""The text is: {prompt}. The draft guesses {count} tokens: {", ".join(guesses)}. In one
        pass over all of them, the model chooses a token for each place and for the one after:
        {", ".join(chosen)}. The first {right} guesses are the same and stand. The next one is not,
        so the model's own token takes its place, and all after it are unused. The round has
        written {written} tokens: {", ".join(chosen[:written])}.""",
    )
    width, height = 53, 26
    drawing.text(0, 8, "The draft guesses, one token after the other:", align="start")
    styles = ["stream"] + ["query"] * count
    drawing.cells(0, 20, [[last, *guesses]], width, styles, height=height)
    drawing.text(0, 74, "In one pass, the model chooses for each place:", align="start")
    styles = ["key"] * written + ["absent"] * dropped
    drawing.cells(width, 86, [chosen], width, styles, height=height)
    marks = ["= guess"] * right + ["≠ guess"] + ["unused"] * dropped
    drawing.across(width, 122, marks, width, "muted")
    drawing.text(0, 158, f"So one pass writes {written} tokens:", align="start")
    styles = ["stream"] + ["key"] * written
    drawing.cells(0, 170, [[last, *chosen[:written]]], width, styles, height=height)
    return drawing


STAYS = 3, 9, 2, 4, 2, 3  # tokens of each text
SLOTS = 3


class Silent:
    """In place of a CachedModel: no token of it is likelier than another."""

    config = GPT2Config(vocab_size=2, n_positions=64, n_embd=2, n_layer=1, n_head=1)
    device, dtype = CPU(), DType.float32

    def cache_shape(self, batch: int) -> list[int]:
        return [2, batch, 1, 64, 2]

    def head(self, input_ids: Tensor, *_: object) -> Tensor:
        return Tensor.from_dlpack(np.zeros((int(input_ids.shape[0]), 1, 2), np.float32))


def slots_over_time(kind: str) -> list[list[int | None]]:
    """The text in each slot, step by step, when texts join as slots get free, or all at once."""
    if kind == "static":
        groups = [range(len(STAYS))[first:][:SLOTS] for first in range(0, len(STAYS), SLOTS)]
        return [
            [text if turn < STAYS[text] else None for text in group]
            for group in groups
            for turn in range(max(STAYS[text] for text in group))
        ]
    model: Any = Silent()
    batch, turns = RunningBatch(model, SLOTS), []
    rows = [Row([0], np.random.default_rng(), count) for count in STAYS]
    batch.waiting += rows
    while batch.step():
        turns.append([rows.index(row) if row else None for row in batch.rows])
    return turns


def slots() -> Drawing:
    kinds = [(name, slots_over_time(name)) for name in ("static", "continuous")]
    (_, static), (_, running) = kinds
    lengths = ", ".join(f"{'ABCDEF'[text]} {count}" for text, count in enumerate(STAYS))
    drawing = Drawing(
        "slots",
        "Slots over time: static and continuous batching",
        f"""Two grids, a line for each of {SLOTS} slots and a column for each step. The texts and
        their numbers of tokens: {lengths}. In a static batch, {SLOTS} texts start together, and the
        next ones wait until the longest has ended: {len(static)} steps. In a running batch, each
        slot takes the next text as soon as it is free: {len(running)} steps.""",
    )
    left, width, y = 44, 20, 0
    for name, turns in kinds:
        drawing.text(0, y + 8, f"{name}: {len(turns)} steps", "strong", align="start")
        drawing.down(left, y + 20, [f"slot {slot}" for slot in range(SLOTS)], "muted")
        before: list[int | None] = [None] * SLOTS
        for turn, texts in enumerate(turns):
            for slot, text in enumerate(texts):
                word = "" if text is None else "ABCDEF"[text]
                joins = "key full" if text != before[slot] else "key"
                style = "absent" if text is None else joins
                place = left + turn * width, y + 20 + slot * 22
                drawing.cells(*place, [[word]], width, style)
            before = texts
        y += 104
    drawing.sample(left, y - 4, "key full", "its prompt and first token")
    drawing.sample(left, y + 16, "key", "a token")
    drawing.sample(left + 96, y + 16, "absent", "nothing")
    return drawing


WORDS = " saw", " the", " en", "emy", " at", " the", " end"
STOP = "the end"


class Wordwise:
    """A tokenizer whose tokens are some words."""

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError(text)

    def decode(self, token_ids: list[int]) -> str:
        return "".join(WORDS[token] for token in token_ids)


def held() -> Drawing:
    row, lines = Row([], np.random.default_rng()), []
    text = Text(row, Wordwise(), [STOP])
    for token, word in enumerate(WORDS):
        row.new.append(token)
        piece = text.read()
        whole = "".join(WORDS[: token + 1])
        kept = "" if row.ended else whole[len(text.sent) :]
        lines.append([f"{each}".replace(" ", "·") for each in (word, piece, kept)])
    told = "; ".join(f"{word} sends {piece or 'nothing'}" for word, piece, _ in lines)
    drawing = Drawing(
        "held",
        "What goes out with each token, and what is held back",
        f"""A table with a line for each token of a text; the stop text is {STOP!r}. A dot is a
        space. {told}. The last token completes the stop text, so the part held back is cut off.""",
    )
    width = 100
    drawing.across(10, 8, ["token", "goes out", "held back"], width, "strong")
    styles = [
        ["stream", "key full" if a else "absent", "query" if b else "absent"] for _, a, b in lines
    ]
    for place, (line, style) in enumerate(zip(lines, styles, strict=True)):
        drawing.cells(10, 22 + place * 24, [line], width, style, height=24)
    end = 22 + len(lines) * 24
    drawing.text(10, end + 14, f"stop: “{STOP}”; a dot is a space", "muted", align="start")
    return drawing
