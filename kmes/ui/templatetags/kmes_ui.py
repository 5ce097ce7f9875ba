"""Template tags of the shell: icons, badges, times, fields, menus. A builtin of all templates."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Model
from django.forms import BoundField
from django.template.base import render_value_in_context
from django.template.context import Context
from django.templatetags.static import static
from django.utils.formats import localize
from django.utils.html import conditional_escape, format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django_tables2 import Table
from django_tables2.columns import BoundColumn

from kmes.core.guarded_changes import REASON, approvals_needed, has_approved_request
from kmes.core.right_names import name_right
from kmes.ui.actions import flat_menu, menu_for
from kmes.ui.preferences import reader_time_zone

register = template.Library()
_BADGE_ICONS = {"good": "good", "warning": "warning", "bad": "bad", "info": "info", "neutral": "neutral"}
_CUT_KEPT = 8
# Texts of this length fit wherever they are shown.
_UNCUT = 24


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """Draw an icon of the sprite; it says nothing to a screen reader, the word beside it does."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("kmes/icons.svg"),
        name,
    )


register.filter("right_name", name_right)


@register.simple_tag
def badge(label: object, colour: str = "neutral") -> SafeString:
    """Show a state: word, icon, and one of the five colours."""
    return _badge(conditional_escape(label), colour)  # type: ignore[arg-type]


# A page shows the same few states in hundreds of rows.
@lru_cache(maxsize=512)
def _badge(label: SafeString, colour: str) -> SafeString:
    drawn = icon(f"state-{_BADGE_ICONS.get(colour, 'neutral')}")
    return format_html('<span class="badge badge-{}">{} {}</span>', colour, drawn, label)


def exact_title(moment: datetime) -> str:
    """Return a moment to the second in UTC, behind the reader's own time where that differs."""
    utc = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    zone = reader_time_zone()
    if zone is None:
        return utc
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key.replace('_', ' ')} ({utc})"


@register.simple_tag
def when(moment: datetime | None, empty: str = "–") -> SafeString:
    """Show a time as people say it, with the exact time in the title."""
    if moment is None:
        return format_html("{}", empty)
    exact = exact_title(moment)
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, naturaltime(moment))


@register.simple_tag
def countdown(moment: datetime) -> SafeString:
    """Show how long it is until a moment, counted down by ``countdown.js``; without script the exact time.

    Readers of the page by ear hear the exact time, and not each second.
    """
    return format_html(
        '<time datetime="{}" title="{}"><span data-countdown="{}" data-over="{}" aria-hidden="true">{}</span>'
        '<span class="visually-hidden">{}</span></time>',
        moment.isoformat(),
        exact_title(moment),
        moment.isoformat(),
        _("now"),
        f"{moment.astimezone(UTC):%H:%M:%S} UTC",
        f"{moment.astimezone(UTC):%H:%M:%S} UTC",
    )


@register.simple_tag
def exactly(moment: datetime | None, empty: str = "–") -> SafeString:
    """Show a time to the second in UTC, as logs do."""
    if moment is None:
        return format_html("{}", empty)
    return format_html(
        '<time class="font-monospace text-nowrap" datetime="{}">{}</time>',
        moment.isoformat(),
        f"{localtime(moment):%Y-%m-%d %H:%M:%S}",
    )


@register.simple_tag
def cut(text: str, length: int = 20) -> SafeString:
    """Show a long identifier cut in the middle, whole in the title."""
    if len(text) <= length:
        return format_html('<span class="font-monospace">{}</span>', text)
    return format_html(
        '<span class="font-monospace" title="{}">{}…{}</span>', text, text[:_CUT_KEPT], text[-_CUT_KEPT:]
    )


@register.simple_tag
def cut_to_width(value: object) -> SafeString:
    """Show a text in one line, cut in the middle where its place is too narrow; whole in the title and to the ear."""
    text = str(value)
    if len(text) <= _UNCUT:
        return format_html("{}", text)
    return format_html(
        '<span class="cut-middle" title="{}"><span class="visually-hidden cut-whole">{}</span>'
        '<span class="cut-head" aria-hidden="true">{}</span><span aria-hidden="true">{}</span></span>',
        text,
        text,
        text[:-_CUT_KEPT],
        text[-_CUT_KEPT:],
    )


@register.inclusion_tag("ui/_copy.html")
def copyable(text: str, label: str) -> dict[str, Any]:
    """Show a text with a button that copies it; ``label`` names what is copied."""
    return {"text": text, "label": label}


@register.inclusion_tag("ui/_field.html")
def field(bound: BoundField, width: str = "") -> dict[str, Any]:
    """Show a form field: label, control, help, errors, all tied together for screen readers."""
    widget = bound.field.widget
    kind = getattr(widget, "input_type", "")
    css = {"checkbox": "form-check-input", "select": "form-select"}.get(kind, "form-control")
    if bound.errors:
        css += " is-invalid"
    several = kind in {"checkbox", "radio"} and hasattr(widget, "option_template_name")
    # All filters are optional, a select has an entry for no choice, and a control that says itself whether it is
    # required has its own help.
    is_filter = getattr(bound.form, "is_filter", False)
    optional = not (bound.field.required or "required" in widget.attrs or is_filter or kind == "select")
    control = bound if several else bound.as_widget(attrs={"class": css})
    return {"field": bound, "control": control, "kind": kind, "several": several, "width": width, "optional": optional}


@register.inclusion_tag("ui/_approval_needed.html", takes_context=True)
def approval_needed(context: Context, action: str, only: str = "") -> dict[str, Any]:
    """Say whose approvals a form's change needs, and ask for the reason; nothing where no policy holds.

    ``only`` is the sentence for a form of whose changes only some need approvals.
    """
    request = context["request"]
    needed = approvals_needed(action)
    code = request.GET.get("approved", "")
    return {
        "needed": needed,
        "is_approved": bool(needed) and has_approved_request(code, action, user_id=request.user.pk),
        "only": only,
        "given": request.POST.get(REASON, ""),
        "name": REASON,
    }


@register.simple_tag
def menu_button(url: str, name: object) -> SafeString:
    """Show the ⋮ button that opens an object's menu; without script it leads to a page of the same actions."""
    label = _("Actions for %(name)s") % {"name": name}
    return format_html(
        '<a class="icon-button menu-button" href="{}" data-menu-button aria-label="{}">{}</a>', url, label, icon("more")
    )


@register.simple_tag(takes_context=True)
def table_rows(context: Context, table: Table) -> SafeString:
    """Show the rows of a table's page. In one loop here: a template would work several times as long for each cell."""
    columns = list(table.columns)
    opened: dict[BoundColumn, SafeString] = {}
    parts: list[str] = []
    for row in table.paginated_rows:
        parts.append(format_html("<tr {}>", row.attrs.as_html()))
        for column in columns:
            # As the row's own ``items``, which looks each column up by its name.
            cell = row._get_and_render_with(column, row._call_render, column.default)  # noqa: SLF001
            column.current_value, column.current_record = cell, row.record
            if column not in opened:
                opened[column] = _cell_open(column)
            parts += (opened[column], _cell_content(cell, column, context), "</td>")
        parts.append("</tr>")
    return SafeString("".join(parts))


def _cell_open(column: BoundColumn) -> SafeString:
    """Open a table's cell, with its column's name for cards."""
    return format_html('<td {} data-label="{}">', column.attrs["td"].as_html(), strip_tags(str(column.header)))


def _cell_content(cell: object, column: BoundColumn, context: Context) -> str:
    """Return a cell as a template shows a value, numbers in the form that the column asks for."""
    if column.localize is not None:
        cell = str(localize(cell, use_l10n=column.localize))
    return str(render_value_in_context(cell, context))


@register.inclusion_tag("ui/_toolbar.html", takes_context=True)
def toolbar(context: Context, target: Any, obj: Model | None = None) -> dict[str, Any]:
    """Show an object's actions as buttons, from the list its menu comes from, without the one that opens this page."""
    items = flat_menu(menu_for(target, obj, context["request"].user))
    return {"items": [each for each in items if each[1].url != context["request"].path]}
