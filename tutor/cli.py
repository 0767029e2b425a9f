"""The `tutor` command. Each command parses, calls one function, and prints."""

import math
import sys
import time
from importlib.metadata import version

import click

from tutor.errors import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("gpt2-from-scratch"), prog_name="tutor")
def app() -> None:
    """Build GPT-2 from scratch on MAX, and let it write."""


@app.command(
    epilog="""\b
Examples:
  tutor generate "Once upon a time"
  tutor generate "The witch" --temperature 0.7 --seed 1
  echo "A king had" | tutor generate - --greedy
  tutor generate "Hello" --model gpt2
"""
)
@click.argument("prompt", default="Once upon a time")
@click.option("--model", help="A local folder or a Hub name, like gpt2.  [default: bundled]")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0 is greedy.")
@click.option("--greedy", is_flag=True, help="Always take the likeliest token.")
@click.option("--seed", type=click.IntRange(min=0), help="Repeat a text exactly.")
@click.option(
    "--tree",
    type=click.Choice(["solutions", "steps"]),
    default="solutions",
    show_default=True,
    help="Whose code runs: the reference or yours.",
)
def generate(
    prompt: str,
    model: str | None,
    max_new_tokens: int,
    temperature: float,
    greedy: bool,
    seed: int | None,
    tree: str,
) -> None:
    """Write on from PROMPT; - reads it from standard input."""
    if not temperature >= 0:
        raise InputError(f"--temperature must be 0 or more, but is {temperature}")
    if prompt == "-":
        prompt = read_prompt()
    if not prompt:
        raise InputError("the prompt is empty; give the model at least a word to go on from")

    from rich.console import Console

    from tutor import generation, runtime

    console = Console(stderr=True)
    folder = generation.find_model(model)
    generation.check_folder(folder)
    runtime.activate()
    with generation.patience(console, f"Loading {folder.name}"):
        tokenizer = generation.load_tokenizer(folder)
        loaded = generation.load_model(folder, tree)
    prompt_ids = generation.encode_prompt(prompt, tokenizer, loaded.config)
    print(prompt, end="", flush=True)
    count, start = 0, time.perf_counter()
    for piece, tokens in generation.stream_text(
        loaded, tokenizer, prompt_ids, max_new_tokens, temperature, not greedy, seed=seed, tree=tree
    ):
        print(piece, end="", flush=True)
        count += tokens
    print(flush=True)
    seconds = time.perf_counter() - start
    rate = count / seconds if count else math.nan
    console.print(f"{count} tokens in {seconds:.1f} s: {rate:.0f} tokens/s", style="dim")


def read_prompt() -> str:
    """All of standard input, without the line end that `echo` adds."""
    try:
        return sys.stdin.read().rstrip("\n")
    except UnicodeDecodeError:
        raise InputError("standard input is not text in UTF-8; convert it first") from None


@app.command()
def doctor() -> None:
    """Tell what the course finds on this machine."""
    from tutor.doctor import examine

    healthy = True
    for finding in examine():
        healthy &= finding.ok
        click.echo(f"{'ok ' if finding.ok else 'BAD'}  {finding.name:<14} {finding.text}")
    if not healthy:
        raise click.exceptions.Exit(3)


def main() -> None:
    """Run the command; errors are one line, and the exit code says of which kind."""
    try:
        code = app(standalone_mode=False) or 0
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "tutor"
        code = fail(f"{error.format_message().rstrip('.')}; see {command} --help")
    except (InputError, click.ClickException) as error:
        code = fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except BrokenPipeError:
        # The reader went away, as `head` does: nothing is wrong, and nothing more to say.
        sys.stderr.close()
        code = 0
    sys.exit(code)


def fail(message: str) -> int:
    """Say what is wrong, in one line on standard error; the exit code for it."""
    click.echo(f"tutor: {message}", err=True)
    return 2
