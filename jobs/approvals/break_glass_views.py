"""Pages of break glass: going on alone with one's own request, and the review of it. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from jobs.approvals import break_glass as services
from jobs.approvals import passkey_answers
from jobs.approvals.forms import BreakGlassForm, ReviewForm
from jobs.approvals.models import Verdict
from jobs.approvals.request_pages import answer_form, context_of, find_or_404
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.ui.access import right_required


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_BREAK_GLASS)
def break_glass(request: HttpRequest, code: str) -> HttpResponse:
    """Show the plan and ask what the emergency is; on POST let the job run without approvals."""
    found, user = find_or_404(code), _user(request)
    form = BreakGlassForm(_sent(request), digest=found.digest)
    context = {**context_of(found, user), "form": form, "page_title": _("Break glass")}
    if context["is_open"]:
        context["against"] = services.why_not_break_glass(found, user.pk)
    stands = context["is_open"] and context["is_genuine"] and not context["changed"]
    context["may_answer"] = stands and not context["against"]

    def carry_out(values: dict[str, Any]) -> None:
        services.break_glass(
            request=found,
            reason=values["reason"],
            seen=values["seen"],
            actor=Actor.from_user(user),
            proof=passkey_answers.signature(request, [found], Verdict.BREAK_GLASS, form),
        )
        messages.warning(request, _("The job continues without approvals. All administrators are alerted."))

    return answer_form(request, "approvals/break_glass.html", context, carry_out)


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
    context = {**context_of(found, user), "form": ReviewForm(_sent(request)), "page_title": _("Review")}
    broken = context["broken"]
    if broken is None:
        raise Http404(_("Nobody broke glass for this request."))
    context["against"] = services.why_not_review(found, broken, user.pk)
    context["may_answer"] = not context["review"] and not context["against"]

    def carry_out(values: dict[str, Any]) -> None:
        services.review(decision=broken, comment=values["comment"], actor=Actor.from_user(user))
        messages.success(request, _("The review is closed."))

    return answer_form(request, "approvals/review.html", context, carry_out)


def _sent(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _user(request: HttpRequest) -> Any:
    return request.user
