"""Finds jobs for the command palette: by number (``7F3K`` or ``job-7F3K``) or by the beginning of what they work on."""

from __future__ import annotations

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from jobs.models import Job
from kmes.core.ids import job_code
from kmes.ui.search import Hit, Provider, register


def register_all() -> None:
    """Register the provider."""
    register(Provider(name="jobs", label=_("Jobs"), find=find_jobs, order=30))


def find_jobs(text: str, limit: int) -> list[Hit]:
    """Return jobs, newest first. One query; the list of jobs finds more words, and all of them."""
    jobs = Job.objects.filter(Q(code__startswith=job_code(text)) | Q(subject__icontains=text)).order_by("-created_at")
    return [
        Hit(
            label=str(job),
            url=job.get_absolute_url(),
            icon="job",
            detail=f"{job.title} · {job.subject} · {job.get_state_display()}",
            actions_url=reverse("jobs:actions", args=[job.code]),
            target="job",
            obj=job,
            other_names=(job.code,),
        )
        for job in jobs[:limit]
    ]
