"""Pages of Jobs: list, drawer, one job with its log, and its menu. Reads through selectors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from jobs.approvals.selectors import count_to_decide
from jobs.certifications.selectors import find_run_of
from jobs.choices import FINAL_STATES, STATE_COLOURS, JobState, TargetState
from jobs.engine.approval_requests import awaited_approvals
from jobs.engine.chains import describe_next
from jobs.models import Job
from jobs.pages import selectors
from jobs.pages.failure_help import describe_left_behind, explain_failure, find_taken_groups, tell_once
from jobs.pages.filters import JobFilterForm
from jobs.pages.key_grid import read_key_grid
from jobs.pages.progress import (
    describe_duration,
    describe_groups,
    describe_running,
    describe_step_duration,
    describe_steps_and_keys,
    label_of,
)
from jobs.pages.selectors import LOG_TAIL, LOG_UPDATE, JobView
from jobs.pages.summary import choose_next, tell_state
from jobs.pages.tables import TRIGGER_LABELS, JobTable
from kmes.accounts.rights import Right
from kmes.core.clock import now, stamp
from kmes.core.columns import max_length
from kmes.core.ids import job_code, job_label
from kmes.ui.access import right_required
from kmes.ui.actions import flat_menu, menu_for, show_menu
from kmes.ui.responses import asks_for_fragment, send_file
from kmes.ui.tables import arrange

RESULTS_ID = "job-results"
NO_CONTENT = 204
MAX_CODE = max_length(Job, "code")


def job_or_404(code: str) -> Job:
    """Return the job of this code.

    Raises:
        Http404: there is none.

    """
    job = selectors.find_job(code)
    if job is None:
        raise Http404(_("There is no job of this number."))
    return job


# --- List and drawer -------------------------------------------------------------------------
@require_safe
@right_required(Right.CONSOLE_READ)
def show_jobs(request: HttpRequest) -> HttpResponse:
    """Show the list with its tabs and filters; htmx asks for the rows alone to keep them fresh."""
    form = JobFilterForm(request.GET)
    context: dict[str, Any] = {"form": form, "results_id": RESULTS_ID, "table": None}
    if form.is_valid():
        context |= _find_results(request, form)
    is_results = request.headers.get("HX-Target") == RESULTS_ID
    if is_results and context.get("digest") == request.GET.get("seen"):
        return HttpResponse(status=NO_CONTENT)
    response = render(request, "jobs/_results.html" if is_results else "jobs/list.html", context)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _find_results(request: HttpRequest, form: JobFilterForm) -> dict[str, Any]:
    jobs = selectors.list_jobs(form.to_filter(user_id=request.user.pk))
    bulk = flat_menu(menu_for("selected_jobs", None, request.user))
    table = JobTable(jobs, exclude=() if bulk else ("pick",))
    arrange(request, table)
    shown = [row.record for row in table.paginated_rows]
    place = {name: request.GET[name] for name in ("sort", "page", "per_page", "view") if request.GET.get(name)}
    return {
        "table": table,
        "bulk": bulk,
        "count": table.paginator.count,
        "chips": form.chips(),
        "digest": selectors.digest_of(shown, table.paginator.count),
        "query": form.query(**place),
    }


@require_safe
@right_required(Right.CONSOLE_READ)
def show_drawer(request: HttpRequest) -> HttpResponse:
    """Show the last jobs of everybody, open ones first: as the drawer, or on a phone as a page."""
    jobs = selectors.recent_jobs()
    running = selectors.count_running()
    to_decide = count_to_decide(request.user)
    digest = selectors.digest_of(jobs, running) + f"-{to_decide}"
    if request.GET.get("seen") == digest:
        return HttpResponse(status=NO_CONTENT)
    rows = [(job, describe_running(job)) for job in jobs]
    ended = [job for job in jobs if job.finished_at and job.requested_by_id == request.user.pk]
    newest = max(ended, key=lambda job: job.finished_at or job.created_at, default=None)
    context = {
        "newest": newest,
        "rows": rows,
        "running": running,
        "to_decide": to_decide,
        "digest": digest,
        "colours": STATE_COLOURS,
    }
    return render(request, "jobs/_drawer.html" if asks_for_fragment(request) else "jobs/drawer.html", context)


# --- One job ---------------------------------------------------------------------------------
@require_safe
@right_required(Right.CONSOLE_READ)
def show_job(request: HttpRequest, code: str) -> HttpResponse:
    """Show one job: state, error, steps, keys, log."""
    try:
        job = job_or_404(code)
    except Http404:
        return _show_unknown(request, code)
    view = selectors.view_job(job)
    after = 0 if "all" in request.GET else max(0, view.line_count - LOG_TAIL)
    lines = selectors.log_lines(view.job, after=after)
    # The log may have grown since it was counted; the next update starts behind what is shown.
    shown = lines[-1].number if lines else 0
    user: Any = request.user
    context = {
        **_job_context(request, view, shown=shown),
        "lines": lines,
        "left_out": after,
        "can_read_log": user.has_right(Right.LOG_READ),
    }
    return render(request, "jobs/detail.html", context)


def _show_unknown(request: HttpRequest, code: str) -> HttpResponse:
    """Say that there is no such job, and lead to the log rows about it: log rows outlive jobs."""
    user: Any = request.user
    context = {"job": job_label(job_code(code)[:MAX_CODE]), "can_read_log": user.has_right(Right.LOG_READ)}
    return render(request, "jobs/unknown.html", context, status=HTTPStatus.NOT_FOUND)


@require_safe
@right_required(Right.CONSOLE_READ)
def show_live(request: HttpRequest, code: str) -> HttpResponse:
    """Answer what changed: the job's state anew, and the log lines past those shown; 204 when nothing did."""
    view = selectors.view_job(job_or_404(code))
    text = request.GET.get("after", "")
    after = min(int(text), view.line_count) if text.isdecimal() and len(text) < 10 else 0
    if view.digest == request.GET.get("seen") and after == view.line_count:
        return HttpResponse(status=NO_CONTENT)
    lines = selectors.log_lines(view.job, after=after, limit=LOG_UPDATE)
    shown = lines[-1].number if lines else after
    context = {**_job_context(request, view, shown=shown), "lines": lines}
    return render(request, "jobs/_live.html", {**context, "is_update": True})


def _job_context(request: HttpRequest, view: JobView, *, shown: int) -> dict[str, Any]:
    job = view.job
    above = {f"{job.error_what} {job.error_remedy}".strip()}
    items = [(submenu, item) for submenu, item in flat_menu(menu_for("job", job, request.user)) if item.name != "open"]
    failure, taken_groups = explain_failure(view), find_taken_groups(job)
    next_step = choose_next(view, failure, items, taken_groups)
    steps = [
        (
            step,
            label_of(step),
            STATE_COLOURS.get(step.state, "neutral"),
            detail,
            describe_step_duration(step.started_at, step.finished_at),
        )
        for step, detail in tell_once(view.steps, above)
    ]
    shows_all_keys = request.GET.get("keys") == "all"
    progress = (
        describe_groups(job, done=view.matrix.done)
        if view.matrix
        else describe_steps_and_keys(
            job,
            steps=(len(view.steps), view.steps_done),
            keys=(len(view.targets), sum(target.state == TargetState.DONE for target in view.targets)),
        )
    )
    return {
        "view": view,
        "job": job,
        "shown": shown,
        # A long log arrives in pieces: the page goes on asking until it has the last line.
        "is_final": job.state in FINAL_STATES and shown >= view.line_count,
        "has_more": shown < view.line_count,
        # What can't be done now, and why, stands in the menu.
        "items": [
            (submenu, item) for submenu, item in items if item.url and (not next_step or item.name != next_step.item)
        ],
        "next": next_step,
        "sentence": tell_state(view, progress=progress),
        "approvals": awaited_approvals(job),
        "is_under_policy": hasattr(job, "approval_request"),
        "certification": find_run_of(job),
        "state_colour": job.state_colour,
        "failure": failure,
        "taken_groups": taken_groups,
        "left_behind": describe_left_behind(view),
        "to_follow": describe_next(job),
        "steps": steps,
        "keys": read_key_grid(job, view.targets, told=above, whole=shows_all_keys),
        "shows_all_keys": shows_all_keys,
        "matrix": view.matrix,
        "progress": progress,
        "step_now": label_of(view.running_step) if view.running_step and not view.matrix else "",
        "next_look": job.run_after if job.shown_state == JobState.QUEUED and job.run_after > now() else None,
        "duration": describe_duration(job.started_at, job.finished_at),
        "trigger": TRIGGER_LABELS.get(job.trigger, job.trigger),  # type: ignore[call-overload]
    }


@require_safe
@right_required(Right.CONSOLE_READ)
def download_log(_request: HttpRequest, code: str) -> HttpResponse:
    """Send the job's log as text, each line behind its time in UTC."""
    job = job_or_404(code)
    lines = [f"{stamp(line.message.at)} {line.message.text}\n" for line in selectors.log_lines(job, after=0)]
    return send_file("".join(lines), "text/plain; charset=utf-8", name=f"{job}.txt")


@require_safe
@right_required(Right.CONSOLE_READ)
def show_actions(request: HttpRequest, code: str) -> HttpResponse:
    """Show the job's menu, as a piece for the context menu or as a page."""
    job = job_or_404(code)
    return show_menu(request, "job", job, name=job, back=reverse("jobs:list"))
