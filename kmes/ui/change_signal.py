"""The one question of an open page: did anything change? The web server holds it until something did.

An answer names topics, never rows; a page then asks for those of its parts that follow them. A user hears of no topic whose pages
their role may not see.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from kmes.core.changes import TOPICS, Marks
from kmes.core.holds import ENVIRONMENT_KEY, Hold
from kmes.ui.access import right_required
from kmes.ui.responses import asks_for_fragment

READ = "console.read"
# The rights that topics need besides reading the console.
RIGHTS = {"log": "log.read", "reports": "log.read"}
# After how many seconds a page asks again: when Redis is away or too many requests are held, and of a server that holds none.
CROWDED_SECONDS = 10
WITHOUT_HOLDS_SECONDS = 2


def marks_for(user: Any) -> Marks:
    """Return the marks of the topics that a user may hear of."""
    return Marks(tuple(topic for topic in TOPICS if topic not in RIGHTS or user.has_right(RIGHTS[topic])))


def read_before_page(request: HttpRequest) -> str:
    """Return what the marks are before a view reads rows for a page; "" for anything but a page of a user who may read.

    Read later, a mark might already tell of a change that the page does not show.
    """
    user: Any = getattr(request, "user", None)
    is_page = (
        request.method == "GET" and not asks_for_fragment(request) and "text/html" in request.headers.get("Accept", "")
    )
    if not is_page or user is None or not user.is_authenticated or not user.has_right(READ):
        return ""
    return marks_for(user).read()


@require_safe
@right_required(READ)
def show_changes(request: HttpRequest) -> HttpResponse:
    """Answer which topics changed since ``seen``, and after how many seconds to ask again; with ``hold=1`` once one did."""
    marks = marks_for(request.user)
    seen, present = request.GET.get("seen", ""), marks.read()
    hold: Hold | None = request.META.get(ENVIRONMENT_KEY)
    wants_hold = bool(present) and present == seen and hold is not None and "hold" in request.GET
    if wants_hold and hold is not None and hold.ask(marks, present, owner=str(request.user.pk)):
        return HttpResponse(status=204)
    if not present:
        again = CROWDED_SECONDS
    elif hold is None:
        again = WITHOUT_HOLDS_SECONDS
    else:
        again = CROWDED_SECONDS if wants_hold and not hold.is_over else 0
    return JsonResponse({"seen": present, "changed": marks.changed(seen, present), "again": again})
