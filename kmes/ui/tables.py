"""Tables of the console: one look, one way to sort and page, columns every table needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_tables2 as tables
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from kmes.ui.templatetags.kmes_ui import badge, menu_button, when

PAGE_SIZE = 50


class ConsoleTable(tables.Table):
    """Base of all tables; ``caption`` names the table for screen readers."""

    caption: str | Promise = ""

    class Meta:
        template_name = "ui/table.html"
        attrs = {"class": "table table-hover console-table"}


class StateColumn(tables.Column):
    """A choice shown as a badge. ``colours`` maps the stored value to good, info, warning, bad, neutral."""

    def __init__(self, *args: Any, colours: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.colours = colours

    def render(self, value: Any, record: Any, bound_column: Any) -> SafeString:
        """Show label and colour of the choice."""
        name = bound_column.accessor
        raw = getattr(record, name, value)
        return badge(value, self.colours.get(str(raw), "neutral"))


class TimeColumn(tables.Column):
    """A moment shown as people say it, exact in the title."""

    def render(self, value: Any) -> SafeString:
        """Show the time."""
        return when(value)


class MenuColumn(tables.Column):
    """The ⋮ button, always last."""

    def __init__(self, url: Callable[[Any], str]) -> None:
        super().__init__(
            verbose_name=_("Actions"),
            empty_values=(),
            orderable=False,
            attrs={"td": {"class": "menu-cell"}, "th": {"class": "menu-cell"}},
        )
        self.url = url

    def render(self, record: Any) -> SafeString:
        """Show the button."""
        from django.template.loader import render_to_string  # noqa: PLC0415 - templates need loaded apps

        return format_html("{}", render_to_string("ui/_menu_button.html", menu_button(self.url(record), record)))
