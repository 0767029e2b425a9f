"""Errors that the user can fix: one line that names the thing and what to do."""

import textwrap


class InputError(Exception):
    """Bad usage or bad input; the command prints the line and exits with 2."""


class EnvironmentBrokenError(Exception):
    """The machine or the installation is at fault; the command prints the line and exits with 3."""


def reason(error: Exception) -> str:
    """What a library says went wrong, short enough to be part of a line."""
    return textwrap.shorten(str(error), width=240, placeholder=" …")
