"""Pages of Approvals: requests, one request with its plan, the decision on it, policies. GET shows, only POST acts."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.approvals import break_glass, passkey_answers, selectors, services
from jobs.approvals.changes import waits_for_requester
from jobs.approvals.forms import DecisionForm, PolicyForm
from jobs.approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest, Verdict
from jobs.approvals.tables import RequestTable
from jobs.choices import JobState
from jobs.confirmation.forms import ask_for_reason
from jobs.engine.approval_checks import why_plan_changed
from jobs.engine.approval_evidence import evidence_of
from jobs.engine.approval_policies import COUNTED, actions, describe, find_policy, label_of, requirements_of
from jobs.engine.approval_requests import is_decision_genuine, is_request_genuine, requirements_in
from jobs.engine.approver_signatures import has_broken_signature
from jobs.engine.break_glass import find_break_glass, find_review, list_unreviewed
from jobs.kinds.set_approval_policy.spec import (
    RECOMMENDED_HOURS,
    request_recommended,
    request_set_approval_policy,
    without_recommended_policy,
)
from jobs.models import Job
from kmes.accounts.rights import Right, Role
from kmes.accounts.second_factor.passkeys import statements
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError, KmesError, PermissionRefused
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
        "needed": [describe(each) for each in requirements_in(found)],
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


# --- Policies --------------------------------------------------------------------------------
@require_safe
@right_required(Right.CONSOLE_READ)
def list_policies(request: HttpRequest) -> HttpResponse:
    """List what each action needs."""
    user: Any = request.user
    waiting = Job.objects.filter(kind="set_approval_policy", state=JobState.AWAITING).order_by("created_at")
    context = {
        "lines": selectors.list_policies(),
        "may_manage": user.has_right(Right.APPROVAL_MANAGE),
        "waiting": [(job, job.subject) for job in waiting],
        "recommended": _recommended(),
    }
    return render(request, "approvals/policies.html", context)


def _recommended() -> list[str]:
    """Return the labels of the actions that should need two people and need one; none while a policy is strange."""
    try:
        return [label_of(action) for action in without_recommended_policy()]
    except KmesError:
        return []


@require_POST
@right_required(Right.APPROVAL_MANAGE)
def demand_two(request: HttpRequest) -> HttpResponse:
    """Request the recommended policies, all of them or none."""
    try:
        jobs = request_recommended(actor=Actor.from_user(request.user))
    except (ConflictError, InputError) as error:
        messages.error(request, str(error))
    else:
        said = ngettext(
            "%(count)d policy is being set. The page shows it in a moment.",
            "%(count)d policies are being set. The page shows them in a moment.",
            len(jobs),
        )
        messages.success(request, said % {"count": len(jobs)})
    return go_to(request, reverse("approvals:policies"))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_MANAGE)
def change_policy(request: HttpRequest, action: str) -> HttpResponse:
    """Ask what an action needs; on POST request the change, and go to its job."""
    if action not in dict(actions()):
        raise Http404(_("There is no such action."))
    sent = request.POST if request.method == "POST" else None
    current = find_policy(action)
    form = PolicyForm(sent)
    form.initial["approvals"] = current.approvals if current else 1
    form.initial["role"] = current.role if current else Role.ADMIN
    form.initial["expires_hours"] = current.expires_hours if current else RECOMMENDED_HOURS
    if action in COUNTED:
        form.initial["least"] = current.least if current else 1
    else:
        del form.fields["least"]
    for name in ("needs_passkey", "allows_break_glass"):
        form.initial[name] = getattr(current, name, False)
    needed = requirements_of([action])
    if needed:
        ask_for_reason(form)
    context = {"form": form, "label": label_of(action), "needed": [describe(each) for each in needed], "refusal": None}
    if sent is not None and form.is_valid():
        try:
            return go_to(request, _start_change(action, form, Actor.from_user(request.user)))
        except PermissionRefused:
            raise
        except KmesError as error:
            if isinstance(error, InputError) and error.field in form.fields:
                form.add_error(error.field, str(error))
            else:
                context["refusal"] = error
    return render_form(request, "approvals/policy.html", context, refused=sent is not None)


def _start_change(action: str, form: PolicyForm, actor: Actor) -> str:
    """Request the change, once for each form; return the page that follows."""
    asked = form.cleaned_data
    token = asked.get("idempotency_key")
    job = request_set_approval_policy(
        action=action,
        approvals=asked["approvals"],
        role=asked["role"],
        expires_hours=asked["expires_hours"],
        needs_passkey=asked["needs_passkey"],
        allows_break_glass=asked["allows_break_glass"],
        least=asked.get("least") or 1,
        reason=asked.get("reason", ""),
        actor=actor,
        idempotency_key=f"{actor.user_id}:{token}" if token else "",
    )
    return reverse("jobs:detail", args=[job.code])
