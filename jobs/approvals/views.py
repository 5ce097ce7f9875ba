"""Pages of Approvals: requests, one request with its plan, and the decision on it. GET shows, only POST acts."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.approvals import break_glass, passkey_answers, selectors, services
from jobs.approvals.changes import waits_for_requester
from jobs.approvals.forms import DecisionForm
from jobs.approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest, Verdict
from jobs.approvals.tables import RequestTable
from jobs.choices import JobState
from jobs.engine.approval_checks import why_plan_changed
from jobs.engine.approval_evidence import evidence_of
from jobs.engine.approval_policies import describe_all
from jobs.engine.approval_requests import is_decision_genuine, is_request_genuine, requirements_in
from jobs.engine.approver_signatures import has_broken_signature
from jobs.engine.break_glass import find_break_glass, find_review, list_unreviewed
from kmes.accounts.rights import Right
from kmes.accounts.second_factor.passkeys import statements
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange

_SHOWS = ("open", "mine", "apply", "review", "all")


def find_or_404(code: str) -> ApprovalRequest:
    """Return the request for approval of the job of this code, or answer that there is none."""
    found = selectors.find_request(code)
    if found is None:
        raise Http404(_("There is no request for approval of this number."))
    return found


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
    sent = request.POST if request.method == "POST" else None
    form = DecisionForm(sent, digest=found.digest)
    context = {**context_of(found, request.user), "form": form, "refusal": None}
    if sent is not None and form.is_valid():
        if confirmation := passkey_answers.lead_to_confirmation(request, form):
            return confirmation
        verdict = Verdict(form.cleaned_data["verdict"])
        try:
            services.decide(
                request=found,
                verdict=verdict,
                reason=form.cleaned_data["reason"],
                seen=form.cleaned_data["seen"],
                actor=Actor.from_user(request.user),
                proof=passkey_answers.signature(request, [found], Verdict.APPROVE, form),
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            context["refusal"] = error
        else:
            said = _("You approved the request.") if verdict == Verdict.APPROVE else _("You refused the request.")
            messages.success(request, said)
            return go_to(request, found.get_absolute_url())
    return render_form(request, "approvals/decide.html", context, refused=sent is not None)


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


def context_of(found: ApprovalRequest, user: Any) -> dict[str, Any]:
    """Return what the pages of one request show to a user."""
    is_open = found.job.state == JobState.AWAITING and found.expires_at > now()
    is_genuine = is_request_genuine(found)
    decisions = list(found.decisions.select_related("request", "review"))
    state, colour = selectors.describe_state(found)
    against = "" if not is_open else services.why_not_decide(found, user.pk)
    if is_open and not against and any(each.user_id == user.pk for each in decisions):
        against = _("You have decided already.")
    signs = statements.signs(user)
    if is_open and not against and not signs and any(each.needs_passkey for each in requirements_in(found)):
        against = _("The policy asks for approvals signed by a passkey, and you have none.")
    return {
        "found": found,
        "job": found.job,
        "state": state,
        "colour": colour,
        "needed": describe_all(requirements_in(found)),
        "decisions": [(each, is_decision_genuine(each) and not has_broken_signature(each)) for each in decisions],
        "signs": signs,
        "is_open": is_open,
        "is_genuine": is_genuine,
        "changed": why_plan_changed(found) if is_open and is_genuine else "",
        "against": against,
        "may_apply": is_open and is_genuine and found.job.requested_by_id == user.pk and waits_for_requester(found),
        **_break_glass(found, decisions, user, is_open=is_open and is_genuine),
    }


def _break_glass(
    found: ApprovalRequest, decisions: list[ApprovalDecision], user: Any, *, is_open: bool
) -> dict[str, Any]:
    """Return whether the user can break glass, what was broken, and whether the user may review that."""
    broken = find_break_glass(decisions)
    may_break = is_open and user.has_right(Right.APPROVAL_BREAK_GLASS)
    review = find_review(broken) if broken is not None else None
    may_review = broken is not None and not break_glass.why_not_review(found, broken, user.pk)
    return {
        "may_break_glass": may_break and not break_glass.why_not_break_glass(found, user.pk),
        "broken": broken,
        "review": review,
        "may_review": may_review and review is None and user.has_right(Right.APPROVAL_MANAGE),
    }
