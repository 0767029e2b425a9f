"""Errors that are the user's to mend: one line that names the thing and what to do."""


class InputError(Exception):
    """Bad usage or bad input; the command prints the line and exits with 2."""
