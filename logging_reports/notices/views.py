"""Pages of Notices: the bell, the list, and a user's own mail settings.

Marking a notice as read concerns only the user's own list, so it is not logged.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import back_to, render_form
from kmes.ui.tables import arrange, searched_text
from logging_reports.choices import Topic
from logging_reports.notices import channels, selectors
from logging_reports.notices.forms import RulesForm
from logging_reports.notices.selectors import COUNT_CAP, NoticeFilter, Reader
from logging_reports.notices.tables import DeliveryTable, NoticeTable

RESULTS_ID = "notice-list"
NO_CONTENT = 204
_UNREAD = "unread"
# Tests go to a channel and are not listed.
_TOPICS = [topic for topic in Topic if topic != Topic.TEST]


def _reader(request: HttpRequest) -> Reader:
    user: Any = request.user
    return Reader(int(user.pk), user.date_joined)


@require_safe
@right_required("console.read")
def show_bell(request: HttpRequest) -> HttpResponse:
    """Show the bell with the number of unread notices; 204 while that number is unchanged."""
    count = selectors.count_unread(_reader(request))
    if request.GET.get("seen") == str(count):
        return HttpResponse(status=NO_CONTENT)
    return render(request, "notices/_bell.html", {"unread": count, "cap": COUNT_CAP})


@require_safe
@right_required("console.read")
def list_notices(request: HttpRequest) -> HttpResponse:
    """List the user's notices. htmx requests the rows alone to update them."""
    wanted = _read_filter(request)
    found = selectors.list_notices(_reader(request), wanted)
    table = NoticeTable(found)
    arrange(request, table)
    shown, count = [row.record for row in table.paginated_rows], table.paginator.count
    seen = repr([[(notice.pk, notice.is_read) for notice in shown], count])
    digest = hashlib.sha256(seen.encode()).hexdigest()[:16]
    is_results = request.headers.get("HX-Target") == RESULTS_ID
    if is_results and request.GET.get("seen") == digest:
        return HttpResponse(status=NO_CONTENT)
    context = {
        "table": table,
        "count": count,
        "wanted": wanted,
        "topics": _TOPICS,
        "digest": digest,
        "results_id": RESULTS_ID,
        # Where to return after a row is marked.
        "here": _address_of(request),
        "has_unread": any(not notice.is_read for notice in shown),
        "can_manage": request.user.has_right("notice.manage"),  # type: ignore[union-attr]
    }
    response = render(request, "notices/_results.html" if is_results else "notices/list.html", context)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _read_filter(request: HttpRequest) -> NoticeFilter:
    topic = request.GET.get("topic", "")
    text = searched_text(request.GET)
    return NoticeFilter(request.GET.get("show") == _UNREAD, topic if topic in _TOPICS else "", text)


def _address_of(request: HttpRequest) -> str:
    query = request.GET.copy()
    query.pop("seen", None)
    return reverse("notices:list") + (f"?{query.urlencode()}" if query else "")


@require_POST
@right_required("console.read")
def mark_read(request: HttpRequest, notice_id: int | None = None) -> HttpResponse:
    """Mark one notice or all of them as read, and return to the list."""
    selectors.mark_read(_reader(request), notice_id)
    return redirect(back_to(request, reverse("notices:list")))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required("console.read")
def edit_own_mail(request: HttpRequest) -> HttpResponse:
    """Choose which notices are mailed to the account's address."""
    user: Any = request.user
    channel = channels.find_own_mail(user.pk)
    form = RulesForm(request.POST or None, rules=channel.rules if channel else {})
    if request.method == "POST" and form.is_valid():
        channels.set_own_mail(user.pk, form.rules(), actor=Actor.from_user(user))
        messages.success(request, _("Saved. What you chose comes by mail from now on."))
        return redirect("notices:own_mail")
    table = DeliveryTable(selectors.list_deliveries(channel) if channel else [])
    arrange(request, table)
    context = {"form": form, "address": user.email, "channel": channel, "table": table}
    return render_form(request, "notices/own_mail.html", context, refused=request.method == "POST")


@require_POST
@right_required("console.read")
def test_own_mail(request: HttpRequest) -> HttpResponse:
    """Send a test notice to the account's address."""
    channel = channels.find_own_mail(_reader(request).user_id)
    if channel is not None:
        try:
            channels.send_test(channel, actor=Actor.from_user(request.user))
            messages.success(request, _("The test is on its way. The result appears below."))
        except KmesError as error:
            messages.error(request, str(error))
    return redirect("notices:own_mail")
