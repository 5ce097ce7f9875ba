"""Pages on which users change their own choices: preferences, colours, the tree, the layout of a table.

Each user changes only their own pages, so the right to read the console is enough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from kmes.core.errors import InputError
from kmes.ui.access import right_required
from kmes.ui.forms import PreferencesForm, SavedViewForm
from kmes.ui.layouts import PAGE_SIZES, Layout
from kmes.ui.models import SavedView
from kmes.ui.navigation import SECTION_NAMES
from kmes.ui.preferences import COLOURS, CSV, CSV_ENCODINGS, DISPLAY, TREE, choices_of
from kmes.ui.responses import asks_for_fragment, go_to, render_form
from kmes.ui.saved_views import delete_view, find_view, list_views, save_view
from kmes.ui.tables import ConsoleTable, find_table, layout_of, movable_columns

READ = "console.read"


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(READ)
def edit_preferences(request: HttpRequest) -> HttpResponse:
    """Show and store the appearance of pages for the user."""
    choices = choices_of(request)
    form = PreferencesForm(request.POST) if request.method == "POST" else PreferencesForm.of(choices.display)
    if request.method == "POST" and form.is_valid():
        choices.save(DISPLAY, form.to_display().to_value())
        messages.success(request, _("Your preferences are saved."))
        return go_to(request, reverse("ui:preferences"))
    return render_form(request, "ui/preferences.html", {"form": form}, refused=request.method == "POST")


@require_POST
@right_required(READ)
def choose_colours(request: HttpRequest) -> HttpResponse:
    """Store light, dark or system; the script has changed the page already."""
    colours = request.POST.get("colours", "")
    choices = choices_of(request)
    if colours in COLOURS:
        choices.save(DISPLAY, replace(choices.display, colours=colours).to_value())
    return go_to(request, page_asked_from(request))


@require_POST
@right_required(READ)
def choose_csv_encoding(request: HttpRequest) -> HttpResponse:
    """Store how the user's CSV files begin."""
    encoding = request.POST.get("encoding", "")
    if encoding in CSV_ENCODINGS:
        choices_of(request).save(CSV, {"encoding": encoding})
    return HttpResponse(status=204) if asks_for_fragment(request) else go_to(request, page_asked_from(request))


@require_POST
@right_required(READ)
def fold_section(request: HttpRequest) -> HttpResponse:
    """Store whether a section of the tree is folded; only the script calls this."""
    name, is_open = request.POST.get("section", ""), request.POST.get("open") == "1"
    choices = choices_of(request)
    if name in SECTION_NAMES:
        closed = choices.closed_sections & SECTION_NAMES
        choices.save(TREE, {"closed": sorted(closed - {name} if is_open else closed | {name})})
    return HttpResponse(status=204)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(READ)
def edit_layout(request: HttpRequest, name: str) -> HttpResponse:
    """Show and store the user's columns, their order, the page size and the sorting of one table.

    The script moves columns in the page; without it, each move is a request that stores nothing.
    """
    table = find_table(name)
    if table is None:
        raise Http404(_("There is no such table."))
    layout, back = layout_of(request, table), page_asked_from(request)
    if request.method == "POST":
        layout, back = _read_layout(request, table), _own_page(request, request.POST.get("back", ""))
        verb, _sign, column = request.POST.get("do", "save").partition(":")
        if verb in {"up", "down"}:
            layout = layout.moved(column, -1 if verb == "up" else 1)
        elif verb == "reset":
            choices_of(request).reset(f"table.{name}")
            return go_to(request, back)
        else:
            choices_of(request).save(f"table.{name}", layout.to_value())
            return go_to(request, back)
    return render(request, "ui/table_layout.html", _layout_context(table, layout, back))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(READ)
def edit_saved_views(request: HttpRequest, name: str) -> HttpResponse:
    """Show the saved views of one table; save the present one under a name, or delete one of the user's own."""
    table = find_table(name)
    if table is None or not table.has_views:
        raise Http404(_("There is no such table."))
    form, back = SavedViewForm(request.POST or None), page_asked_from(request)
    if request.method == "POST":
        back = _own_page(request, request.POST.get("back", ""))
        verb, _sign, view_id = request.POST.get("do", "save").partition(":")
        if verb == "delete":
            delete_view(user=request.user, table=name, view_id=view_id)
            return go_to(request, back)
        if form.is_valid():
            try:
                view = _save_view(request, table, form, back)
            except InputError as error:
                form.add_error("name", str(error))
            else:
                messages.success(request, _("The view “%(name)s” is saved.") % {"name": view})
                return go_to(request, view.get_absolute_url())
    context = {
        "form": form,
        "views": list_views(request.user, name),
        "caption": table.caption,
        "name": name,
        "back": back,
    }
    return render_form(request, "ui/saved_views.html", context, refused=request.method == "POST")


def _save_view(request: HttpRequest, table: type[ConsoleTable], form: SavedViewForm, back: str) -> SavedView:
    shown = find_view(request.user, table.saved_as, dict(parse_qsl(urlsplit(back).query)).get("view", ""))
    own = choices_of(request).get(f"table.{table.saved_as}")
    return save_view(
        user=request.user,
        table=table.saved_as,
        name=form.cleaned_data["name"],
        address=back,
        layout=shown.layout if shown else own,
        is_shared=form.cleaned_data["is_shared"],
    )


def _read_layout(request: HttpRequest, table: type[ConsoleTable]) -> Layout:
    columns, shown = movable_columns(table), request.POST.getlist("shown")
    size = request.POST.get("page_size", "")
    sent = {
        "order": request.POST.getlist("order"),
        "hidden": [name for name in columns if name not in shown],
        "page_size": int(size) if size.isdecimal() and len(size) < 10 else 0,
        "sort": request.POST.get("sort", ""),
    }
    return Layout.read(sent, columns=columns, essential=table.essential)


def _layout_context(table: type[ConsoleTable], layout: Layout, back: str) -> dict[str, Any]:
    columns = table([]).columns
    headers = {name: columns[name].header for name in layout.order}
    return {
        "caption": table.caption,
        "name": table.saved_as,
        "layout": layout,
        "columns": [
            {
                "name": name,
                "header": headers[name],
                "is_shown": name not in layout.hidden,
                "is_essential": name in table.essential,
            }
            for name in layout.order
        ],
        "sorts": [(name, headers[name]) for name in layout.order if columns[name].orderable],
        "page_sizes": PAGE_SIZES,
        "back": back,
    }


def page_asked_from(request: HttpRequest) -> str:
    """Return the address of the page from which a dialog or link was opened; the dashboard's if unknown."""
    return _own_page(request, request.headers.get("HX-Current-URL") or request.headers.get("Referer", ""))


def _own_page(request: HttpRequest, url: str) -> str:
    if not url or not url_has_allowed_host_and_scheme(url, {request.get_host()}):
        return reverse("dashboard:home")
    parts = urlsplit(url)
    # One slash, because two would begin the name of another host.
    path = "/" + parts.path.lstrip("/")
    return f"{path}?{parts.query}" if parts.query else path
