"""Pictures as SVG, drawn on the server: shapes in plain functions, and a picture with its title, its words and its table.

Django escapes every text. Colors come from classes (``app.css``), never from style attributes, and no meaning from
color alone: patterns, signs and words say the same. ``ui/_picture.html`` shows a picture with its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

Text = str | Promise
_NOTHING = mark_safe("")
# Letters of 12 px are about so wide.
_LETTER = 6.6
# How much wider a bold letter is.
_BOLD = 1.15


@dataclass(frozen=True)
class Cell:
    """A cell of a picture's table, with a link if there is one."""

    text: Text
    url: str = ""


@dataclass(frozen=True)
class Bar:
    """One bar of a chart; ``tone`` is one of good, warning, bad, info, neutral."""

    label: Text
    count: int
    tone: str = "info"


@dataclass(frozen=True)
class Picture:
    """A picture of ``width`` by ``height`` units, a unit being a pixel where there is room for it.

    ``told`` says in words what the picture shows. ``columns`` and ``rows`` are the same as a table. ``name`` makes
    its ids unique on the page.
    """

    name: str
    title: Text
    told: Text
    width: int
    height: int
    shapes: Sequence[SafeString]
    columns: Sequence[Text]
    rows: Sequence[Sequence[Cell]]
    legend: Sequence[tuple[str, Text]] = field(default_factory=tuple)
    # It holds links, which a role of "img" would hide.
    acts: bool = False

    @property
    def svg(self) -> SafeString:
        """Return the picture."""
        return format_html(
            '<svg class="picture-drawing picture-{}" viewBox="0 0 {} {}" width="{}" height="{}" role="{}"'
            ' aria-labelledby="{}-title" aria-describedby="{}-told"><title id="{}-title">{}</title>'
            '<desc id="{}-told">{}</desc><defs>{}</defs>{}</svg>',
            *(self.name, self.width, self.height, self.width, self.height, "group" if self.acts else "img"),
            *(self.name, self.name, self.name, self.title, self.name, self.told),
            hatching(self.name),
            format_html_join("", "{}", ((shape,) for shape in self.shapes)),
        )

    @property
    def signs(self) -> list[tuple[SafeString, Text]]:
        """Return the legend: a small sample of each look, and what it means."""
        return [(_sample(self.name, look), text) for look, text in self.legend]


def number(value: float) -> str:
    """Return a coordinate, to a tenth of a unit."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def hatching(name: str) -> SafeString:
    """Return the pattern that ``box`` fills with where its look is hatched."""
    return format_html(
        '<pattern id="{}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch-ground" width="6" height="6"></rect><rect class="hatch-line" width="2" height="6"></rect></pattern>',
        name,
    )


def box(
    x: float, y: float, width: float, height: float, *, look: str, tip: Text = "", corner: float = 2, hatch: str = ""
) -> SafeString:
    """Draw a rectangle. ``hatch``: the picture's name, to fill it with its pattern."""
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"{}>{}</rect>',
        *(look, number(x), number(y), number(max(width, 0)), number(max(height, 0)), number(corner)),
        format_html(' fill="url(#{}-hatch)"', hatch) if hatch else _NOTHING,
        _tip(tip),
    )


def label(x: float, y: float, text: Text, *, look: str = "", anchor: str = "start") -> SafeString:
    """Write a text; ``anchor`` is start, middle or end."""
    return format_html(
        '<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>', look, number(x), number(y), anchor, text
    )


def cut_label(x: float, y: float, text: str, width: float, *, look: str = "", anchor: str = "start") -> SafeString:
    """Write a text that is cut in its middle to fit a width; whole in its tip."""
    most = max(5, int(width / (_LETTER * (_BOLD if "strong" in look else 1))))
    if len(text) <= most:
        return label(x, y, text, look=look, anchor=anchor)
    tail = min(8, most // 3)
    shown = f"{text[: most - tail - 1]}…{text[-tail:]}"
    return format_html(
        '<text class="{}" x="{}" y="{}" text-anchor="{}">{}{}</text>',
        *(look, number(x), number(y), anchor, shown, _tip(text)),
    )


def line(x1: float, y1: float, x2: float, y2: float, *, look: str) -> SafeString:
    """Draw a straight line."""
    return format_html('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"></line>', look, *map(number, (x1, y1, x2, y2)))


def ribbon(x1: float, y1: float, x2: float, y2: float, *, width: float, look: str, tip: Text = "") -> SafeString:
    """Draw a curved line from left to right of a given width."""
    middle = (x1 + x2) / 2
    way = f"M{number(x1)} {number(y1)}C{number(middle)} {number(y1)} {number(middle)} {number(y2)} {number(x2)} {number(y2)}"
    return format_html('<path class="{}" d="{}" stroke-width="{}">{}</path>', look, way, number(width), _tip(tip))


def arrow(x1: float, x2: float, y: float, *, look: str) -> SafeString:
    """Draw a level arrow from ``x1`` to ``x2``."""
    back = 7 if x2 < x1 else -7
    head = f"M{number(x2)} {number(y)}l{back} -4v8z"
    return format_html(
        '<path class="arrow {}" d="M{} {}H{}"></path><path class="arrow-head {}" d="{}"></path>',
        *(look, number(x1), number(y), number(x2 + back), look, head),
    )


def diamond(x: float, y: float, size: float, *, look: str, tip: Text = "") -> SafeString:
    """Draw a square that stands on a corner, around a point."""
    half = number(size)
    way = f"M{number(x)} {number(y - size)}l{half} {half}l-{half} {half}l-{half} -{half}z"
    return format_html('<path class="{}" d="{}">{}</path>', look, way, _tip(tip))


def link(url: str, name: Text, shapes: Iterable[SafeString], **data: str) -> SafeString:
    """Make shapes a link; ``name`` is what it is called, ``data`` become data attributes for the scripts."""
    inside = format_html_join("", "{}", ((shape,) for shape in shapes))
    # A title names a link in SVG; an aria-label would have to repeat the texts inside.
    attributes = format_html_join("", ' data-{}="{}"', data.items())
    return format_html('<a href="{}"{}><title>{}</title>{}</a>', url, attributes, name, inside)


def _tip(text: Text) -> SafeString:
    return format_html("<title>{}</title>", text) if text else _NOTHING


def _sample(name: str, look: str) -> SafeString:
    """Draw the small sample of a look in the legend. ``hatch`` in it stands for the picture's pattern."""
    if look.startswith("mark"):
        shape = diamond(7, 7, 5, look=look)
    else:
        shape = box(1, 2, 12, 10, look=look, hatch=name if "hatched" in look else "")
    return format_html(
        '<svg class="picture-sample" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">{}</svg>', shape
    )
