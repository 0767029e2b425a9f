"""What is shown: a model, and a text in tokens."""

from pathlib import Path

from rich.cells import cell_len, set_cell_size

from tutor.engine import checkpoint
from tutor.engine.generation import Engine
from tutor.engine.start import start_engine
from tutor.show import pictures
from tutor.terminal.texts import text_argument

WIDEST_LABEL = 12  # of a token in the terminal


def read(
    text: str, model: str | None, tree: str, output: Path | None
) -> tuple[Engine, str, list[int]]:
    """The model, not compiled, and a text with its tokens; - is what comes from standard input."""
    if output:
        pictures.check_output(output)
    prompt = text_argument(text)
    engine = start_engine(model, tree=tree)
    story = engine.story(prompt, seed=0)
    return engine, story.prompt, story.prompt_ids


def name_of(model: str | None) -> str:
    """What a title calls a model."""
    return checkpoint.find_model(model).name if model is None else Path(model).name or model


def visible(token: str) -> str:
    """A token with its spaces, line ends and whatever else is not to be seen."""
    marked = token.replace(" ", "␣").replace("\n", "↵")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in marked)


def label(token: str, width: int) -> str:
    """A token at the right end of so many columns, cut if it is longer."""
    cut = set_cell_size(token, width - 1) + "…" if cell_len(token) > width else token
    return " " * (width - cell_len(cut)) + cut
