"""Pages of approval policies: list them, change one, add one for a scope. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.approvals import selectors
from jobs.approvals.forms import PolicyForm, PolicyForScopeForm
from jobs.approvals.models import ApprovalPolicy
from jobs.choices import JobState
from jobs.confirmation.forms import ask_for_reason
from jobs.engine.approval_policies import (
    COUNTED,
    PolicyKey,
    actions,
    describe_all,
    describe_scopes_of,
    find_policy,
    key_of,
    label_of,
    label_with_scope,
    may_be_narrowed,
    requirements_of,
)
from jobs.kinds.set_approval_policy.spec import (
    RECOMMENDED_HOURS,
    request_recommended,
    request_set_approval_policy,
    without_recommended_policy,
)
from jobs.models import Job
from kmes.accounts.rights import Right, Role
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, KmesError, PermissionRefused
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form


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
    """Ask what an action needs everywhere; on POST request the change, and go to its job."""
    if action not in dict(actions()):
        raise Http404(_("There is no such action."))
    return _answer(request, PolicyKey(action), PolicyForm(_sent(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_MANAGE)
def change_policy_for_scope(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Ask what an action needs in the scope of a policy; on POST request the change, and go to its job."""
    policy = ApprovalPolicy.objects.filter(pk=policy_id).exclude(scope_kind="").first()
    if policy is None:
        raise Http404(_("There is no such policy."))
    return _answer(request, key_of(policy), PolicyForm(_sent(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.APPROVAL_MANAGE)
def add_policy_for_scope(request: HttpRequest, action: str) -> HttpResponse:
    """Ask for a scope and what an action needs there; on POST request the policy, and go to its job."""
    if not may_be_narrowed(action):
        raise Http404(_("There is no such action on keys."))
    return _answer(request, PolicyKey(action), PolicyForScopeForm(_sent(request)))


def _sent(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _answer(request: HttpRequest, key: PolicyKey, form: PolicyForm) -> HttpResponse:
    """Show the form of a policy, or of a new one for a scope; on POST request the change and lead to its job."""
    is_new = isinstance(form, PolicyForScopeForm)
    current = None if is_new else find_policy(*key)
    _fill_in(form, key.action, current, is_narrowed=is_new or bool(key.scope_kind))
    needed = [] if is_new else [each for each in requirements_of([key.action]) if each.key == key]
    if needed:
        ask_for_reason(form)
    context = {
        "form": form,
        "label": label_with_scope(key),
        "scope": describe_scopes_of([key])[0] if not is_new else "",
        "is_new": is_new,
        "needed": describe_all(needed),
        "refusal": None,
    }
    if form.is_bound and form.is_valid():
        try:
            return go_to(request, _start_change(key, form, Actor.from_user(request.user)))
        except PermissionRefused:
            raise
        except KmesError as error:
            field = error.field if isinstance(error, InputError) else ""
            if field == "scope" and isinstance(form, PolicyForScopeForm):
                field = form.scope()[0]
            if field in form.fields:
                form.add_error(field, str(error))
            else:
                context["refusal"] = error
    return render_form(request, "approvals/policy.html", context, refused=form.is_bound)


def _fill_in(form: PolicyForm, action: str, current: ApprovalPolicy | None, *, is_narrowed: bool) -> None:
    """Fill the form in with the policy in force, and take the fields away that the action has not."""
    form.initial["approvals"] = current.approvals if current else 1
    form.initial["role"] = current.role if current else Role.ADMIN
    form.initial["expires_hours"] = current.expires_hours if current else RECOMMENDED_HOURS
    if action in COUNTED:
        form.initial["least"] = current.least if current else 1
    else:
        del form.fields["least"]
    for name in ("needs_passkey", "allows_break_glass"):
        form.initial[name] = getattr(current, name, False)
    if is_narrowed:
        form.name_scope()


def _start_change(key: PolicyKey, form: PolicyForm, actor: Actor) -> str:
    """Request the change, once for each form; return the page that follows."""
    asked = form.cleaned_data
    token = asked.get("idempotency_key")
    kind, scope = form.scope() if isinstance(form, PolicyForScopeForm) else key[1:]
    job = request_set_approval_policy(
        action=key.action,
        approvals=asked["approvals"],
        role=asked["role"],
        expires_hours=asked["expires_hours"],
        needs_passkey=asked["needs_passkey"],
        allows_break_glass=asked["allows_break_glass"],
        least=asked.get("least") or 1,
        scope_kind=kind,
        scope=scope,
        adds=isinstance(form, PolicyForScopeForm),
        reason=asked.get("reason", ""),
        actor=actor,
        idempotency_key=f"{actor.user_id}:{token}" if token else "",
    )
    return reverse("jobs:detail", args=[job.code])
