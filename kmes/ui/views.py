"""Pages of the shell that read: search and the list of shortcuts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from kmes.ui.access import right_required
from kmes.ui.navigation import pages_for
from kmes.ui.search import MAX_TEXT, PER_KIND, PER_KIND_ON_PAGE
from kmes.ui.search import search as find

READ = "console.read"
PALETTE = "palette-results"


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
def show_shortcuts(request: HttpRequest) -> HttpResponse:
    """Show which keys do what, in a dialog or as a page."""
    pages = [page for _section, page in pages_for(request.user) if page["letter"]]
    return render(request, "ui/shortcuts.html", {"pages": pages})
