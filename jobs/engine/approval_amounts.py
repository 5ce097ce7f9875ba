"""Which policies a job falls under: those in whose scope it lies, if it is about as many keys or versions as they ask.

The count has what the job works on according to its rows, and what its requester did of that kind without approvals in the
day before: destroying keys one after the other needs approvals like destroying them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from jobs.choices import JobState, TargetState
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import COUNTED, Requirement
from jobs.models import Job, JobTarget
from jobs.spec import registry
from keygroups.filters import read_uuid
from keygroups.models import CloudVersion

# Keys that were left as they are.
_NOT_DONE = (TargetState.FAILED, TargetState.NOT_TRIED, TargetState.SKIPPED)
# What one requester did in so much time counts together.
PERIOD = timedelta(days=1)


def applying_to(job: Job, requested: Sequence[Requirement], key_ids: Iterable[UUID]) -> list[Requirement]:
    """Return the requirements that a job has to fulfill, which is requested for these keys; it need not be stored yet.

    The change of a policy falls under that policy alone. What no amount is about falls under each whose scope it lies in.
    A job on many key groups counts as one act on all of them, and each of its parts is counted with it.
    """
    job = job.part_of or job
    approval = registry[job.kind].approval
    if approval is not None and approval.changed_scope is not None:
        return [each for each in requested if (each.scope_kind, each.scope_value) == approval.changed_scope(job)]
    links = job.params.get("then", ())
    linked = {str(key) for link in links for key in link.get("keys", ())}
    keys = {str(key) for key in key_ids} | linked
    groups = _groups_of(job.group_id, job.params)
    requested = lying_in(requested, groups, keys)
    kinds = {job.work_kind, *(link.get("kind") for link in links)} & COUNTED
    if not kinds or all(each.least <= 1 for each in requested):
        return list(requested)
    own = max(len(keys), _count_versions(groups) if kinds - {"destroy"} else 0, 1)
    return [each for each in requested if each.least <= 1 or own + _done_before(job, each) >= each.least]


def _groups_of(group_id: UUID | None, params: Any) -> list[str]:
    """Return the key groups that a job with this group and these parameters works on."""
    named = params.get("group_ids", ()) if isinstance(params, dict) else ()
    # Rows of other jobs are not verified here: what is no id is left out.
    return [str(found) for each in (group_id, *named) if (found := read_uuid(str(each or "")))]


def _count_versions(group_ids: Sequence[str]) -> int:
    """Return how many versions a deletion or a purge of these groups is about.

    Each is about all versions of its Azure key, and about one at least, also where rows know of none any more.
    """
    rows = CloudVersion.objects.filter(group__in=set(group_ids)).values_list("group").annotate(Count("pk"))
    counts = {str(group_id): count for group_id, count in rows.order_by()}
    return sum(max(counts.get(each, 0), 1) for each in group_ids)


def _asked_for(stored: Any, needed: Requirement) -> bool:
    """Return whether a request, as its column has it, asked for the approvals of the same policy."""
    found = [each for each in stored if isinstance(each, dict)] if isinstance(stored, list) else []
    keys = [(each.get("action"), each.get("scope_kind", ""), each.get("scope_value", "")) for each in found]
    return needed.key in keys


def _done_before(job: Job, needed: Requirement) -> int:
    """Return how many keys or versions other jobs of the requester are about that did not need what is asked for.

    Those that needed the approvals of another policy count, and so do those outside of its scope.
    """
    if job.requested_by_id is None:
        return 0
    action = needed.action
    # A job on many key groups stands for its parts, also for those that it has not opened yet.
    others = Job.objects.filter(
        Q(kind=action, part_of=None) | Q(params__each=action),
        requested_by=job.requested_by_id,
        created_at__gt=job.created_at - PERIOD,
        created_at__lte=job.created_at,
    ).exclude(pk=job.pk)
    # Read here: another policy of the action may have been fulfilled.
    approved = others.exclude(approval_request=None).values_list("pk", "approval_request__requirements")
    others = others.exclude(pk__in=[pk for pk, stored in approved if _asked_for(stored, needed)])
    # Jobs of one chain are one act; what was canceled did nothing.
    if job.follows_id is not None:
        others = others.exclude(pk=job.follows_id)
    others = others.exclude(state=JobState.CANCELLED, started_at=None)
    if action == "destroy":
        return JobTarget.objects.filter(job__in=others).exclude(state__in=_NOT_DONE).count()
    about = others.values_list("group", "params")
    return sum(max(_count_versions(_groups_of(group_id, params)), 1) for group_id, params in about)
