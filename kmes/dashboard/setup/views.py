"""Pages of the wizard. State is read from the rows; each page can be left, skipped and reopened."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cloudcreds.guide import set_up_guide
from jobs.choices import OPEN_STATES, STATE_COLOURS, JobState
from jobs.engine import fresh_grants
from jobs.kinds.list_vaults import spec as list_vaults
from jobs.kinds.prove import spec as prove
from jobs.kinds.rotate import spec as rotate
from jobs.kinds.self_test import spec as self_test
from jobs.kinds.synchronize import spec as synchronize
from jobs.kinds.test_connection import spec as test_connection
from jobs.models import Job
from jobs.spec import step_label
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError, KmesError, PermissionRefused
from kmes.dashboard.setup.findings import SetupStep
from kmes.dashboard.setup.forms import FirstPushForm, VaultForm
from kmes.dashboard.setup.services import push_first_key, record_vault
from kmes.dashboard.setup.steps import is_set_up, next_step, read_steps
from kmes.ui.access import right_required

NO_CONTENT = 204
LAST = 5
# The jobs whose end changes what a step finds.
WATCHED: dict[int, tuple[str, ...]] = {
    1: (self_test.KIND,),
    3: (test_connection.KIND, list_vaults.KIND),
    4: (test_connection.KIND, list_vaults.KIND),
    5: (rotate.KIND, synchronize.KIND, prove.KIND),
}


@require_safe
@right_required(Right.CONSOLE_READ)
def resume(_request: HttpRequest) -> HttpResponse:
    """Go to the first step that is not done, or to the end."""
    step = next_step(read_steps())
    return redirect(step.url if step else reverse("setup:done"))


@require_safe
@right_required(Right.CONSOLE_READ)
def begin(_request: HttpRequest) -> HttpResponse:
    """Go from a first sign-in to the set-up, or to the dashboard once a key is in a vault."""
    return redirect("dashboard:home" if is_set_up() else "setup:resume")


@require_safe
@right_required(Right.CONSOLE_READ)
def show_done(request: HttpRequest) -> HttpResponse:
    """Show all five steps with what was found, and what one may do next."""
    return render(request, "setup/done.html", {"steps": read_steps()})


@require_safe
@right_required(Right.CONSOLE_READ)
def show_step(request: HttpRequest, number: int) -> HttpResponse:
    """Show one step; htmx asks for its findings alone while a job of it runs."""
    context = _context(request, number)
    if request.headers.get("HX-Target") == "setup-findings":
        if context["digest"] == request.GET.get("seen"):
            return HttpResponse(status=NO_CONTENT)
        # The push has ended: send its form again, which was folded, so nobody can have typed in it.
        is_form_due = number == LAST and not context["is_open"]
        more = {"form": FirstPushForm(chosen=request.GET.get("vault", ""))} if is_form_due else {}
        return render(request, "setup/_findings.html", {**context, **more, "is_update": True})
    if number == 4:
        context["form"] = VaultForm()
    if number == LAST:
        context["form"] = FirstPushForm(chosen=request.GET.get("vault", ""))
    return render(request, "setup/step.html", context)


@require_http_methods(["POST"])
@right_required(Right.CREDENTIAL_MANAGE)
def add_vault(request: HttpRequest) -> HttpResponse:
    """Record a vault by its address, and stay on the step."""
    form = VaultForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            vault = record_vault(
                credential=given["credential"], address=given["vault"], actor=Actor.from_user(request.user)
            )
        except InputError as error:
            form.add_error("vault", str(error))
        else:
            messages.success(request, _("Vault %(name)s is recorded. Test it next.") % {"name": vault.name})
            return redirect("setup:step", 4)
    return render(request, "setup/step.html", {**_context(request, 4), "form": form}, status=422)


@require_http_methods(["POST"])
@right_required(Right.GROUP_MANAGE)
def push(request: HttpRequest) -> HttpResponse:
    """Make the first group and start its push, and stay to watch it."""
    form = FirstPushForm(request.POST)
    refusal: KmesError | None = None
    if form.is_valid():
        given, token = form.cleaned_data, form.cleaned_data["idempotency_key"]
        try:
            push_first_key(
                vault=given["vault"],
                name=given["name"],
                key_spec=given["key_spec"],
                actor=Actor.from_user(request.user),
                idempotency_key=f"{request.user.pk}:{token}" if token else "",
            )
        except PermissionRefused:
            raise
        except KmesError as error:
            refusal = _refuse(form, error)
        else:
            return redirect("setup:step", LAST)
    context = {**_context(request, LAST), "form": form, "refusal": refusal}
    return render(request, "setup/step.html", context, status=422)


def _refuse(form: FirstPushForm, error: KmesError) -> KmesError | None:
    """Show a refusal at its field; return it if this form lacks the field."""
    field = getattr(error, "field", "")
    if field == "azure_name":
        field = "name"
    if field not in form.fields:
        return error
    form.add_error(field, str(error))
    return None


def _context(request: HttpRequest, number: int) -> dict[str, Any]:
    # Before what it writes: a job that has ended meanwhile would leave the page with findings from before its end.
    job = _watched_job(number)
    steps = read_steps()
    step = next((one for one in steps if one.number == number), None)
    if step is None:
        raise Http404(_("The wizard has five steps."))
    shown = [(each, step_label(each.name), STATE_COLOURS[each.state]) for each in job.steps.all()] if job else []
    user: Any = request.user
    return {
        "steps": steps,
        "step": step,
        "job": job,
        "job_steps": shown,
        "job_colour": STATE_COLOURS[job.state] if job else "",
        "has_push_failed": number == LAST and job is not None and job.state == JobState.FAILED,
        "is_open": job is not None and job.state in OPEN_STATES,
        # What to do stands there already: the push is watched below.
        "is_push_under_way": number == LAST and job is not None and job.state in OPEN_STATES,
        "next_try_at": fresh_grants.next_try_at(job) if job else None,
        "gives_up_at": fresh_grants.gives_up_at(job) if job else None,
        "may_cancel": user.has_right(Right.JOB_CANCEL),
        "digest": _digest(step, job),
        "rights": {right for right in Right if user.has_right(right)},
        "guide": set_up_guide() if number in {3, 4} else None,
    }


def _watched_job(number: int) -> Job | None:
    """Return the step's open job, else its newest one if that failed; for the push, its newest job whatever its state."""
    jobs = Job.objects.filter(kind__in=WATCHED.get(number, ())).order_by("-created_at")
    if number == LAST:
        return jobs.filter(group__certifications__isnull=True).first()
    newest = jobs.filter(state__in=OPEN_STATES).first() or jobs.first()
    return newest if newest and (newest.state in OPEN_STATES or newest.state == JobState.FAILED) else None


def _digest(step: SetupStep, job: Job | None) -> str:
    steps = [f"{each.name}{each.state}{each.detail}" for each in job.steps.all()] if job else []
    waits = f"{job.run_after}{job.waiting_for}" if job else ""
    seen = f"{[(one.text, one.ok, one.at) for one in step.findings]}|{job and job.state}|{waits}|{steps}"
    return hashlib.blake2s(seen.encode(), digest_size=8).hexdigest()
