"""Pages of Approvals: requests, one request with its plan, the decision on it, policies. GET shows, only POST acts."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.approvals import selectors, services
from jobs.approvals.forms import DecisionForm, PolicyForm
from jobs.approvals.models import ApprovalPolicy, ApprovalRequest, Verdict
from jobs.approvals.tables import RequestTable
from jobs.choices import JobState
from jobs.confirmation.forms import ask_for_reason
from jobs.engine.approval_checks import why_plan_changed
from jobs.engine.approval_evidence import evidence_of
from jobs.engine.approval_policies import actions, describe, find_policy, label_of, requirements_of
from jobs.engine.approval_requests import is_decision_genuine, is_request_genuine, requirements_in
from jobs.engine.approver_signatures import has_broken_signature, statement_of, stored_reason
from jobs.kinds.set_approval_policy.spec import request_set_approval_policy
from jobs.models import Job
from kmes.accounts.rights import Right, Role
from kmes.accounts.second_factor.passkeys import statements
from kmes.accounts.second_factor.passkeys.views import statement_options
from kmes.accounts.second_factor.services import Factor
from kmes.accounts.second_factor.sign_in import note_proof
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import InputError, KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange

_SHOWS = ("open", "mine", "all")
_FIRST_HOURS = 72


def _find(code: str) -> ApprovalRequest:
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
    table = RequestTable(selectors.list_requests(request.user, show=show))
    arrange(request, table)
    tabs = [("open", _("Open")), ("mine", _("For you to decide")), ("all", _("All"))]
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
    return render(request, "approvals/detail.html", _context(_find(code), request.user))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def decide(request: HttpRequest, code: str) -> HttpResponse:
    """Show the plan and ask for the decision; on POST record it."""
    found = _find(code)
    sent = request.POST if request.method == "POST" else None
    form = DecisionForm(sent, digest=found.digest)
    context = {**_context(found, request.user), "form": form, "refusal": None}
    if sent is not None and form.is_valid():
        verdict = Verdict(form.cleaned_data["verdict"])
        try:
            services.decide(
                request=found,
                verdict=verdict,
                reason=form.cleaned_data["reason"],
                seen=form.cleaned_data["seen"],
                actor=Actor.from_user(request.user),
                proof=_signature(request, found, form),
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
    found = _find(code)
    form = DecisionForm(request.POST, digest=found.digest)
    form.fields["verdict"].required = False
    if not form.is_valid() or form.cleaned_data["seen"] != found.digest:
        error = _("The plan has changed since it was shown. Reload the page.")
        return JsonResponse({"error": error}, status=HTTPStatus.CONFLICT)
    return statement_options(request, [_statement(found, request.user, form)])


def _statement(found: ApprovalRequest, user: Any, form: DecisionForm) -> str:
    reason = stored_reason(form.cleaned_data["reason"])
    return statement_of(found, user_id=user.pk, verdict=Verdict.APPROVE, reason=reason)


def _signature(request: HttpRequest, found: ApprovalRequest, form: DecisionForm) -> dict[str, Any] | None:
    """Return what a passkey signed of a sent form; None where none was used.

    Raises:
        FactorRefused: it signed nothing, or something else.

    """
    sent = form.cleaned_data.get("passkey")
    if not sent:
        return None
    user: Any = request.user
    proof = statements.sign(request, user, sent, [_statement(found, user, form)])
    note_proof(request, Factor.PASSKEY)
    return proof


@require_safe
@right_required(Right.CONSOLE_READ)
def download_evidence(_request: HttpRequest, code: str) -> HttpResponse:
    """Send what an auditor checks offline: the plan, the decisions, and what passkeys signed."""
    found = _find(code)
    content = json.dumps(evidence_of(found), indent=1, ensure_ascii=False)
    name = f"approval-{found.job.code}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type="application/json", headers=headers)


def _context(found: ApprovalRequest, user: Any) -> dict[str, Any]:
    is_open = found.job.state == JobState.AWAITING and found.expires_at > now()
    is_genuine = is_request_genuine(found)
    decisions = list(found.decisions.select_related("request"))
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
    }
    return render(request, "approvals/policies.html", context)


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
    form.initial["expires_hours"] = current.expires_hours if current else _FIRST_HOURS
    form.initial["needs_passkey"] = current.needs_passkey if current else False
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
        reason=asked.get("reason", ""),
        actor=actor,
        idempotency_key=f"{actor.user_id}:{token}" if token else "",
    )
    return reverse("jobs:detail", args=[job.code])
