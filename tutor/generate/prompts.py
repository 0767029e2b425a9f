"""What `tutor generate` writes on from: an argument, token ids, or the lines of a file."""

import codecs
from pathlib import Path

from tutor.errors import InputError
from tutor.terminal.texts import read_standard_input, text_argument

# A prompt, as text or token ids, and its line if it comes from a file.
Prompt = tuple[str | bytes | list[int], int | None]


def find_prompts(sources: dict[str, str | None]) -> list[Prompt]:
    """The prompts of a command, which names them in one place at most."""
    given = {name: value for name, value in sources.items() if value is not None}
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} are given, but only one can be; see tutor generate --help"
        )
    ((name, value),) = given.items() or [("PROMPT", "Once upon a time")]
    if name == "--batch-file":
        if not value or Path(value).is_dir():
            raise InputError(
                f"--batch-file {value!r} is not a file; give one with a prompt on each line"
            )
        content = read_standard_input() if value == "-" else Path(value).read_bytes()
        lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
        if not lines:
            raise InputError(f"--batch-file {value} has no prompts; write one on each line")
        return [(line, number) for number, line in enumerate(lines, 1)]
    if name == "--prompt-tokens":
        return [(parse_tokens(value), None)]
    return [(text_argument(value), None)]


def parse_tokens(value: str) -> list[int]:
    """Token ids with commas between. Raises InputError for anything else."""
    try:
        return [int(number) for number in value.split(",")]
    except ValueError:
        raise InputError(
            f"--prompt-tokens must be whole numbers separated by commas, but is {value!r}"
        ) from None
