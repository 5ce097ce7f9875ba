"""The settings of company sign-on as a change that an approval policy can be about: they say who gets which role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.delegation import begin_change
from kmes.accounts.rights import Right
from kmes.accounts.roles.selectors import role_name
from kmes.core.actor import Actor
from kmes.core.guarded_changes import Description, Operation, list_changes, register

SAVE = "sign_on.save"
_Values = Mapping[str, Any]


def register_all(action: str) -> None:
    """Register the operation, under the policy of an action. It is applied by its form, where the secret is entered."""
    register(
        Operation(
            name=SAVE, action=action, describe=_describe, form=lambda _values: reverse("accounts:sign_on"), lock=_lock
        )
    )


def requested_provider(values: _Values) -> SignOnProvider | None:
    """Return the settings that a request asks for as a row that is not stored; None for no request."""
    return SignOnProvider(**{name: value for name, value in values.items() if name != "has_secret"}) if values else None


def _lock(_values: _Values, actor: Actor) -> None:
    begin_change(actor, Right.USER_MANAGE)


def _labels() -> dict[str, str]:
    return {
        "name": _("Name"),
        "issuer": _("Issuer"),
        "client_id": _("Client ID"),
        "scopes": _("Scopes"),
        "username_claim": _("Claim of the user name"),
        "groups_claim": _("Claim of the groups"),
        "groups": _("Groups and roles"),
        "unmatched_role": _("Users without a group"),
        "may_link": _("Link users by name"),
        "factor_values": _("Values that prove a second factor"),
        "are_local_for_emergencies": _("Passwords for emergencies only"),
        "signs_out_there": _("Signing out leads to the provider"),
        "is_enabled": _("In use"),
    }


def _shown(values: _Values) -> dict[str, Any]:
    groups = [f"{group}: {role_name(role)}" for group, role in sorted(values.get("group_roles", {}).items())]
    role = values.get("unmatched_role", "")
    return {**values, "groups": groups, "unmatched_role": role_name(role) if role else _("are refused")}


def _describe(values: _Values) -> Description:
    present = SignOnProvider.objects.filter(pk=SignOnProvider.ONLY).first()
    before = {name: getattr(present, name) for name in values if name != "has_secret"} if present else {}
    secret = [(_("New client secret"), _("entered when the change is applied"))] if values["has_secret"] else []
    return Description(
        subject=values["name"],
        title=_("Change company sign-on"),
        back=reverse("accounts:sign_on"),
        facts=[
            (_("Issuer"), values["issuer"]),
            *list_changes(_labels(), _shown(before) if before else {}, _shown(values)),
            *secret,
        ],
        effects=[_("The provider then says who signs in, and its groups give these roles.")],
    )
