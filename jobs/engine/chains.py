"""Chains of jobs that are requested together: each starts when the one before has succeeded, else never.

The first job carries the others as links in its parameters. The next is created in the transaction that finishes
the one before, so it exists exactly once, and never before its condition holds. The removal of keys on both
sides is such a chain: delete in the cloud, purge there, destroy here (docs/decisions/0010-removal-is-linked-jobs.md).
"""

from __future__ import annotations

from typing import Any

from jobs.models import Job
from jobs.spec import registry
from jobs.titles import title_of
from kmes.core.actor import Actor

Link = dict[str, Any]


def create_next(job: Job, *, actor: Actor) -> Job | None:
    """Create the job that follows one that has succeeded, once however often it is called.

    Raises:
        KmesError: the next job can't be requested any more, for example because a right was taken away.

    """
    links: list[Link] = list(job.params.get("then", ()))
    while links:
        link, *links = links
        follow = registry[link["kind"]].follow
        if follow is None:
            message = f"{link['kind']} is never the next job of a chain"
            raise ValueError(message)
        given = {"actor": actor, "idempotency_key": f"after:{job.pk}:{link['kind']}"}
        if (made := follow(job, link, links, given)) is not None:
            return made
    return None


def describe_next(job: Job) -> list[str]:
    """Return the titles of the jobs that follow if this one succeeds."""
    return [title_of(link["kind"]) for link in job.params.get("then", ())]
