"""Pages of Approvals: requests, one request with its plan, and the decision on it. GET shows, only POST acts."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.approvals import passkey_answers, selectors, services
from jobs.approvals.forms import DecisionForm
from jobs.approvals.models import ApprovalPolicy, Verdict
from jobs.approvals.request_pages import answer_form, context_of, find_or_404
from jobs.approvals.tables import RequestTable
from jobs.engine.approval_evidence import evidence_of
from jobs.engine.break_glass import list_unreviewed
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.ui.access import right_required
from kmes.ui.tables import arrange

_SHOWS = ("open", "mine", "apply", "review", "all")


@require_safe
@right_required(Right.CONSOLE_READ)
def list_requests(request: HttpRequest) -> HttpResponse:
    """List the requests: those that are open, those to be decided by the user, or all."""
    show = request.GET.get("show", "")
    show = show if show in _SHOWS else "open"
    # Boxes are for what the user can approve together.
    hidden = () if show == "mine" else ("pick",)
    table = RequestTable(selectors.list_requests(request.user, show=show), exclude=hidden)
    arrange(request, table)
    tabs = [("open", _("Open")), ("mine", _("For you to decide")), ("all", _("All"))]
    if show == "apply" or selectors.count_to_apply(request.user):
        tabs.insert(2, ("apply", _("For you to apply")))
    if show == "review" or list_unreviewed():
        tabs.insert(2, ("review", _("To review")))
    context = {
        "table": table,
        "show": show,
        "tabs": tabs,
        "to_decide": selectors.count_to_decide(request.user),
        "is_first": not ApprovalPolicy.objects.exists(),
    }
    return render(request, "approvals/list.html", context)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_request(request: HttpRequest, code: str) -> HttpResponse:
    """Show one request: the frozen plan, its conditions, and what was decided."""
    return render(request, "approvals/detail.html", context_of(find_or_404(code), request.user))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def decide(request: HttpRequest, code: str) -> HttpResponse:
    """Show the plan and ask for the decision; on POST record it."""
    found = find_or_404(code)
    form = DecisionForm(request.POST if request.method == "POST" else None, digest=found.digest)
    context = {**context_of(found, request.user), "form": form, "page_title": _("Approve or refuse")}
    context["may_answer"] = context["is_open"] and context["is_genuine"] and not context["against"]

    def carry_out(values: dict[str, Any]) -> None:
        verdict = Verdict(values["verdict"])
        services.decide(
            request=found,
            verdict=verdict,
            reason=values["reason"],
            seen=values["seen"],
            actor=Actor.from_user(request.user),
            proof=passkey_answers.signature(request, [found], Verdict.APPROVE, form),
        )
        said = _("You approved the request.") if verdict == Verdict.APPROVE else _("You refused the request.")
        messages.success(request, said)

    return answer_form(request, "approvals/decide.html", context, carry_out)


@require_POST
@right_required(Right.CONSOLE_READ)
def approval_options(request: HttpRequest, code: str) -> HttpResponse:
    """Answer what the user's passkey is asked to sign: the approval of the plan that was shown, with the comment."""
    found = find_or_404(code)
    form = DecisionForm(request.POST, digest=found.digest)
    form.fields["verdict"].required = False
    is_seen = form.data.get("seen") == found.digest
    return passkey_answers.options(request, [found], Verdict.APPROVE, form, is_seen=is_seen)


@require_safe
@right_required(Right.CONSOLE_READ)
def download_evidence(_request: HttpRequest, code: str) -> HttpResponse:
    """Send what an auditor checks offline: the plan, the decisions, and what passkeys signed."""
    found = find_or_404(code)
    content = json.dumps(evidence_of(found), indent=1, ensure_ascii=False)
    name = f"approval-{found.job.code}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type="application/json", headers=headers)
