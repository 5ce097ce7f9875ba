"""Which approvers could be the requester: a user who made an account or set its password can sign in with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, Subquery

from jobs.approvals.models import ApprovalPolicy
from jobs.engine.approval_policies import PolicyKey, key_of
from kmes.accounts.company_sign_on.actor import PROVIDER
from kmes.core.clock import now
from logging_reports.choices import Service
from logging_reports.models import LogEntry

# By then the account's owner has noticed that somebody else signs in with it.
NOT_COUNTED = timedelta(days=30)
TAKEN_OVER_BY = (
    *("user.created", "user.updated", "user.role_given", "user.reactivated"),
    *("user.password_reset", "user.factor_reset"),
    # Another account of the same name can be linked then.
    "user.unlinked",
)
# After a change of company sign-on by the requester, who may have led it to a provider of their own.
GIVEN_BY_SIGN_ON = ("user.created", "user.linked", "user.updated")


def find_reachable(requester_id: int | None, actions: Iterable[str]) -> frozenset[int]:
    """Return the users whose account the requester made, woke, unlinked, or gave a role, a password or no second factor.

    So do those that got an account or a role by company sign-on, after the requester changed its settings.

    Only what was done under the policies of these actions counts, in the last 30 days: whoever invites a colleague
    and then asks for two approvals has nothing to get round yet.
    """
    begun = _in_force_since(actions) if requester_id is not None else []
    if not begun:
        return frozenset()
    since = max(min(begun), now() - NOT_COUNTED)
    # The first change of company sign-on by the requester; without one nothing is newer than it.
    changes = LogEntry.objects.filter(
        service=Service.AUDIT, event="access.sign_on_changed", actor_user_id=requester_id, at__gte=since
    )
    changed_at = Subquery(changes.order_by("at").values("at")[:1])
    rows = LogEntry.objects.filter(
        Q(event__in=TAKEN_OVER_BY, actor_user_id=requester_id, at__gte=since)
        | Q(event__in=GIVEN_BY_SIGN_ON, actor_name=PROVIDER.name, at__gte=changed_at),
        service=Service.AUDIT,
    )
    found = (_taken_over(event, data) for event, data in rows.values_list("event", "data"))
    return frozenset(user_id for user_id in found if user_id is not None)


def _in_force_since(actions: Iterable[str]) -> list[datetime]:
    """Return since when policies of these actions ask for approvals without a break, for those that do. One query.

    Those for a scope too, whichever it is.
    """
    begun: dict[PolicyKey, datetime] = {}
    ended: set[PolicyKey] = set()
    for policy in ApprovalPolicy.objects.filter(action__in=set(actions)).order_by("-number"):
        if not policy.approvals:
            ended.add(key_of(policy))
        elif key_of(policy) not in ended:
            begun[key_of(policy)] = policy.changed_at
    return list(begun.values())


def _taken_over(event: str, data: Any) -> int | None:
    if not isinstance(data, dict) or (event == "user.updated" and "role" not in data.get("changes", {})):
        return None
    user_id = data.get("user_id")
    return user_id if isinstance(user_id, int) else None
