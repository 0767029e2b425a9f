"""Derive the notebooks: of each step's chapter the examples, with what they print, and the prose.

python -m tools.book.make_notebooks            write them
python -m tools.book.make_notebooks --check    only tell which have changed; exit with 1 if any has
"""

import ast
import doctest
import re
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import derived
from tutor.course.registry import Step, all_steps
from tutor.notebook import BOOK, NOTEBOOKS

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
FOUND = "solutions/solution_01.py"  # a folder with this file is a clone of the course

# The first cell. It is the same in all notebooks, and knows no address: a clone has none.
SET_UP = f'''\
# Find the course. If it isn't here, as in a hosted notebook, fetch it first.
import os
import subprocess
import sys
from pathlib import Path

here = Path.cwd()
places = [here, *here.parents, here / "course"]
clone = next((place for place in places if (place / "{FOUND}").exists()), None)
if clone is None:
    address = input("Address of the course's repository: ")
    subprocess.run(["git", "clone", "--depth=1", address, "course"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "./course"], check=True)
    clone = here / "course"
os.chdir(clone)
sys.path.insert(0, str(clone))'''

PIECE = re.compile(
    r"""
      ```python\n
      \{\{\#include\ \.\./(?P<folder>examples|tries)/(?P<file>\w+)\.txt:(?P<part>\w+)\}\}\n```
    | \{\{\#include\ \.\./equations/(?P<equation>\w+)\.html\}\}
    | <figure>\n\{\{\#include\ \.\./figures/(?P<figure>\w+)\.svg\}\}\n.*?</figure>
    """,
    re.DOTALL | re.VERBOSE,
)
# What a notebook leaves out, and what stands there instead.
LEFT_OUT = (
    (r'<figure class="widget[^>]*>.*?</figure>|<script.*?</script>', ""),
    (r"\{\{#include \.\./(?:maps|facts)/.*?\}\}", ""),
    (r"<!--.*?-->", ""),
    (r"<details>\n<summary>See it done</summary>\n(.*?)</details>", r"\1"),  # a session in cells
    (r"<fieldset.*?>\n<legend>(.*?)</legend>", r"**\1**"),
    (r"</fieldset>", ""),
    (r"\[((?:[^][]|\[[^]]*\])*)\]\((?!https?:)[^)]*\)", r"\1"),  # links into the book
    (r"\n{3,}", "\n\n"),
)


def notebook(step: Step) -> NotebookNode:
    """The notebook of a step's chapter."""
    title, _, text = (BOOK / "src" / f"{step.name}.md").read_text().partition("\n")
    cells = [
        new_markdown_cell(
            f"{title}\n\nThe examples of this chapter, to run and to change. `uv run tutor book` "
            "opens the chapter itself, with the task, the widgets and the known mistakes."
        ),
        new_code_cell(SET_UP),
    ]
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        if PIECE.search(section) or "<fieldset" in section:
            cells += cells_of(section)
    for place, cell in enumerate(cells):
        cell["id"] = f"{step.name}-{place}".replace("_", "-")
    made = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.validate(made)
    return made


def cells_of(section: str) -> Iterator[NotebookNode]:
    """The prose of a section, its equations and pictures within, and its sessions."""
    for pattern, instead in LEFT_OUT:
        section = re.sub(pattern, instead, section, flags=re.DOTALL)
    prose, attachments, end = "", {}, 0
    for piece in PIECE.finditer(section):
        prose, end = prose + section[end : piece.start()], piece.end()
        if piece["equation"]:
            prose += maths(piece["equation"])
        elif piece["figure"]:
            prose += f"![{piece['figure']}](attachment:{piece['figure']}.svg)"
            attachments[f"{piece['figure']}.svg"] = picture(piece["figure"])
        else:
            yield from markdown(prose, attachments)
            prose, attachments = "", {}
            file = BOOK / piece["folder"] / f"{piece['file']}.txt"
            yield from session(file, piece["part"], folded=piece["folder"] == "tries")
    yield from markdown(prose + section[end:], attachments)


def markdown(prose: str, attachments: dict[str, dict[str, str]]) -> Iterator[NotebookNode]:
    """A cell of prose, if there is any."""
    if prose.strip():
        cell = new_markdown_cell(prose.strip())
        if attachments:
            cell["attachments"] = attachments
        yield cell


def maths(name: str) -> str:
    """The rows of an equation, as notebooks want them."""
    rows: list[str] = tomllib.loads((BOOK / "equations.toml").read_text())[name]
    return "\n\n".join(f"$${row}$$" for row in rows)


def picture(name: str) -> dict[str, str]:
    """A figure of the book that stands by itself, with the colours of a light page."""
    svg = (BOOK / "figures" / f"{name}.svg").read_text()
    style = (BOOK / "figures.css").read_text()
    style = re.sub(r"light-dark\((.*?), .*?\)", r"\1", style)
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    ground = (
        "svg{--fg:#1b1d22;--bg:#fff;--mono-font:monospace;background:#fff;font-family:sans-serif}"
    )
    head, _, body = svg.partition("\n")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="420" ', 1)
    whole = f"{head}\n<style>{ground}{' '.join(style.split())}</style>\n{body}"
    return {"image/svg+xml": b64encode(whole.encode()).decode()}


def session(file: Path, part: str, *, folded: bool) -> Iterator[NotebookNode]:
    """A session as cells: each ends with the first line that says something."""
    before, _, after = file.read_text().partition(f">>> # ANCHOR: {part}\n")
    unseen = re.split(r"# ANCHOR_END: .*\n", before)[-1]  # what the book hides, and this part needs
    text = unseen + after.partition(f">>> # ANCHOR_END: {part}\n")[0]
    lines = ""
    examples = doctest.DocTestParser().get_examples(text)
    for example in examples:
        lines += example.source
        if example.want or example is examples[-1]:
            cell = new_code_cell(lines.strip(), outputs=outputs(example))
            if example.exc_msg:
                cell["metadata"]["tags"] = ["raises-exception"]
            if folded:
                cell["metadata"]["jupyter"] = {"outputs_hidden": True}
            yield cell
            lines = ""


def outputs(example: doctest.Example) -> list[NotebookNode]:
    """What a line of a session says, as a notebook keeps it."""
    if example.exc_msg:
        name, _, message = example.exc_msg.strip().partition(": ")
        return [new_output("error", ename=name, evalue=message, traceback=[example.exc_msg])]
    if not example.want:
        return []
    said = example.want.replace(doctest.BLANKLINE_MARKER, "")
    if echoes(example.source):
        return [new_output("execute_result", {"text/plain": said.rstrip("\n")})]
    return [new_output("stream", text=said)]


def echoes(source: str) -> bool:
    """Whether Python shows the value of this line, since it's an expression and not a print."""
    (node,) = ast.parse(source).body
    if not isinstance(node, ast.Expr):
        return False
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return not (isinstance(called, ast.Name) and called.id == "print")


def notebooks() -> Iterator[tuple[Path, str]]:
    """Every notebook and its text."""
    for step in all_steps():
        yield NOTEBOOKS / f"{step.name}.ipynb", f"{nbformat.writes(notebook(step))}\n"


def main() -> None:
    derived.update("Derive the notebooks.", notebooks(), found=NOTEBOOKS.glob("*"))


if __name__ == "__main__":
    main()
