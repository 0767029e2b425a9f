"""Draw the pictures of the book, book/figures/*.svg.

python tools/draw_figures.py            write them
python tools/draw_figures.py --check    only tell which have changed; exit with 1 if any has
"""

import argparse

from figures import attention, engine, generation, layers, tables, whole

from tutor import ROOT

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
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the pictures of the book.")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what changed")
    only_check = parser.parse_args().check
    drawings = [picture() for picture in PICTURES]
    drawn = {f"{drawing.name}.svg": drawing.svg() for drawing in drawings}
    found = {path.name: path.read_text(encoding="utf-8") for path in FIGURES.glob("*.svg")}
    changed = sorted(name for name in drawn | found if drawn.get(name) != found.get(name))
    if only_check and changed:
        names = ", ".join(changed)
        raise SystemExit(f"changed, please run: uv run python tools/draw_figures.py ({names})")
    for name in changed:
        if name in drawn:
            (FIGURES / name).write_text(drawn[name], encoding="utf-8")
        else:
            (FIGURES / name).unlink()
        print(f"book/figures/{name} {'written' if name in drawn else 'removed'}")


if __name__ == "__main__":
    main()
