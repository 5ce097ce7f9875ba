"""Pages of the shell that read: search and the list of shortcuts."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from kmes.ui.access import right_required
from kmes.ui.actions import Target, show_menu
from kmes.ui.navigation import pages_for
from kmes.ui.search import MAX_TEXT, PER_KIND, PER_KIND_ON_PAGE
from kmes.ui.search import search as find

READ = "console.read"
PALETTE = "palette-results"
# The lists whose background has a menu: its title, and the page to go back to.
BACKGROUNDS: dict[Target, tuple[str | Promise, str]] = {
    "credentials": (gettext_lazy("Cloud Credentials"), "cloudcreds:list"),
    "users": (gettext_lazy("Users"), "accounts:users"),
    "roles": (gettext_lazy("Roles"), "accounts:roles"),
    "jobs": (gettext_lazy("Jobs"), "jobs:list"),
}


@require_safe
@right_required(READ)
def search(request: HttpRequest) -> HttpResponse:
    """Show what a text finds: as options of the palette, or as a page for who has no script."""
    text = request.GET.get("q", "")[:MAX_TEXT]
    in_palette = request.headers.get("HX-Target") == PALETTE
    kinds = find(text, request.user, limit=PER_KIND if in_palette else PER_KIND_ON_PAGE)
    context = {"text": text, "kinds": kinds, "count": sum(len(kind.hits) for kind in kinds)}
    response = render(request, "ui/_palette_results.html" if in_palette else "ui/search.html", context)
    patch_vary_headers(response, ["HX-Target"])
    return response


@require_safe
@right_required(READ)
def show_background_actions(request: HttpRequest, target: str) -> HttpResponse:
    """Show the menu of a list's background: below its rows, and where it is empty."""
    found = next((each for each in BACKGROUNDS if each == target), None)
    if found is None:
        raise Http404(_("There is no such list."))
    name, page = BACKGROUNDS[found]
    return show_menu(request, found, None, name=name, back=reverse(page))


@require_safe
@right_required(READ)
def show_shortcuts(request: HttpRequest) -> HttpResponse:
    """Show which keys do what, in a dialog or as a page."""
    pages = [page for _section, page in pages_for(request.user) if page["letter"]]
    return render(request, "ui/shortcuts.html", {"pages": pages})
