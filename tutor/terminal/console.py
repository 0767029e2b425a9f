"""Where commands print."""

import os
import shutil

import click
from rich.console import Console, RenderableType

from tutor.terminal import interrupts

# Below a page; otherwise less shows a colon, and nobody knows how to leave.
PROMPT = "-R -PsSpace goes on, q leaves"


class OpenConsole(Console):
    """A console that leaves it to its user what happens when nobody reads on."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def page(console: Console, content: RenderableType, *, is_wrapped: bool = False) -> None:
    """Print a page at a time what is longer than a terminal; in a pipe, no line is broken.

    Except if it `is_wrapped`, as prose is.
    """
    with console.capture() as captured:
        console.print(content, soft_wrap=not (console.is_terminal or is_wrapped))
    text = captured.get()
    if is_wrapped and not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    has_pager = os.environ.get("PAGER") or shutil.which("less")
    if has_pager and console.is_terminal and text.count("\n") >= console.height:
        os.environ.setdefault("LESS", PROMPT)
        with interrupts.left_to_another():
            click.echo_via_pager(text)
    else:
        click.echo(text, nl=False, color=True)
