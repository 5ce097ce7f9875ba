"""What was approved of the parts of a job on many key groups: one request covers them all (docs/approvals.md).

The whole job is compared before its first part is opened. Each part is compared again before it begins, with what was
approved for its key group, because it may begin much later.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.approvals.models import ApprovalRequest
from jobs.engine.approval_requests import describe_groups, requirements_in
from jobs.models import Job

# Names of groups that a sentence has.
NAMES_SHOWN = 10


def is_part_of(job: Job, whole: Job) -> bool:
    """Return whether a job does to one of the key groups what the whole was requested for."""
    return job.kind == whole.params.get("each") and str(job.group_id) in whole.params.get("group_ids", ())


def is_part_unchanged(part: Job, request: ApprovalRequest) -> bool:
    """Return whether the key group of a part is as it was approved."""
    approved = _by_id(request.plan)
    found = describe_groups([str(part.group_id)])
    return [approved.get(str(part.group_id))] == found


def parts_expire_at(request: ApprovalRequest) -> datetime:
    """Return until when the parts have to begin: they have as long again as approvers had."""
    return request.expires_at + timedelta(hours=min(each.expires_hours for each in requirements_in(request)))


def name_changed_groups(approved: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    """Return the names of the key groups of which two plans say something else; "" where they name none.

    ``found`` is None where the plan can't be made any more, because a group is gone.
    """
    before = _by_id(approved)
    after = _by_id(found) if found is not None else {each["id"]: each for each in describe_groups(list(before))}
    names = [str(group.get("name")) for key, group in before.items() if after.get(key) != group]
    more = f" + {len(names) - NAMES_SHOWN}" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _by_id(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {str(each.get("id")): each for each in plan.get("objects", {}).get("groups", ())}
