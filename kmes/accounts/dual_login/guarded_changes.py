"""The settings of dual login as a change that an approval policy can be about: they say what nobody does alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.accounts import acting_views
from kmes.accounts.delegation import begin_change
from kmes.accounts.dual_login.policy import Policy, read_policy, save_policy
from kmes.accounts.rights import Right
from kmes.accounts.roles.selectors import role_name
from kmes.core.actor import Actor
from kmes.core.guarded_changes import Applied, Description, Operation, list_changes, register

# The action of the policy, and the kind of job.
DUAL_LOGIN = "change_dual_login"
_Values = Mapping[str, Any]


def register_all() -> None:
    """Register the operation."""
    register(Operation(name="dual_login.save", action=DUAL_LOGIN, describe=_describe, apply=_apply, lock=_lock))


def _lock(_values: _Values, actor: Actor) -> None:
    # Whoever saves the settings begins so, too.
    begin_change(actor, Right.USER_MANAGE)


def _policy_of(values: _Values) -> Policy:
    roles, acts, seconds = (frozenset(values[name]) for name in ("roles", "actions", "second_roles"))
    return Policy(roles, acts, seconds, values["minutes"], values["lock_version"])


def _shown(policy: Policy) -> dict[str, Any]:
    return {
        "roles": sorted(map(role_name, policy.roles)),
        "actions": sorted(map(acting_views.label_of, policy.actions)),
        "second_roles": sorted(map(role_name, policy.second_roles)),
        "minutes": policy.minutes,
    }


def _describe(values: _Values) -> Description:
    before, after = read_policy(), _policy_of(values)
    labels = {
        "roles": _("Users with these roles"),
        "actions": _("These actions"),
        "second_roles": _("Roles of the second administrator"),
        "minutes": _("Minutes"),
    }
    state = (_("On") if before.is_on else _("Off")) if before.is_genuine else _("not as it was saved")
    return Description(
        subject=_("Dual login"),
        title=_("Change dual login"),
        back=reverse("accounts:dual_login"),
        facts=[
            (_("State"), f"{state} → {_('On') if after.is_on else _('Off')}"),
            (_("Saved for the last time as number"), str(before.lock_version)),
            *list_changes(labels, _shown(before), _shown(after)),
        ],
        effects=[_("It takes effect at once and signs out the second administrators of all sessions.")],
        warnings=[] if after.is_on else [_("After that, no action needs a second administrator.")],
    )


def _apply(values: _Values, actor: Actor) -> Applied:
    save_policy(_policy_of(values), actor=actor)
    return Applied(message=_("Dual login is saved."), page=reverse("accounts:dual_login"))
