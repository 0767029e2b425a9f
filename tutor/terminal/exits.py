"""How a command ends: errors are one line, and the exit code says of which kind."""

import contextlib
import io
import os
import sys

import click

from tutor.errors import EnvironmentBrokenError, InputError


def run(app: click.Group, arguments: list[str]) -> int:
    """Run a command; errors are one line, and the exit code says of which kind."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        with app.make_context("tutor", arguments) as context:
            app.invoke(context)
        code = 0
    except click.exceptions.Exit as finished:
        code = finished.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "tutor"
        code = fail(f"{error.format_message().rstrip('.')}; see {command} --help")
    except InputError as error:
        code = fail(str(error))
    except EnvironmentBrokenError as error:
        code = fail(str(error), code=3)
    except click.Abort:  # where a question was asked
        click.echo(err=True)
        code = 130
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "max":
            raise
        code = fail("MAX is not installed; `tutor doctor` tells what is missing", code=3)
    except OSError as error:
        code = fail_to_write(error)
    return code


def fail_to_write(error: OSError) -> int:
    """Say which file cannot be used, or why the output cannot; a reader may go away, as `head`."""
    if error.filename:
        return fail(
            f"{error.filename} cannot be used: {error.strerror}; check its name, rights and disk"
        )
    discard_output()
    if isinstance(error, BrokenPipeError):
        return 0
    return fail(f"the output cannot be written: {error.strerror}; make room")


def discard_output() -> None:
    """Let Python write what it still holds to nowhere; at exit it would fail once more."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, code: int = 2) -> int:
    """Print an error in one line, whatever is in the names that it mentions."""
    click.echo(f"tutor: {' '.join(message.split())}", err=True)
    return code
