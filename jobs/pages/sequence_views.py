"""The calls of a job as a picture, for users who may read the log."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from jobs.choices import FINAL_STATES
from jobs.pages import sequence
from jobs.pages.views import NO_CONTENT, job_or_404
from kmes.accounts.rights import Right
from kmes.ui.access import right_required
from kmes.ui.responses import asks_for_fragment


@require_safe
@right_required(Right.LOG_READ)
def show_sequence(request: HttpRequest, code: str) -> HttpResponse:
    """Show the calls of a job; its page asks for the fragment until the job has ended."""
    job = job_or_404(code)
    context = {"job": job, "is_final": job.state in FINAL_STATES, **sequence.context_of(job)}
    if not asks_for_fragment(request):
        return render(request, "jobs/sequence.html", context)
    if not context["is_final"] and request.GET.get("seen") == str(context["seen"]):
        return HttpResponse(status=NO_CONTENT)
    return render(request, "jobs/_sequence.html", context)
