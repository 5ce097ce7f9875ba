"""Says which roles the policy names, so that none of them is deleted."""

from __future__ import annotations

from django.utils.translation import gettext as _

from kmes.accounts.dual_login.policy import read_policy


def find_uses(code: str) -> list[str]:
    """Return in sentences what dual login says of a role."""
    policy = read_policy()
    found = []
    if code in policy.roles:
        found.append(_("Dual login demands a second administrator of its users."))
    if code in policy.second_roles and policy.is_on:
        found.append(_("Its users can be second administrators of others."))
    return found
