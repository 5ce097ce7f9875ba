"""Which pages of jobs ask for the second factor again, and can ask for a second administrator.

They are those that end or stop the use of a key, or approve that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.pages.selectors import find_job
from kmes.accounts.acting_views import ACCESS, add_action, exempt, register
from kmes.accounts.second_factor.passkeys import statements

KINDS = {
    "cloud_delete": _("Deleting keys in a vault"),
    "cloud_purge": _("Purging deleted keys from a vault"),
    "destroy": _("Destroying key material"),
    "set_enabled": _("Enabling and disabling versions"),
    "repair": _("Repairing differences to a vault"),
}
DECIDE, POLICY = "approval_decision", "approval_policy"


def register_all() -> None:
    """Register the pages."""
    for kind, label in KINDS.items():
        add_action(kind, label)
    add_action(DECIDE, _("Deciding on requests for approval"))
    add_action(POLICY, _("Changing approval policies"))
    register("jobs:start", "jobs:start_many", codes=lambda arguments: frozenset(KINDS) & {arguments["kind"]})
    register("jobs:remove", codes=lambda _arguments: frozenset({"cloud_delete", "cloud_purge", "destroy"}))
    register("jobs:retry", codes=_retried)
    # One of several retried jobs may be such an action.
    register("jobs:retry_many", codes=lambda _arguments: frozenset(KINDS))
    register("approvals:decide", "approvals:batch", codes=DECIDE, is_signed=_is_signed)
    register("approvals:review", codes=DECIDE)
    register(
        *(f"approvals:{each}" for each in ("policy", "policy_for_scope", "add_policy", "demand_two")), codes=POLICY
    )
    register("approvals:apply", codes=ACCESS)
    # Breaking glass needs no second administrator: one who is present can approve instead.
    register(
        "approvals:break_glass", codes="break_glass", is_signed=_is_signed, needs_nobody_else=True, even_if_off=True
    )
    # A menu and challenges of passkeys, which are sent by POST.
    exempt("jobs:jobs_actions", *(f"approvals:{each}options" for each in ("", "batch_", "break_glass_")))


def _is_signed(request: HttpRequest) -> bool:
    """Return whether the user approves with a passkey, which proves more than a confirmation before. Refusing does not."""
    user: Any = request.user
    return statements.signs(user) and (request.method != "POST" or bool(request.POST.get("passkey")))


def _retried(arguments: Mapping[str, Any]) -> frozenset[str]:
    job = find_job(arguments["code"])
    return frozenset(KINDS) & {job.work_kind} if job is not None else frozenset()
