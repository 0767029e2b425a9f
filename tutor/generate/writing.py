"""What `tutor generate` prints: a story as it comes, samples one after the other, JSON lines."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress

from tutor.engine.generation import Engine, Story
from tutor.engine.loops import Options
from tutor.errors import InputError
from tutor.generate.prompts import Prompt
from tutor.terminal import interrupts
from tutor.terminal.texts import as_text

ROWS = 8  # stories that are written side by side, each with a cache of its own


@dataclass(frozen=True)
class Sample:
    """A story to write: its number for that prompt, its seed, and from which line of a file."""

    story: Story
    number: int
    seed: int | None  # None if it is greedy, since nothing is drawn then
    line: int | None


def plan(
    engine: Engine, prompts: Sequence[Prompt], count: int, seed: int | None, *, greedy: bool
) -> tuple[list[Sample], list[str]]:
    """The stories to write, `count` for each prompt, and why some lines of a file have none.

    The samples of a prompt have seeds that count on from the first, wherever the prompt stands.
    """
    wanted, refused = [], []
    for prompt, line in prompts:
        try:
            given = as_text(prompt) if isinstance(prompt, bytes) else prompt
            first = engine.story(given, seed)
        except InputError as error:
            if line is None:
                raise
            refused.append(f"line {line}: {error}")
            continue
        stories = [first, *(engine.story(given, first.seed + i) for i in range(1, count))]
        wanted += [
            Sample(story, number, None if greedy else story.seed, line)
            for number, story in enumerate(stories, 1)
        ]
    return wanted, refused


def write(engine: Engine, wanted: Sequence[Sample], options: Options, *, as_json: bool) -> None:
    """Write stories: a single one as it comes, several when they are complete; then how fast."""
    start = time.perf_counter()
    if as_json:
        complete(engine, wanted, options, print_json)
    elif len(wanted) == 1:
        write_as_it_comes(engine, wanted[0].story, options)
    else:
        complete(engine, wanted, options, print_sample)
    seconds = time.perf_counter() - start
    count = sum(len(sample.story.new_ids) for sample in wanted)
    said = f"{count} tokens in {seconds:.1f} s: {count / seconds:.0f} tokens/s"
    if len(wanted) == 1 and wanted[0].seed is not None:
        said += f", seed {wanted[0].seed}"
    if engine.loop.remark:
        said += f"; {engine.loop.remark}"
    Console(stderr=True, highlight=False).print(said, style="dim")


def write_as_it_comes(engine: Engine, story: Story, options: Options) -> None:
    """Print a prompt, and what is written on from it, token by token."""
    pieces = engine.run([story], options)
    print(story.prompt, end="", flush=True)
    try:
        for (piece,) in interrupts.between(pieces):
            print(piece, end="", flush=True)
    finally:
        print(flush=True)


def complete(
    engine: Engine, wanted: Sequence[Sample], options: Options, show: Callable[[Sample, str], None]
) -> None:
    """Write stories, several side by side, and show each as soon as these are complete.

    When this is interrupted, they are shown as far as they are.
    """
    for first in range(0, len(wanted), ROWS):
        rows = wanted[first : first + ROWS]
        try:
            advance(engine, rows, options, f"Stories up to {first + len(rows)} of {len(wanted)}")
        except KeyboardInterrupt:
            for sample in rows:
                show(sample, "eos" if sample.story.has_ended else "interrupted")
            raise
        for sample in rows:
            show(sample, "eos" if sample.story.has_ended else "length")


def advance(engine: Engine, rows: Sequence[Sample], options: Options, said: str) -> None:
    """Write stories to their end, with a bar on standard error if that is a terminal."""
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task(said, total=options.max_new_tokens)
        columns = engine.run([sample.story for sample in rows], options)
        for _ in interrupts.between(columns):
            bar.advance(task)


def print_sample(sample: Sample, finish: str) -> None:  # noqa: ARG001
    """Print a story below a line that says which it is, and with which seed it comes again."""
    seed = "" if sample.seed is None else f", seed {sample.seed}"
    print(f"--- sample {sample.number}{seed} ---")
    print(f"{sample.story.prompt}{sample.story.text}\n", flush=True)


def print_json(sample: Sample, finish: str) -> None:
    """Print a story as a line of JSON; `text` is what comes after the prompt."""
    story = sample.story
    record = {
        **({"line": sample.line} if sample.line else {}),
        "sample": sample.number,
        "seed": sample.seed,
        "prompt": story.prompt,
        "text": story.text,
        "prompt_tokens": story.prompt_ids,
        "tokens": story.new_ids,
        "finish": finish,
    }
    print(json.dumps(record, ensure_ascii=False), flush=True)
