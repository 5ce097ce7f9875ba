"""The custody map, the rotation calendar, the events below a key's lifeline, and its history as a PDF file. Reads only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from keygroups import calendar, key_events
from keygroups.custody import BINS, read_custody
from keygroups.key_paper import make_key_pdf
from keygroups.lookups import key_or_404
from keygroups.models import Key
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.ui.access import right_required
from kmes.ui.actions import flat_menu, menu_for
from kmes.ui.pdf import size_asked
from kmes.ui.responses import asks_for_fragment, send_file

_CALENDAR_ACTIONS = frozenset({"many_rotate", "reschedule"})


@require_safe
@right_required(Right.CONSOLE_READ)
def show_custody(request: HttpRequest) -> HttpResponse:
    """Show the custody map; the dashboard loads it as a fragment."""
    by = request.GET.get("by", "")
    by = by if by in BINS else BINS[0]
    picture, is_binned = read_custody(by)
    context = {"picture": picture, "is_binned": is_binned, "by": by}
    template = "keygroups/_custody.html" if asks_for_fragment(request) else "keygroups/custody.html"
    return render(request, template, context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_calendar(request: HttpRequest) -> HttpResponse:
    """Show the rotation calendar, and the list of the days that the address names."""
    menu = flat_menu(menu_for("selected_groups", None, request.user))
    # The other actions on several groups stand in the menu beside these.
    bulk = [(submenu, item) for submenu, item in menu if item.name in _CALENDAR_ACTIONS]
    return render(request, "keygroups/calendar.html", {**calendar.context_of(request.GET), "group_bulk": bulk})


@require_safe
@right_required(Right.LOG_READ)
def show_key_events(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Show the events of a key from all logs; the key's page loads them as a fragment.

    ``?version=`` names another key of the group, or "all" of them: what the lifeline's bars lead to.
    """
    key = key_or_404(key_id)
    shown = _version_wanted(key, request.GET.get("version", ""))
    is_all = request.GET.get("rows") == "all"
    limit = key_events.MOST if is_all else key_events.SHOWN
    if shown is None:
        events, has_more = key_events.list_group_events(key.group, limit=limit)
    else:
        events, has_more = key_events.list_key_events(shown, limit=limit)
    context = {"key": key, "shown": shown, "events": events, "has_more": has_more, "is_all": is_all}
    user: Any = request.user
    context["can_export"] = user.has_right(Right.LOG_EXPORT)
    template = "keygroups/_key_events.html" if asks_for_fragment(request) else "keygroups/key_events.html"
    return render(request, template, context)


def _version_wanted(key: Key, wanted: str) -> Key | None:
    """Return the key of the same group that is asked for, None for all of them."""
    if wanted == "all":
        return None
    if not wanted or wanted == str(key.pk):
        return key
    try:
        other = key_or_404(UUID(wanted))
    except ValueError:
        raise Http404 from None
    if other.group_id != key.group_id:
        raise Http404
    return other


@require_GET
@right_required(Right.LOG_READ)
@right_required(Right.LOG_EXPORT)
def export_key_pdf(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Send a key's history as a PDF file; ``?paper=letter`` for American sheets."""
    name, content = make_key_pdf(key_or_404(key_id), actor=Actor.from_user(request.user), size=size_asked(request))
    return send_file(content, "application/pdf", name=name)
