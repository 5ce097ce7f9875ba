"""Which pages of jobs ask for the second factor again, or for a second administrator.

They are those that end or stop the use of a key, or approve that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.pages.selectors import find_job
from kmes.accounts.dual_login import actions
from kmes.accounts.second_factor import step_up
from kmes.accounts.second_factor.passkeys import statements

KINDS = {
    "cloud_delete": _("Deleting keys in a vault"),
    "cloud_purge": _("Purging deleted keys from a vault"),
    "destroy": _("Destroying key material"),
    "set_enabled": _("Enabling and disabling versions"),
    "repair": _("Repairing differences to a vault"),
}
DECIDE, POLICY = "approval_decision", "approval_policy"
_POLICY_PAGES = tuple(f"approvals:{each}" for each in ("policy", "policy_for_scope", "add_policy", "demand_two"))


def register_all() -> None:
    """Register the pages."""
    step_up.register("jobs:remove")
    step_up.register("jobs:start", when=lambda arguments: arguments["kind"] in KINDS)
    step_up.register("approvals:decide", "approvals:batch", unless=_is_signed)
    step_up.register(*_POLICY_PAGES, "approvals:review", "approvals:apply")
    step_up.register("approvals:break_glass", unless=_is_signed, even_if_off=True)
    step_up.register("jobs:start_many", when=lambda arguments: arguments["kind"] in KINDS)
    # Several may be retried of which one does such a thing.
    step_up.register("jobs:retry_many")
    step_up.register("jobs:retry", when=lambda arguments: bool(_retried(arguments)))
    _register_actions()


def _is_signed(request: HttpRequest) -> bool:
    """Return whether the user approves with a passkey, which proves more than a confirmation before. Refusing does not."""
    user: Any = request.user
    return statements.signs(user) and (request.method != "POST" or bool(request.POST.get("passkey")))


def _register_actions() -> None:
    for kind, label in KINDS.items():
        actions.add_action(kind, label)
    actions.add_action(DECIDE, _("Deciding on requests for approval"))
    actions.add_action(POLICY, _("Changing approval policies"))
    actions.register("jobs:retry_many", codes=lambda _arguments: frozenset(KINDS))
    actions.register("jobs:remove", codes=lambda _arguments: frozenset({"cloud_delete", "cloud_purge", "destroy"}))
    actions.register("jobs:start", "jobs:start_many", codes=lambda arguments: frozenset(KINDS) & {arguments["kind"]})
    actions.register("jobs:retry", codes=_retried)
    actions.register("approvals:decide", "approvals:batch", "approvals:review", codes=DECIDE)
    actions.register(*_POLICY_PAGES, codes=POLICY)
    actions.register("approvals:apply", codes=actions.ACCESS)
    # One person alone breaks glass: where a second one is at hand, they approve.
    actions.exempt("approvals:break_glass")
    # A menu and challenges of passkeys, which are sent by POST.
    actions.exempt("jobs:jobs_actions", *(f"approvals:{each}options" for each in ("", "batch_", "break_glass_")))


def _retried(arguments: Mapping[str, Any]) -> frozenset[str]:
    job = find_job(arguments["code"])
    return frozenset(KINDS) & {job.work_kind} if job is not None else frozenset()
