"""What the pictures of the book are drawn with: text, boxes, grids of cells, arrows.

A style is the names of classes in book/figures.css, which alone knows colours and sizes of type.
Lengths are in pixels of a phone, on whose page a picture is as wide as it was drawn.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH = 320
LINE = 17  # from one line of text to the next
ROW = 22  # from one row of a grid to the next
ROUNDING = 3  # of corners
HEAD, THICK_HEAD = 7, 11  # lengths of an arrow's head
CLEARANCE = 2  # between an arrow and what it joins

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A place that was drawn to, and the points on its edges where arrows begin and end."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        return self.x + self.width / 2, self.y + self.height

    @property
    def left(self) -> Point:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        return self.x + self.width, self.y + self.height / 2


class Drawing:
    """A picture with a title and a description, as high as what is drawn in it."""

    def __init__(self, name: str, title: str, description: str) -> None:
        self.name = name
        self._elements = [
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-desc">{escape(" ".join(description.split()))}</desc>',
        ]
        self._bottom = 0.0

    def svg(self) -> str:
        """The picture as SVG, without an empty line, which would end HTML in Markdown."""
        height = math.ceil(self._bottom) + 1
        head = (
            f'<svg class="drawing" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-labelledby="{self.name}-title {self.name}-desc">'
        )
        return "\n".join([head, *self._elements, "</svg>\n"])

    def text(
        self, x: float, y: float, words: str, style: str = "", *, align: str = "middle"
    ) -> None:
        """Lines around a height; `words in backticks` are code. align: start, middle or end."""
        lines = words.split("\n") if words else []
        for place, line in enumerate(lines):
            middle = y + (place - (len(lines) - 1) / 2) * LINE
            self._add(
                f'<text{_class(style)} x="{_short(x)}" y="{_short(middle + 4.5)}"'
                f' text-anchor="{align}">{_marked_up(line)}</text>',
                bottom=middle + 9,
            )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        words: str = "",
        style: str = "soft",
        text_style: str = "",
    ) -> Box:
        self._add(
            f'<rect{_class(style)} x="{_short(x)}" y="{_short(y)}" width="{_short(width)}"'
            f' height="{_short(height)}" rx="{_short(min(ROUNDING, width / 3, height / 3))}"/>',
            bottom=y + height,
        )
        self.text(x + width / 2, y + height / 2, words, text_style)
        return Box(x, y, width, height)

    def cells(
        self,
        x: float,
        y: float,
        rows: Sequence[Sequence[str]],
        width: float,
        style: ArrayLike = "stream",
        *,
        height: float = ROW,
    ) -> Box:
        """A grid with a word in each cell; styles are for all, or by row, column or cell."""
        styles = np.broadcast_to(style, (len(rows), len(rows[0])))
        for i, row in enumerate(rows):
            for j, word in enumerate(row):
                text_style = "mono muted" if styles[i, j] == "absent" else "mono"
                place = x + j * width + 1, y + i * height + 1
                self.box(*place, width - 2, height - 2, word, str(styles[i, j]), text_style)
        return Box(x, y, len(rows[0]) * width, len(rows) * height)

    def across(
        self, x: float, y: float, words: Sequence[str], width: float, style: str = ""
    ) -> None:
        """A word for each column of a grid, over it or below."""
        for place, word in enumerate(words):
            self.text(x + (place + 0.5) * width, y, word, style)

    def down(
        self, x: float, y: float, words: Sequence[str], style: str = "", *, height: float = ROW
    ) -> None:
        """A word for each row of a grid that begins at x."""
        for place, word in enumerate(words):
            self.text(x - 6, y + (place + 0.5) * height, word, style, align="end")

    def sample(self, x: float, y: float, style: str, meaning: str) -> None:
        """A line of a legend."""
        self.box(x + 1, y, 14, 14, style=style)
        self.text(x + 21, y + 7, meaning, align="start")

    def bars(
        self, x: float, y: float, values: NDArray[np.float32], width: float, unit: float
    ) -> None:
        """Upright bars on a line at y, a unit long for each 1; those below 0 hang."""
        for place, value in enumerate(values):
            length = abs(value) * unit
            top = y - length if value > 0 else y
            self.box(x + place * width + 2, top, width - 4, length, style="stream full")
        self.line((x, y), (x + len(values) * width, y), style="muted")

    def line(self, *points: Point, style: str = "") -> None:
        """A line through the points, with rounded corners."""
        self._path(_rounded(points), style, bottom=max(y for _, y in points))

    def arrow(self, *points: Point, style: str = "") -> None:
        """A line with a head at its end; it keeps clear of what it joins."""
        start = _towards(points[0], points[1], CLEARANCE)
        tip = _towards(points[-1], points[-2], CLEARANCE)
        length = THICK_HEAD if "thick" in style else HEAD
        self.line(start, *points[1:-1], _towards(tip, points[-2], length - 1), style=style)
        (x, y), (back_x, back_y) = tip, _towards(tip, points[-2], length)
        across, along = (y - back_y) / 2, (x - back_x) / 2
        corners = (x, y), (back_x - across, back_y + along), (back_x + across, back_y - along)
        self.polygon(*corners, style=f"head {style}".strip())

    def curve(self, points: Sequence[Point], style: str = "") -> None:
        """A line through many points, as they are."""
        self._path(_polyline(points), style, bottom=max(y for _, y in points))

    def polygon(self, *corners: Point, style: str = "soft") -> None:
        """A plane with these corners."""
        self._path(f"{_polyline(corners)}Z", style, bottom=max(y for _, y in corners))

    def plus(self, x: float, y: float, style: str = "") -> Box:
        """A plus in a circle: a sum."""
        circle = f"M{_pair((x - 9, y))}a9 9 0 0 1 18 0a9 9 0 0 1-18 0"
        self._path(f"{circle}m4 0h10m-5-5v10", style, bottom=y + 9)
        return Box(x - 9, y - 9, 18, 18)

    def over(self, x: float, end: float, y: float, words: str, style: str = "") -> None:
        """A bracket over a stretch of what is below, and words on it."""
        self.line((x, y + 4), (x, y), (end, y), (end, y + 4), style=style)
        self.text((x + end) / 2, y - 9, words, style)

    def beside(
        self, x: float, y: float, end: float, words: str = "", style: str = "", *, side: int = 1
    ) -> None:
        """A bracket to the right of a stretch, or with side -1 to the left, and words beside it."""
        self.line((x, y), (x + 4 * side, y), (x + 4 * side, end), (x, end), style=style)
        align = "start" if side > 0 else "end"
        self.text(x + 10 * side, (y + end) / 2, words, style, align=align)

    def _path(self, commands: str, style: str, *, bottom: float) -> None:
        self._add(f'<path{_class(style)} d="{commands}"/>', bottom)

    def _add(self, element: str, bottom: float) -> None:
        self._elements.append(element)
        self._bottom = max(self._bottom, bottom)


def number(value: float, digits: int = 2) -> str:
    """A number as it is printed, with a minus as long as a plus."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _short(length: float) -> str:
    return f"{length:.1f}".removesuffix(".0")


def _marked_up(line: str) -> str:
    return re.sub("`(.*?)`", r'<tspan class="mono">\1</tspan>', escape(line))


def _towards(start: Point, goal: Point, distance: float) -> Point:
    """The point at a distance from the start, on the way to the goal."""
    (x, y), length = start, math.dist(start, goal)
    return x + (goal[0] - x) * distance / length, y + (goal[1] - y) * distance / length


def _polyline(points: Sequence[Point]) -> str:
    return "M" + "L".join(map(_pair, points))


def _rounded(points: Sequence[Point]) -> str:
    commands = f"M{_pair(points[0])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(2 * ROUNDING, math.dist(before, corner), math.dist(corner, after))
        near, far = (_towards(corner, other, radius) for other in (before, after))
        commands += f"L{_pair(near)}Q{_pair(corner)} {_pair(far)}"
    return f"{commands}L{_pair(points[-1])}"


def _pair(point: Point) -> str:
    return " ".join(map(_short, point))
