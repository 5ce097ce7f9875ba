"""Pages that ask before they act: start, cancel and retry a job. GET shows, only POST acts."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs.confirmation.forms import FormInput, StartForm, ask_for_reason
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import actions_of, describe_all, requirements_of
from jobs.pages import confirmations, removal_views
from jobs.pages.failure_help import describe_cancel, retry_warnings
from jobs.pages.views import job_or_404
from jobs.planning.blockers import why_not_cancel, why_not_retry
from jobs.services import request_cancel, request_retry
from jobs.spec import RemovalPage, registry
from keygroups import rotation_slots
from keygroups.scope_marks import mark_outside
from kmes.accounts.rights import Right
from kmes.accounts.scopes import places_of
from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError, PermissionRefused
from kmes.core.right_names import refusal
from kmes.ui.access import refuse_outside, right_required
from kmes.ui.responses import back_to, go_to, render_form


def require_right(request: HttpRequest, right: Right) -> Actor:
    """Return who asks, or raise PermissionRefused; the right depends on the kind of job.

    It is enough to have it for some scope: what the job is about is looked at besides.
    """
    user: Any = request.user
    if not user.may_somewhere(right):
        raise refusal(user.get_username(), right)
    return Actor.from_user(user)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def start_job(request: HttpRequest, kind: str) -> HttpResponse:
    """Show what will happen; on POST start it and go to the job."""
    spec = registry.find(kind)
    if spec is None or spec.confirmation is None:
        raise Http404(_("There is no such kind of job."))
    actor = require_right(request, spec.right)
    confirmation = spec.confirmation
    if isinstance(confirmation, RemovalPage):
        return removal_views.show_removal(request, scope=confirmation.scope)
    data = request.GET.copy()
    data.update(request.POST)
    target = confirmations.read_target(confirmation, data)
    if target is None:
        raise Http404(_("What the job is about does not exist."))
    if target.selection is None:
        refuse_outside(request, spec.right, *target.objects())
    else:
        mark_outside([key.group for key in target.keys], user=request.user, right=spec.right)
    plan = confirmation.plan(target)
    # A selection of keys is posted because it may be long; that asks, and starts nothing.
    sent = request.POST if request.method == "POST" and "ask" not in request.POST else None
    several = data.get("several", "")
    form = confirmation.form(FormInput(sent, plan, target, several))
    needed = requirements_of(spec.approval.expected(target)) if spec.approval is not None else []
    needed = lying_in(needed, [place.group for place in places_of(target.objects()) if place.group], [])
    if needed:
        # Where a policy counts keys, the request asks for the reason.
        ask_for_reason(form, is_required=any(each.least <= 1 for each in needed))
    context = {
        "needed": describe_all(needed),
        "plan": plan,
        "form": form,
        "kind": spec.kind,
        "several": several,
        "group": target.group,
        "refusal": None,
        "carried": target.carried(),
    }
    if sent is not None and form.is_valid():
        try:
            # Whoever is on the way through the set-up grants the rights right now.
            is_set_up = back_to(request, "").startswith(reverse("setup:resume"))
            job = confirmations.start(confirmation, target, form, actor=actor, awaits_grants=is_set_up)
            return go_to(request, back_to(request, job.get_absolute_url()))
        except KmesError as error:
            _show_refusal(form, context, error)
    return render_form(request, "jobs/start.html", context, refused=sent is not None)


def _show_refusal(form: StartForm, context: dict[str, Any], error: KmesError) -> None:
    """Put a refusal at its field, or above the form; a missing right is a page of its own."""
    if isinstance(error, PermissionRefused):
        raise error
    if isinstance(error, InputError) and error.field in form.fields:
        form.add_error(error.field, str(error))
    else:
        context["refusal"] = error


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.JOB_CANCEL)
def cancel_job(request: HttpRequest, code: str) -> HttpResponse:
    """Say what cancelling leaves behind; on POST ask the worker to stop."""
    job = job_or_404(code)
    refuse_outside(request, Right.JOB_CANCEL, job)
    context: dict[str, Any] = {
        "job": job,
        "effects": describe_cancel(job),
        "obstacle": why_not_cancel(job),
        "due_rotation": rotation_slots.find_served(job.pk),
    }
    if request.method == "POST":
        try:
            request_cancel(job=job, actor=Actor.from_user(request.user))
            return go_to(request, back_to(request, job.get_absolute_url()))
        except KmesError as error:
            if isinstance(error, PermissionRefused):
                raise
            context["refusal"] = error
    return render_form(request, "jobs/cancel.html", context, refused=request.method == "POST")


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.CONSOLE_READ)
def retry_job(request: HttpRequest, code: str) -> HttpResponse:
    """Say what a retry does; on POST make the new job and go there."""
    job = job_or_404(code)
    spec = registry.find(job.kind)
    if spec is None or spec.retry is None:
        raise Http404(_("This kind of job is not retried by hand."))
    actor = require_right(request, registry.right_for(job))
    refuse_outside(request, registry.right_for(job), job)
    sent = request.POST if request.method == "POST" else None
    form = StartForm(sent)
    needed = requirements_of(actions_of(job)) if spec.approval is not None else []
    needed = lying_in(needed, [place.group for place in job.places if place.group], [])
    if needed:
        # Where a policy counts keys, the request asks for the reason.
        ask_for_reason(form, is_required=any(each.least <= 1 for each in needed))
    context: dict[str, Any] = {"job": job, "form": form, "obstacle": why_not_retry(job)}
    context["needed"] = describe_all(needed)
    context["warnings"] = retry_warnings(job)
    if sent is not None and form.is_valid():
        key = confirmations.idempotency_key_of(form, actor)
        try:
            made = confirmations.earlier_job(key) or request_retry(
                job=job, actor=actor, idempotency_key=key, **confirmations.reason_in(form)
            )
            return go_to(request, made.get_absolute_url())
        except KmesError as error:
            if isinstance(error, PermissionRefused):
                raise
            context["refusal"] = error
    return render_form(request, "jobs/retry.html", context, refused=sent is not None)
