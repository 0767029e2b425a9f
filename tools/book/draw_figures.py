"""Draw the pictures of the book: book/figures/*.svg, book/src/built.svg.

python -m tools.book.draw_figures            write them
python -m tools.book.draw_figures --check    only tell which have changed; exit with 1 if any has
"""

from tools import derived
from tools.book.figures import (
    attention,
    engine,
    generation,
    layers,
    modern,
    since,
    tables,
    text,
    training,
    whole,
)
from tutor import ROOT
from tutor.course.registry import all_steps
from tutor.course.tracks import STEPS
from tutor.course.verdicts import Verdict
from tutor.learn import share
from tutor.learn.progress import Standing

FIGURES = ROOT / "book" / "figures"
PICTURES = (
    whole.steps,
    engine.compiled,
    tables.config,
    layers.mask,
    layers.layer_norm,
    layers.mlp,
    layers.gelu,
    tables.embedding,
    tables.positions,
    tables.waves,
    attention.attention,
    attention.heads,
    whole.block,
    whole.model,
    whole.head_shift,
    whole.conv1d,
    generation.temperature,
    generation.sliding,
    generation.top_p,
    engine.batch,
    engine.cache,
    engine.speculation,
    engine.slots,
    engine.held,
    modern.two_files,
    modern.rms_norm,
    modern.silu,
    modern.swiglu,
    modern.rotary,
    modern.groups,
    modern.from_gpt2,
    modern.bfloat16,
    modern.group_cache,
    modern.experts,
    modern.worth,
    text.merges,
    text.learning,
    training.losses,
    since.since,
)


def built() -> str:
    """What `tutor progress --share` draws for somebody who has solved the course as it does."""
    steps = all_steps(STEPS)
    known = tuple(Standing(step, Verdict.PASSED, step.points, was_checked=True) for step in steps)
    lines = {step.number: share.code_lines(ROOT / step.file("solutions")) for step in steps}
    return share.picture(share.Built(known, lines))


def main() -> None:
    drawings = [picture() for picture in PICTURES]
    files = [(FIGURES / f"{drawing.name}.svg", drawing.svg()) for drawing in drawings]
    files.append((ROOT / "book" / "src" / "built.svg", built()))
    derived.update("Draw the pictures of the book.", files, found=FIGURES.glob("*.svg"))


if __name__ == "__main__":
    main()
