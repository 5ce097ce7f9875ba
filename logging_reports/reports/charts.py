"""Bar charts as SVG, drawn on the server.

Widths are percentages and labels are text, so a chart fits any screen without scripts. Colors come
from classes (``app.css``). The page's table shows the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from kmes.ui.pictures import Bar

ROW_HEIGHT = 34
_BAR_TOP = 19
_BAR_HEIGHT = 8
# So that a small count stays visible beside a much larger one.
_LEAST_PERCENT = 0.5


def draw_bars(name: str, title: str | Promise, bars: Sequence[Bar]) -> SafeString:
    """Return the chart as SVG. ``name`` makes its ids unique on the page."""
    longest = max((bar.count for bar in bars), default=0)
    height = ROW_HEIGHT * len(bars)
    told = "; ".join(_("%(label)s: %(count)d") % {"label": bar.label, "count": bar.count} for bar in bars)
    rows = format_html_join(
        "",
        '<text x="0" y="{}">{}</text><text class="number" x="100%" y="{}" text-anchor="end">{}</text>'
        '<rect class="track" x="0" y="{}" width="100%" height="{}" rx="2"></rect>'
        '<rect class="bar bar-{}" x="0" y="{}" width="{}%" height="{}" rx="2"></rect>',
        (_place(index, bar, longest) for index, bar in enumerate(bars)),
    )
    return format_html(
        '<svg class="chart" width="100%" height="{}" role="img" aria-labelledby="chart-{}-title chart-{}-told">'
        '<title id="chart-{}-title">{}</title><desc id="chart-{}-told">{}</desc>{}</svg>',
        *(height, name, name, name, title, name, told, rows),
    )


def _place(index: int, bar: Bar, longest: int) -> tuple[object, ...]:
    top = index * ROW_HEIGHT
    percent = 0.0
    if bar.count:
        percent = max(_LEAST_PERCENT, round(100 * bar.count / longest, 2))
    line, box = top + 13, top + _BAR_TOP
    return (line, bar.label, line, bar.count, box, _BAR_HEIGHT, bar.tone, box, percent, _BAR_HEIGHT)
