"""What `tutor generate` prints: a story as it comes, samples one after the other, JSON lines."""

import codecs
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from tutor import compiling, interrupts, loading, runtime
from tutor.errors import InputError
from tutor.generation import Engine, Story, load_engine
from tutor.loops import CACHE, CORE, Options

ROWS = 8  # stories that are written side by side, each with a cache of its own


@dataclass(frozen=True)
class Sample:
    """A story to write: the which of its prompt, with which seed, and from which line of a file."""

    story: Story
    number: int
    seed: int | None  # None if it is greedy, since nothing is drawn then
    line: int | None


@interrupts.held(patience=0)
def start_engine(model: str | None, **options: Any) -> Engine:
    """An engine, with a status line until it is loaded."""
    runtime.activate()  # before the status line, since it may say something
    with Console(stderr=True).status(Text(f"Loading {model or 'the bundled model'}")):
        return load_engine(model, **options)


@interrupts.held(patience=0)
def compile_engine(engine: Engine, **options: Any) -> None:
    """Have the model of an engine compiled, or NumPy in its place while MAX compiles it.

    The options are those that the engine was started with. Says so if a learner's cache is not
    there yet.
    """
    from tutor.runtime import graphs  # and with it MAX, which is ready by now

    console = Console(stderr=True, highlight=False)
    with (
        console.status("Preparing the model") as status,
        runtime.heard_by(loading.CompileClock(status)),
        graphs.postponed() as waiting,
    ):
        number = engine.loop.number
    if options["cache"] and number != CACHE:
        last = "step 12" if number == CORE else "engine 03"
        console.print(f"The KV cache is not finished; using the loop of {last}.", style="dim")
    if waiting:
        console.print(compiling.compile_later(waiting[0], options), style="dim", soft_wrap=True)


# A prompt, as text or token ids, and its line if it comes from a file.
Prompt = tuple[str | bytes | list[int], int | None]


def find_prompts(sources: dict[str, str | None]) -> list[Prompt]:
    """What to write on from, where of all places that could name it at most one does."""
    given = {name: value for name, value in sources.items() if value is not None}
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} are given, but one is enough; see tutor generate --help"
        )
    ((name, value),) = given.items() or [("PROMPT", "Once upon a time")]
    if name == "--batch-file":
        if not value or Path(value).is_dir():
            raise InputError(
                f"--batch-file {value!r} is no file; write a prompt on each of its lines"
            )
        content = read_standard_input() if value == "-" else Path(value).read_bytes()
        lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
        if not lines:
            raise InputError(f"--batch-file {value} has no prompts; write one on each line")
        return [(line, number) for number, line in enumerate(lines, 1)]
    if name == "--prompt-tokens":
        return [(parse_tokens(value), None)]
    if value == "-":
        return [(as_text(read_standard_input().rstrip(b"\r\n")), None)]
    return [(as_text(value.encode(errors="surrogateescape")), None)]


def read_standard_input() -> bytes:
    """All of it, or nothing if it is closed."""
    return sys.stdin.buffer.read() if sys.stdin else b""


def as_text(prompt: bytes) -> str:
    """A prompt as it was given. Raises InputError if it is no text."""
    try:
        text = prompt.decode()
    except UnicodeDecodeError:
        raise InputError("the prompt is not text in UTF-8; convert it first") from None
    if not text:
        raise InputError("the prompt is empty; give the model at least a word to go on from")
    return text


def parse_tokens(value: str) -> list[int]:
    """Token ids with commas between. Raises InputError for anything else."""
    try:
        return [int(number) for number in value.split(",")]
    except ValueError:
        raise InputError(
            f"--prompt-tokens must be whole numbers with commas between, but is {value!r}"
        ) from None


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
