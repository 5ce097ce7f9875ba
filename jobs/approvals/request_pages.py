"""What the pages about one request share: finding it, what they show of it, and how their forms are answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from jobs.approvals import break_glass, passkey_answers, selectors, services
from jobs.approvals.changes import waits_for_requester
from jobs.approvals.models import ApprovalDecision, ApprovalRequest, Verdict
from jobs.choices import JobState
from jobs.engine.approval_checks import why_plan_changed
from jobs.engine.approval_policies import describe_all
from jobs.engine.approval_requests import is_decision_genuine, is_request_genuine, requirements_in
from jobs.engine.approver_signatures import has_broken_signature
from jobs.engine.break_glass import find_break_glass, find_review
from jobs.spec import registry
from kmes.accounts.rights import Right
from kmes.accounts.second_factor.passkeys import statements
from kmes.core.clock import now
from kmes.core.errors import KmesError, PermissionRefused
from kmes.ui.responses import go_to, render_form


def find_or_404(code: str) -> ApprovalRequest:
    """Return the request for approval of the job of this code, or answer that there is none."""
    found = selectors.find_request(code)
    if found is None:
        raise Http404(_("There is no request for approval with this number."))
    return found


def answer_form(
    request: HttpRequest, template: str, context: dict[str, Any], carry_out: Callable[[dict[str, Any]], object]
) -> HttpResponse:
    """Show a form about one request. Once it is sent and valid, carry out what it says and lead to the request's page.

    ``context`` has the ``form`` and what ``context_of`` returns; ``carry_out`` gets the entered values.

    Raises:
        PermissionRefused: the user may not do it. Any other refusal stands above the form.

    """
    form, is_sent, refusal = context["form"], request.method == "POST", None
    if is_sent and form.is_valid():
        if confirmation := passkey_answers.lead_to_confirmation(request, form):
            return confirmation
        try:
            carry_out(form.cleaned_data)
        except PermissionRefused:
            raise
        except KmesError as error:
            refusal = error
        else:
            return go_to(request, context["found"].get_absolute_url())
    return render_form(request, template, {**context, "refusal": refusal}, refused=is_sent)


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
    needed = requirements_in(found)
    return {
        "given": sum(each.verdict == Verdict.APPROVE for each in decisions),
        "wanted": max((each.approvals for each in needed), default=0),
        "is_applied_by_requester": registry.is_applied_by_requester(found.job),
        "verify_command": f"python -m jobs.approvals.offline approval-{found.job.code}.json",
        "found": found,
        "job": found.job,
        "state": state,
        "colour": colour,
        "needed": describe_all(needed),
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
