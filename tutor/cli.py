"""The `tutor` command. Each command parses, calls one function, and prints."""

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.shell_completion import CompletionItem, shell_complete

from tutor import ROOT
from tutor.course.names import TREES, find_name, find_names, in_order
from tutor.course.registry import Step, all_steps, load_step
from tutor.course.tracks import STEPS, TRACKS, find_track
from tutor.errors import EnvironmentBrokenError, InputError
from tutor.terminal.exits import discard_output, fail, run

if TYPE_CHECKING:
    from tutor.book.chapters import Chapter

DTYPES = ("float32", "q4_0")
COMPLETE = "_TUTOR_COMPLETE"  # set by a shell that asks how a line can go on


def complete_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to complete the name of a file or folder."""
    return [CompletionItem(incomplete, type="file")]


model_option = click.option(
    "--model",
    help="Use a local folder or a Hub name, like gpt2.  [default: bundled]",
    shell_complete=complete_file,
)


def tree_option(default: str, said: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option --tree, which a command takes."""
    return click.option("--tree", type=click.Choice(TREES), default=default, help=said)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(version("gpt2-from-scratch"), prog_name="tutor")
@click.pass_context
def app(context: click.Context) -> None:
    """Build GPT-2 from scratch on MAX, and let it write."""
    if not (ROOT / "solutions").is_dir():
        raise EnvironmentBrokenError(
            "this tutor is not installed from a clone of the course; there, run `uv run tutor`"
        )
    if context.invoked_subcommand is None:
        from tutor.learn import progress
        from tutor.terminal.console import OpenConsole

        OpenConsole(highlight=False).print(progress.welcome(progress.standings()))


@app.command(
    epilog="""\b
Examples:
  tutor generate "Once upon a time"
  tutor generate "The witch" --temperature 0.7 --top-p 0.9 --seed 1
  tutor generate "The witch" --num-samples 3
  echo "A king had" | tutor generate - --greedy
  tutor generate --batch-file prompts.txt > stories.jsonl
  tutor generate "Hello" --model gpt2
  tutor generate "Hello" --model HuggingFaceTB/SmolLM2-135M
"""
)
@click.argument("prompt", required=False)
@click.option("--prompt", "prompt_option", metavar="TEXT", help="The same as PROMPT.")
@click.option("--prompt-tokens", metavar="IDS", help="Give the prompt as token ids, as in 1,2,3.")
@click.option(
    "--batch-file",
    metavar="FILE",
    help="Read one prompt per line; - is standard input. Prints JSON lines.",
    shell_complete=complete_file,
)
@model_option
@click.option("--max-new-tokens", type=int, default=200, help="Stop after this many tokens.")
@click.option(
    "--temperature", type=float, default=0.8, help="Divide the logits by this; 0 is greedy."
)
@click.option("--greedy", is_flag=True, help="Always take the most likely token.")
@click.option("--top-k", type=int, help="Draw from the k most likely tokens.")
@click.option(
    "--top-p",
    type=float,
    default=1.0,
    help="Draw from the most likely tokens that together have this probability.",
)
@click.option(
    "--num-samples",
    type=click.IntRange(1, 10_000),
    default=1,
    help="Write this many stories from each prompt.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Make the text repeatable; each further sample uses the next number.",
)
@click.option(
    "--stop-at-eos/--no-stop-at-eos",
    default=True,
    help="Stop where the model ends its text.",
)
@click.option("--device", type=click.Choice(["cpu", "gpu"]), default="cpu")
@click.option("--dtype", type=click.Choice(DTYPES), default=DTYPES[0])
@click.option(
    "--context",
    type=int,
    metavar="N",
    help="Reserve memory for a text of N tokens.  [default: what the model knows, at most 4096]",
)
@click.option("--no-cache", is_flag=True, help="Compute the whole context for each token.")
@click.option(
    "--speculation/--no-speculation",
    default=True,
    help="Guess tokens of a long text with four-bit weights, and check them; it stays the same.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json prints one object per line, with tokens and seed.",
)
@tree_option("solutions", "Run the reference or your code.")
def generate(
    prompt: str | None,
    prompt_option: str | None,
    prompt_tokens: str | None,
    batch_file: str | None,
    model: str | None,
    max_new_tokens: int,
    temperature: float,
    greedy: bool,
    top_k: int | None,
    top_p: float,
    num_samples: int,
    seed: int | None,
    stop_at_eos: bool,
    device: str,
    dtype: str,
    context: int | None,
    no_cache: bool,
    speculation: bool,
    output: str,
    tree: str,
) -> None:
    """Continue PROMPT, or "Once upon a time"; - reads it from standard input."""
    from tutor.engine.loops import Options
    from tutor.engine.start import compile_engine, start_engine
    from tutor.generate import prompts, writing

    options = Options(max_new_tokens, 0 if greedy else temperature, top_k, top_p, stop_at_eos)
    given = prompts.find_prompts(
        {
            "PROMPT": prompt,
            "--prompt": prompt_option,
            "--prompt-tokens": prompt_tokens,
            "--batch-file": batch_file,
        }
    )
    choice: dict[str, Any] = {
        "model": model,
        "tree": tree,
        "device": device,
        "dtype": dtype,
        "context": context,
        "cache": not no_cache,
        "speculation": speculation and len(given) * num_samples == 1,
    }
    engine = start_engine(**choice)
    wanted, refused = writing.plan(
        engine, given, num_samples, seed, greedy=options.temperature == 0
    )
    for line in refused:
        fail(f"{batch_file}, {line}")
    engine.check(options)
    if wanted:
        compile_engine(engine, **choice)
        as_json = output == "json" or batch_file is not None
        try:
            writing.write(engine, wanted, options, as_json=as_json)
        except BrokenPipeError:
            discard_output()  # the reader has what it wants; what was refused still counts
    if refused:
        raise click.exceptions.Exit(1)


@app.command(
    epilog="""\b
Examples:
  tutor train my-text.txt
  tutor train letters/*.txt --output my-letters --minutes 60
  tutor train my-text.txt --architecture llama --output my-llama

Ctrl-C keeps the best model so far; the same command continues. Needs PyTorch: put `uv run --extra
train` in front.
"""
)
@click.argument(
    "texts",
    nargs=-1,
    required=True,
    metavar="TEXT …",
    type=click.Path(path_type=Path),
    shell_complete=complete_file,
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("my-model"),
    help="Write the model into this folder.",
)
@click.option("--architecture", type=click.Choice(["gpt2", "llama"]), default="gpt2")
@click.option(
    "--minutes",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=20.0,
    help="Plan a training of about this length.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=0, help="Draw weights and batches from this."
)
@click.option("--vocab-size", type=click.IntRange(257, 100_000), help="Learn this many tokens.")
@click.option("--n-positions", type=click.IntRange(8, 8192), help="Let it see this many tokens.")
@click.option("--n-embd", type=click.IntRange(8, 8192), help="Make its vectors this wide.")
@click.option("--n-layer", type=click.IntRange(1, 100), help="Stack this many blocks.")
@click.option("--n-head", type=click.IntRange(1, 256), help="Give attention this many heads.")
@click.option(
    "--steps",
    type=click.IntRange(2, 10_000_000),
    help="Take this many steps, however long they take.",
)
def train(texts: tuple[Path, ...], output: Path, **wanted: Any) -> None:
    """Train a model of your own on text files: its tokenizer, and a GPT-2 or a Llama.

    What you leave out fits the text and the time. A file is one text, unless lines of
    `<|endoftext|>` divide it. Some of the text is held out, to measure how well the model does.
    """
    from tutor.train.plan import Wanted
    from tutor.train.run import train

    train(texts, output, Wanted(**wanted))


@app.command(
    epilog="""\b
Examples:
  tutor serve
  tutor serve --tree steps
  tutor serve --model gpt2 --port 8080 --slots 4
  curl -d '{"model": "fairy-tales", "prompt": "Once"}' localhost:8000/v1/completions
"""
)
@model_option
@tree_option("solutions", "Run the reference or your code.")
@click.option("--host", default="127.0.0.1", help="Listen at this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    help="Listen on this port; 0 picks a free one.",
)
@click.option(
    "--slots", type=click.IntRange(1, 256), default=8, help="Write this many texts side by side."
)
@click.option(
    "--queue", type=click.IntRange(0, 100_000), default=64, help="Let this many more texts wait."
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    help="Write no more than this many tokens for a text.",
)
def serve(
    model: str | None, tree: str, host: str, port: int, slots: int, queue: int, max_tokens: int
) -> None:
    """Serve a model over HTTP, as OpenAI's API for completions does."""
    from tutor.serve.run import serve

    serve(model, tree, host, port, slots, queue, max_tokens)


class Share(click.ParamType["tuple[int, int]"]):
    """One of several parts: 2/3."""

    name = "part"

    def convert(
        self,
        value: str | tuple[int, int],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int]:
        if not isinstance(value, str):
            return value
        part, _, parts = value.partition("/")
        if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
            self.fail(f"{value!r} is not a part; 2/3 is the second of three", param, ctx)
        return int(part), int(parts)


class StepName(click.ParamType["Step"]):
    """A step as people name it: 7, 07, s07; e1, e01."""

    name = "step"

    def convert(
        self, value: str | Step, param: click.Parameter | None, ctx: click.Context | None
    ) -> Step:
        name = find_name(value) if isinstance(value, str) else value
        if not name:
            ranges = [f"{steps[0].short} to {steps[-1].short}" for steps in map(all_steps, TRACKS)]
            self.fail(f"{value!r} is not a step; the steps are {', '.join(ranges)}", param, ctx)
        return load_step(name)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The steps that begin like this, each by its shortest name that does."""
        for spelling in ("short", "task", "name"):
            items = [
                CompletionItem(getattr(step, spelling), help=step.title) for step in all_steps()
            ]
            if found := [item for item in items if item.value.startswith(incomplete)]:
                return found
        return []


@app.command(
    epilog="""\b
Examples:
  tutor check 7
  tutor check 7 8 --tree solutions
  tutor check e1
  tutor check --all
  tutor check --track engine
"""
)
@click.argument("steps", nargs=-1, type=StepName(), metavar="N [M …]")
@click.option("--all", "every", is_flag=True, help="Check the twelve steps.")
@click.option(
    "--track", type=click.Choice([track.name for track in TRACKS]), help="Check a whole track."
)
@tree_option("steps", "Check your code or the reference.")
@click.option(
    "--timeout",
    type=click.IntRange(1, 86400),
    default=60,
    help="Give each step this many seconds.",
)
def check(steps: tuple[Step, ...], every: bool, track: str | None, tree: str, timeout: int) -> None:
    """Check steps: what is right, what is wrong, and which mistake it is."""
    if [bool(steps), every, bool(track)].count(True) != 1:
        raise InputError("name the steps to check, as in tutor check 7, or give --all or --track")
    from tutor.check.run import check_steps

    chosen = in_order({*steps}) if steps else all_steps(find_track(track) if track else STEPS)
    verdicts = check_steps(chosen, tree, timeout)
    if "environment broken" in verdicts:
        raise click.exceptions.Exit(3)
    if set(verdicts) != {"passed"}:
        raise click.exceptions.Exit(1)


@app.command(
    epilog="""\b
Examples:
  tutor grade submissions/
  tutor grade ada/ bob.zip file:///srv/git/eve.git --output grades
  tutor grade submissions/ --steps 3,7-9 --jobs 2 --seed 1
  tutor grade submissions.zip --format canvas
  tutor grade submissions/ --scheduler tcp://10.0.0.1:8786
  tutor grade --merge grades-*/results/*.json --output grades
  tutor grade --bundle gradescope

To continue after an interruption, run it again: finished grades are kept.
"""
)
@click.argument("paths", nargs=-1, metavar="PATH …", shell_complete=complete_file, required=False)
@click.option(
    "--deps",
    type=click.Choice(["reference", "own"]),
    default="reference",
    help="Run each step on the other steps of the reference or of the learner.",
)
@click.option(
    "--steps", "wanted", default="1-12", help="Grade these steps, as in 3,7-9 or 1-12,e1-e3."
)
@click.option(
    "--part",
    type=Share(),
    metavar="K/N",
    help="Grade one of N parts of the class, as in 2/3, to share the work.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    default=lambda: os.cpu_count() or 1,
    show_default="one for each processor",
    help="Grade this many side by side.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Grade on the workers of this Dask scheduler, or of `local`, which is started here.",
)
@click.option(
    "--timeout", type=click.IntRange(1, 3600), default=20, help="Give each step this many seconds."
)
@click.option(
    "--memory",
    type=click.IntRange(256, 2**20),
    default=3072,
    help="Let a submission map this many megabytes beyond what MAX takes.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("grades"),
    help="Write the results into this folder.",
)
@click.option(
    "--seed",
    type=click.IntRange(1, 2**31 - 1),
    help="Draw the inputs from this seed.  [default: that of the results there, or a new one]",
)
@click.option(
    "--run-as-root",
    is_flag=True,
    help="Grade even where submissions can only run as root.",
)
@click.option(
    "--format",
    "grade_book",
    type=click.Choice(["canvas", "moodle"]),
    help="Also write a file for its grade book to import.",
)
@click.option("--merge", is_flag=True, help="Join results from elsewhere; the PATHs are these.")
@click.option(
    "--bundle",
    type=click.Choice(["gradescope"]),
    help="Write an autograder to upload, and grade nothing.",
)
def grade(
    paths: tuple[str, ...],
    deps: Literal["reference", "own"],
    wanted: str,
    part: tuple[int, int] | None,
    jobs: int,
    scheduler: str | None,
    timeout: int,
    memory: int,
    output: Path,
    seed: int | None,
    run_as_root: bool,
    grade_book: str | None,
    merge: bool,
    bundle: str | None,
) -> None:
    """Grade folders, archives and git repositories, or a folder or archive full of these.

    Everything there is graded, or listed with the reason. Each submission is graded on a copy, with
    the tests and solutions of this course. Writes tables, a report to read, and the files that
    Gradescope, GitHub Classroom, Exercism, grade books and CI systems read.
    """
    if bool(paths) == bool(bundle):
        raise InputError("name the submissions, as in tutor grade submissions/")
    from tutor.grade import bundles
    from tutor.grade import run as grading
    from tutor.grade.formats.files import check_names
    from tutor.grade.submissions.find import find

    if bundle:
        click.echo(bundles.gradescope(output, wanted, deps, seed, timeout, memory))
        return
    if merge:
        found = grading.merge(map(Path, paths), output, grade_book)
    else:
        sources, names = find(paths, output), find_names(wanted)
        check_names([source.learner for source in sources])
        if part and not (sources := sources[part[0] - 1 :: part[1]]):
            click.echo(f"Part {part[0]} of {part[1]} is empty: there are fewer submissions.")
            return
        with grading.executor(scheduler, jobs, memory, run_as_root=run_as_root) as where:
            order = grading.make_order(where, output, names, deps, seed, timeout)
            found = grading.grade_class(order, sources, where, grade_book)
    verdicts = {step.verdict for each in found for step in each.steps}
    if "environment broken" in verdicts:
        raise click.exceptions.Exit(3)
    if verdicts != {"passed"} or not all(each.was_read for each in found):
        raise click.exceptions.Exit(1)


@app.command(
    epilog="""\b
Keys:
  n  take the next step, once this one has passed
  h  give the next hint
  l  list all steps
  r  check again
  s  show your step beside the solution
  q  quit

\b
Examples:
  tutor watch
  tutor watch 7

If a save goes unnoticed, as on some network folders: WATCHFILES_FORCE_POLLING=1 tutor watch
"""
)
@click.argument("step", required=False, type=StepName(), metavar="[N]")
def watch(step: Step | None) -> None:
    """Check step N, or the current one, each time you save it."""
    from tutor.learn.watch import watch

    watch(step)


@app.command(
    epilog="""\b
Examples:
  tutor progress
  tutor progress > progress.txt
  tutor progress --share my-gpt2.svg
"""
)
@click.option(
    "--share",
    "shared",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw what you have built as this .svg, and print it in words.",
)
def progress(shared: Path | None) -> None:
    """Show what the last checks said about each step, and what comes next."""
    from tutor.learn import progress, share
    from tutor.terminal.console import OpenConsole

    if shared:
        click.echo(share.share(progress.standings(), shared), nl=False)
        return
    console = OpenConsole(highlight=False)
    console.print(progress.overview(progress.standings(), console.width))


@app.command(
    epilog="""\b
Examples:
  tutor hint
  tutor hint 7
"""
)
@click.argument("step", required=False, type=StepName(), metavar="[N]")
def hint(step: Step | None) -> None:
    """Give a hint for the first check that failed in step N, or in the current one.

    Each check has three. The last one is nearly the code.
    """
    from rich.text import Text

    from tutor.learn import hints
    from tutor.terminal.console import OpenConsole

    OpenConsole().print(Text(hints.tell(step)))


@app.command(
    epilog="""\b
Examples:
  tutor solution 7
  tutor solution 7 --yes > difference.txt
"""
)
@click.argument("step", type=StepName(), metavar="N")
@click.option("--yes", "-y", is_flag=True, help="Show it without asking, passed or not.")
def solution(step: Step, yes: bool) -> None:
    """Show your step N beside the reference, and where they differ.

    If the step has not passed yet, it asks first, and `tutor progress` shows that you have looked.
    """
    from tutor.learn import progress, records
    from tutor.learn import solution as comparison
    from tutor.terminal.console import OpenConsole, page

    here = progress.standing(step)
    if here.verdict != "passed" and not here.was_opened:
        name = f"{here.step.label.capitalize()} has not passed yet"
        can_answer = sys.stdin and sys.stdin.isatty()
        if not (yes or can_answer):
            code = fail(
                f"{name}; to see the solution anyway: tutor solution {step.short} --yes", code=1
            )
            raise click.exceptions.Exit(code)
        if not (yes or click.confirm(f"{name}. Show the solution anyway?", err=True)):
            raise click.exceptions.Exit(1)
        records.open_solution(step)
    console = OpenConsole(highlight=False)
    page(console, comparison.show(here.step, console))


@app.command(
    epilog="""\b
Examples:
  tutor reset 7
  tutor reset 7 --undo
"""
)
@click.argument("step", type=StepName(), metavar="N")
@click.option("--undo", is_flag=True, help="Bring back the version that was saved last.")
def reset(step: Step, undo: bool) -> None:
    """Reset step N to the original exercise; your file is saved first.

    It goes to .tutor/saved, under a name with the time.
    """
    from tutor.learn import reset

    click.echo(reset.undo(step) if undo else reset.reset(step))


@app.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  tutor show attention "The witch gave Hansel an apple, and Hansel ate it."
  tutor show next "The king said to his"
  tutor show shapes 7
""",
)
@click.pass_context
def show(context: click.Context) -> None:
    """Look inside a model, here or as a picture in a file."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def picture(command: Callable[..., None]) -> Callable[..., None]:
    """The options that all pictures share."""
    for option in (
        click.option(
            "--output",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Draw it into this file, as PNG or SVG.",
        ),
        tree_option("solutions", "Run the reference or your code."),
        click.option(
            "--model",
            shell_complete=complete_file,
            help="Use a local folder or a Hub name, like gpt2.",
        ),
    ):
        command = option(command)
    return command


@show.command(
    epilog="""\b
Examples:
  tutor show attention "The witch gave Hansel an apple, and Hansel ate it."
  tutor show attention "The witch gave Hansel an apple." --layer 3 --head 0
  tutor show attention "The witch gave Hansel an apple." --output heads.png
  tutor show attention "The witch gave Hansel an apple." --tree steps
"""
)
@click.argument("text")
@click.option("--layer", type=int, help="Count from 0.  [default: the last]")
@click.option(
    "--head", type=int, help="Count from 0.  [default: their mean; in a file, each of them]"
)
@picture
def attention(text: str, layer: int | None, head: int | None, **options: Any) -> None:
    """Show how much each token of TEXT takes from the ones before it."""
    from tutor.show.attention import show_attention

    show_attention(text, layer, head, **options)


@show.command(
    "next",
    epilog="""\b
Examples:
  tutor show next "The king said to his"
  tutor show next "The king said to his" --temperature 0.2 --temperature 2 --top 20
  tutor show next "The king said to his" --output next.svg
""",
)
@click.argument("text")
@click.option(
    "--temperature",
    "temperatures",
    type=float,
    multiple=True,
    default=(0.5, 0.8, 1.0, 1.5),
    show_default=True,
    help="Show this temperature; give it several times for several.",
)
@click.option(
    "--top",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Show this many tokens, the most likely first.",
)
@picture
def next_token(text: str, temperatures: tuple[float, ...], top: int, **options: Any) -> None:
    """Show which tokens may follow TEXT, and how likely each is."""
    from tutor.show.next_token import show_next

    show_next(text, temperatures, top, **options)


@show.command(
    epilog="""\b
Examples:
  tutor show shapes 7
  tutor show shapes 7 --tree steps
  tutor show shapes 10 --model models/fairy-tales --output shapes.svg
"""
)
@click.argument("step", type=StepName(), metavar="N")
@picture
def shapes(step: Step, **options: Any) -> None:
    """Show the shapes on the way through step N.

    The sizes are those of GPT-2 small, and in the modern track those of Qwen3 4B, unless you give a
    --model. If a step needs weights, they are those of the bundled model. Steps of the text track
    show how they process a short text.
    """
    from tutor.show.shapes import show_shapes

    show_shapes(step, **options)


class ChapterName(click.ParamType["Chapter"]):
    """A chapter of the book: a step, such as 7 or e2, or the name of a file, such as setup."""

    name = "chapter"

    def convert(
        self, value: "str | Chapter", param: click.Parameter | None, ctx: click.Context | None
    ) -> "Chapter":
        from tutor.book.chapters import find_chapter

        del param, ctx
        return find_chapter(value) if isinstance(value, str) else value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The chapters that begin like this."""
        from tutor.book.chapters import contents

        items = [CompletionItem(each.short, help=each.title) for each in contents()]
        return [item for item in items if item.value.startswith(incomplete)]


@app.command(
    epilog="""\b
Examples:
  tutor read
  tutor read 7
  tutor read e4 --unfold
  tutor read troubleshooting > troubleshooting.txt
"""
)
@click.argument("chapter", required=False, type=ChapterName(), metavar="[N]")
@click.option("--unfold", is_flag=True, help="Also show what is folded: answers and lists.")
def read(chapter: "Chapter | None", unfold: bool) -> None:
    """Read the chapter of step N here, or list all chapters.

    `tutor book 7` opens it in the browser, with its pictures.
    """
    from tutor.book import reading
    from tutor.terminal.console import OpenConsole, page

    console = OpenConsole(highlight=False, theme=reading.THEME)
    console.width = min(console.width, reading.MOST_COLUMNS)
    text = reading.read(chapter, unfold=unfold) if chapter else reading.listing()
    page(console, text, is_wrapped=True)


@app.command(
    epilog="""\b
Examples:
  tutor book
  tutor book 7
  tutor book 7 --mistake "scaled by the width"
  tutor book --mistake "softmax over the heads"
"""
)
@click.argument("chapter", required=False, type=ChapterName(), metavar="[N]")
@click.option("--mistake", metavar="NAME", help="Open what the book says about this mistake.")
@click.option(
    "--open/--no-open", "opened", default=True, help="Open it, or only print where it is."
)
def book(chapter: "Chapter | None", mistake: str | None, opened: bool) -> None:
    """Open the book in the browser, and build it first if necessary.

    With N it opens at the chapter of step N. `tutor read 7` shows a chapter here.
    """
    from tutor.book import site

    stem, anchor = chapter.stem if chapter else "index", ""
    if mistake:
        steps = [load_step(chapter.step)] if chapter and chapter.step else all_steps()
        step, known = site.find_mistake(mistake, steps)
        stem, anchor = step.name, f"#{known.anchor}"
    page, said = site.find(stem)
    if said:
        fail(said)
    click.echo(f"{page}{anchor}")
    if opened:
        site.show(f"{page.as_uri()}{anchor}")


@app.command(
    epilog="""\b
Examples:
  uv run --extra notebook tutor notebook 7
"""
)
@click.argument("step", type=StepName(), metavar="N")
@click.option(
    "--open/--no-open", "opened", default=True, help="Open it, or only print where it is."
)
def notebook(step: Step, opened: bool) -> None:
    """Open the examples of step N's chapter as a notebook, your own copy to change."""
    from tutor import notebook

    page = notebook.find(step)
    click.echo(page)
    if opened:
        notebook.show(page)


@app.command()
@click.option(
    "--compile",
    "compiling",
    is_flag=True,
    help="Have MAX compile the kernels that the course needs, if none fit.",
)
def doctor(compiling: bool) -> None:
    """Say what the course finds on this machine."""
    from tutor.doctor import compile_kernels, examine

    if compiling:
        compile_kernels()
    healthy = True
    for finding in examine():
        healthy &= finding.ok
        click.echo(f"{'ok ' if finding.ok else 'BAD'}  {finding.name:<14} {finding.text}")
    if not healthy:
        raise click.exceptions.Exit(3)


def main() -> None:
    """Run the command, or tell a shell that asks how a line can go on."""
    if wanted := os.environ.get(COMPLETE):
        sys.exit(shell_complete(app, {}, "tutor", COMPLETE, wanted))
    sys.exit(run(app, sys.argv[1:]))
