"""Pages of break glass: going on alone with one's own request, and the review of it. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from jobs.approvals import break_glass as services
from jobs.approvals import passkey_answers
from jobs.approvals.forms import BreakGlassForm, ReviewForm
from jobs.approvals.models import Verdict
from jobs.approvals.views import context_of, find_or_404
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_BREAK_GLASS)
def break_glass(request: HttpRequest, code: str) -> HttpResponse:
    """Show the plan and ask what the emergency is; on POST let the job run without approvals."""
    found, user = find_or_404(code), _user(request)
    sent = request.POST if request.method == "POST" else None
    form = BreakGlassForm(sent, digest=found.digest)
    context = {**context_of(found, user), "form": form, "refusal": None}
    if context["is_open"]:
        context["against"] = services.why_not_break_glass(found, user.pk)
    if sent is not None and form.is_valid():
        if confirmation := passkey_answers.lead_to_confirmation(request, form):
            return confirmation
        try:
            services.break_glass(
                request=found,
                reason=form.cleaned_data["reason"],
                seen=form.cleaned_data["seen"],
                actor=Actor.from_user(user),
                proof=passkey_answers.signature(request, [found], Verdict.BREAK_GLASS, form),
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            context["refusal"] = error
        else:
            messages.warning(request, _("The job goes on without approvals. All administrators are alarmed."))
            return go_to(request, found.get_absolute_url())
    return render_form(request, "approvals/break_glass.html", context, refused=sent is not None)


@require_POST
@right_required(Right.APPROVAL_BREAK_GLASS)
def break_glass_options(request: HttpRequest, code: str) -> HttpResponse:
    """Answer what the requester's passkey is asked to sign: that they go on alone with the plan that was shown."""
    found = find_or_404(code)
    form = BreakGlassForm(request.POST, digest=found.digest)
    is_seen = form.data.get("seen") == found.digest
    return passkey_answers.options(request, [found], Verdict.BREAK_GLASS, form, is_seen=is_seen)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_MANAGE)
def review(request: HttpRequest, code: str) -> HttpResponse:
    """Show what was done without approvals and ask what the review found; on POST close the review."""
    found, user = find_or_404(code), _user(request)
    sent = request.POST if request.method == "POST" else None
    form = ReviewForm(sent)
    context = {**context_of(found, user), "form": form, "refusal": None}
    if context["broken"] is None:
        raise Http404(_("Nobody broke glass for this request."))
    context["against"] = services.why_not_review(found, context["broken"], user.pk)
    if sent is not None and form.is_valid():
        try:
            services.review(
                decision=context["broken"], comment=form.cleaned_data["comment"], actor=Actor.from_user(user)
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            context["refusal"] = error
        else:
            messages.success(request, _("The review is closed."))
            return go_to(request, found.get_absolute_url())
    return render_form(request, "approvals/review.html", context, refused=sent is not None)


def _user(request: HttpRequest) -> Any:
    return request.user
