"""Leads a form whose change needs approvals to the request for them: nothing was changed, and the form's values are kept."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.approvals.models import MAX_REASON
from jobs.kinds.apply_change.spec import request_change
from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError
from kmes.core.guarded_changes import REASON, ApprovalNeeded, asking_with
from kmes.ui.middleware import render_refusal, status_of
from kmes.ui.responses import go_to


class ChangeRequestMiddleware:
    """Makes a request for approval of what a view raised ``ApprovalNeeded`` for, and leads to its page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on, with the reason that its form sent."""
        reason = request.POST.get(REASON, "") if request.method == "POST" else None
        with asking_with(reason):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Request the approvals, or show why they can't be requested."""
        if not isinstance(exception, ApprovalNeeded):
            return None
        try:
            if len(exception.reason) > MAX_REASON:
                raise InputError(_("The reason is too long."), field=REASON)
            job = request_change(change=exception.change, actor=Actor.from_user(request.user), reason=exception.reason)
        except KmesError as error:
            return render_refusal(request, error, status_of(error))
        messages.info(request, _("Others have to approve this change. Then it is applied on this page."))
        return go_to(request, reverse("approvals:detail", args=[job.code]))
