"""Tables of the console: one look, one way to sort and page, columns every table needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.paginator import EmptyPage
from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from kmes.ui.layouts import PAGE_SIZE, PAGE_SIZES, Layout
from kmes.ui.models import SavedView
from kmes.ui.pages import as_table_data
from kmes.ui.preferences import choices_of
from kmes.ui.saved_views import find_view
from kmes.ui.templatetags.kmes_ui import badge, exactly, menu_button, when

__all__ = [
    "PAGE_SIZE",
    "ConsoleTable",
    "ExactTimeColumn",
    "MenuColumn",
    "PickColumn",
    "StateColumn",
    "TimeColumn",
    "apply_layout",
    "arrange",
    "find_table",
    "layout_of",
    "movable_columns",
    "searched_text",
]

# Tables whose columns, order and page size users can choose, by the name of the stored choice.
_by_name: dict[str, type[ConsoleTable]] = {}
# Longer than any name; the search field of a list takes no more.
MAX_SEARCH = 128
_SIZES = frozenset(str(size) for size in PAGE_SIZES)


def worth(number: int, *, css: str = "text-nowrap") -> dict[str, dict[str, object]]:
    """Return the attributes of a column that gives way after those of less worth, where columns are dropped."""
    return {"td": {"class": css}, "th": {"data-worth": number}}


class ConsoleTable(tables.Table):
    """Base of all tables; ``caption`` names the table for screen readers.

    A name in ``saved_as`` lets users choose its columns. ``fixed`` columns stay at the ends and can't be
    hidden, ``essential`` ones can only be moved. Columns whose cells have the class ``wide-only`` are hidden
    on narrow screens until a user chooses columns.
    """

    caption: str | Promise = ""
    saved_as: ClassVar[str] = ""
    # Whether its filter and columns can be saved as a view (``saved_views``).
    has_views: ClassVar[bool] = True
    fixed: ClassVar[tuple[str, ...]] = ("pick", "menu")
    essential: ClassVar[tuple[str, ...]] = ("name",)
    counted: Any = ngettext_lazy("%(count)d row", "%(count)d rows", "count")
    # Whether columns that don't fit are left out, because another part of the page shows them (tables.js).
    drops_columns: ClassVar[bool] = False
    # What stands before the names of those columns.
    dropped_note: ClassVar[str | Promise] = _("In the details:")
    layout: Layout | None = None
    view: SavedView | None = None

    class Meta:
        template_name = "ui/table.html"
        attrs = {"class": "table table-hover console-table"}
        default = "–"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.saved_as:
            _by_name[cls.saved_as] = cls

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(as_table_data(data), *args, **kwargs)

    @property
    def count_text(self) -> str:
        """Return how many rows there are on all pages, in words."""
        count = self.paginator.count
        return str(self.counted % {"count": count}).replace(str(count), intcomma(count), 1)

    @property
    def sorted_by(self) -> str:
        """Return the column whose heading shows the order: the first, because the others only break ties."""
        return next((str(alias).removeprefix("-") for alias in self.order_by or ()), "")


def find_table(name: str) -> type[ConsoleTable] | None:
    """Return the table whose choices are stored under a name, or None."""
    return _by_name.get(name)


def layout_of(request: HttpRequest, table: type[ConsoleTable]) -> Layout:
    """Return the user's own layout of a table."""
    kept = choices_of(request).get(f"table.{table.saved_as}") if table.saved_as else {}
    return Layout.read(kept, columns=movable_columns(table), essential=table.essential)


def movable_columns(table: type[ConsoleTable]) -> list[str]:
    """Return the columns a user can move, in the table's own order."""
    names = list(table._meta.sequence or table.base_columns)  # noqa: SLF001 - django-tables2's own name for it
    return [name for name in names if name in table.base_columns and name not in table.fixed]


def searched_text(query: QueryDict, *, longest: int = MAX_SEARCH) -> str:
    """Return what the address of a list searches for, cut to ``longest`` characters."""
    # NUL is no text for PostgreSQL.
    return query.get("q", "").replace("\x00", "").strip()[:longest]


def arrange(request: HttpRequest, table: ConsoleTable, *, rows: int = 0) -> None:
    """Apply the user's columns and page size to a table, and the sorting and page in the address.

    All views call this for their tables. ``rows`` overrides the size of a page, for print.
    """
    layout = apply_layout(request, table)
    asked = request.GET.getlist(table.prefixed_order_by_field) or layout.sort
    if asked:
        table.order_by = asked
    # The size in the address overrides the user's, so that a shared link shows the same rows.
    asked_size = request.GET.get(table.prefixed_per_page_field, "")
    size = int(asked_size) if asked_size in _SIZES else layout.page_size
    _show_page(table, request.GET.get(table.prefixed_page_field, ""), rows or size)


def apply_layout(request: HttpRequest, table: ConsoleTable) -> Layout:
    """Apply the user's columns to a table and return the layout; alone only for tables with other paging."""
    table.request = request
    layout = table.layout = _requested_layout(request, table)
    movable = [name for name in layout.order if name in table.columns]
    others = [name for name in table.sequence if name not in movable]
    first = [name for name in others if name != "menu"]
    table.sequence = [*first, *movable, *(name for name in others if name == "menu")]
    for name in layout.hidden:
        if name in table.columns:
            table.columns.hide(name)
    return layout


def _requested_layout(request: HttpRequest, table: ConsoleTable) -> Layout:
    """Return the layout of the saved view in the address, else the user's own."""
    asked = request.GET.get("view", "")
    view = find_view(request.user, table.saved_as, asked) if asked and table.saved_as else None
    if view is None:
        return layout_of(request, type(table))
    table.view = view
    kind = type(table)
    return Layout.read(view.layout, columns=movable_columns(kind), essential=kind.essential)


def _show_page(table: ConsoleTable, page: str, size: int) -> None:
    """Show the page: the first for an invalid number, the last for one past the end."""
    number = int(page) if page.isdecimal() and len(page) < 10 else 1
    try:
        table.paginate(page=number, per_page=size)
    except EmptyPage:
        table.page = table.paginator.page(table.paginator.num_pages if number else 1)


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
    """A moment relative to now, exact in the title."""

    def render(self, value: Any) -> SafeString:
        """Show the time."""
        return when(value)


class ExactTimeColumn(tables.Column):
    """A moment to the second in UTC, as logs show it; the heading should say so."""

    def render(self, value: Any) -> SafeString:
        """Show the time."""
        return exactly(value)


class PickColumn(tables.Column):
    """The checkboxes that select rows, always first; the one in the heading selects all shown rows."""

    def __init__(self) -> None:
        super().__init__(verbose_name=_("Select"), empty_values=(), orderable=False)

    @property
    def header(self) -> SafeString:
        """Show the checkbox for all rows, with a label for narrow screens."""
        return format_html(
            '<input type="checkbox" id="pick-all" class="form-check-input needs-script" data-check-all aria-label="{}">'
            '<span class="visually-hidden">{}</span>',
            _("Select all shown"),
            self.verbose_name,
        )

    def render(self, record: Any) -> SafeString:
        """Show the row's box, which sends the row's key under the name ``key``."""
        return format_html(
            '<input type="checkbox" class="form-check-input" name="key" value="{}" data-check-row aria-label="{}">',
            record.pk,
            _("Select %(name)s") % {"name": record},
        )


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
        return menu_button(self.url(record), record)
