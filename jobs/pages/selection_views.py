"""Pages that cancel or retry several jobs. Each is cancelled or retried by itself, as from its own page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from jobs.confirmation.forms import StartForm
from jobs.engine.approval_amounts import applying_to
from jobs.engine.approval_policies import actions_of, requirements_of
from jobs.engine.approval_requests import requested_keys
from jobs.models import Job
from jobs.pages import confirmations
from jobs.pages.selectors import find_jobs
from jobs.planning.blockers import why_not_cancel, why_not_retry
from jobs.services import request_cancel, request_retry
from jobs.spec import registry
from kmes.accounts.rights import Right
from kmes.core.actor import Actor
from kmes.core.errors import InputError
from kmes.core.right_names import outside_of_scope
from kmes.ui import many
from kmes.ui.access import right_required
from kmes.ui.actions import show_menu
from kmes.ui.responses import go_to, render_form


@require_POST
@right_required(Right.CONSOLE_READ)
def show_selection_actions(request: HttpRequest) -> HttpResponse:
    """Show the menu of several jobs. Changes nothing; it is posted because a selection may be long."""
    jobs = find_jobs(many.picked(request))
    name = ngettext("%(count)d job", "%(count)d jobs", len(jobs)) % {"count": len(jobs)}
    return show_menu(request, "selected_jobs", jobs, name=name, back=reverse("jobs:list"))


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.JOB_CANCEL)
def cancel_jobs(request: HttpRequest) -> HttpResponse:
    """Show which of the selected jobs can be cancelled; on POST without ``ask`` cancel them."""
    user: Any = request.user
    outside = outside_of_scope(Right.JOB_CANCEL)
    rows = [
        many.Row(job, why_not_cancel(job) if user.may(Right.JOB_CANCEL, job) else outside)
        for job in _read_jobs(request)
    ]
    actor = Actor.from_user(user)

    def say_done(count: int) -> str:
        text = ngettext("Cancellation of %(count)d job requested.", "Cancellation of %(count)d jobs requested.", count)
        return text % {"count": count}

    ready = sum(not row.reason for row in rows)
    context = {
        "title": ngettext("Cancel %(count)d job", "Cancel %(count)d jobs", ready) % {"count": ready or len(rows)},
        "button": _("Cancel"),
        "effect": _("A job that has begun stops at its next safe point and says what it leaves behind."),
        "danger": True,
    }
    return _answer(request, rows, context, lambda job: request_cancel(job=job, actor=actor), say_done)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(Right.KEY_PUSH)
def retry_jobs(request: HttpRequest) -> HttpResponse:
    """Show which of the selected jobs can be retried; on POST without ``ask`` make the new jobs.

    What each does again may need a further right; a job of which the user lacks it is left out.
    """
    user: Any = request.user
    rows = [many.Row(job, _why_not_retry(job, user)) for job in _read_jobs(request)]
    actor = Actor.from_user(user)
    form = StartForm(request.POST if many.is_sent(request) else None)
    base = confirmations.idempotency_key_of(form, actor) if form.is_valid() else ""

    def retry(job: Job) -> Job:
        key = f"{base}:{job.code}" if base else ""
        return confirmations.earlier_job(key) or request_retry(job=job, actor=actor, idempotency_key=key)

    def say_done(count: int) -> str:
        return ngettext("%(count)d job is retried.", "%(count)d jobs are retried.", count) % {"count": count}

    ready = sum(not row.reason for row in rows)
    context = {
        "title": ngettext("Retry %(count)d job", "Retry %(count)d jobs", ready) % {"count": ready or len(rows)},
        "button": _("Retry"),
        "effect": _("A new job does what each of them left undone. What it did is not done again."),
        "danger": False,
        "token": form["idempotency_key"],
    }
    return _answer(request, rows, context, retry, say_done)


def _read_jobs(request: HttpRequest) -> list[Job]:
    jobs = find_jobs(many.picked(request))
    if not jobs:
        raise InputError(_("No job is selected."), _("Tick the boxes of the jobs."))
    return jobs


def _why_not_retry(job: Job, user: Any) -> str:
    spec = registry.find(job.kind)
    if spec is None or spec.retry is None:
        return _("This kind of job is not retried by hand")
    right = registry.right_for(job)
    if not user.may_somewhere(right):
        return _("The right “%(right)s” is needed") % {"right": right.value}
    if not user.may(right, job):
        return outside_of_scope(right)
    if reason := why_not_retry(job):
        return reason
    needed = requirements_of(actions_of(job)) if spec.approval is not None else []
    if applying_to(job, needed, requested_keys(job)):
        return _("Others have to approve it: retry it on its own page, with a reason")
    return ""


def _answer(
    request: HttpRequest,
    rows: list[many.Row],
    context: dict[str, Any],
    act: Callable[[Job], Job],
    say_done: Callable[[int], str],
) -> HttpResponse:
    ready = sum(not row.reason for row in rows)
    if many.is_sent(request) and ready:
        outcome = many.act_on(rows, act)
        many.tell(request, outcome, say_done(len(outcome.done)))
        return go_to(request, reverse("jobs:list"))
    context |= many.context_of(rows, back=reverse("jobs:list"), back_name=_("Jobs"))
    return render_form(request, "ui/many.html", context, refused=many.is_sent(request))
