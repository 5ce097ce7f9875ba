"""Checks of the settings of the second factor, when the console starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.utils.translation import gettext as _

from kmes.accounts.rights import Role


def register_all() -> None:
    """Register the checks; safe to call again."""
    register(check_roles)


def check_roles(**_given: Any) -> list[Error]:
    """Refuse a role that does not exist: its users would be thought to have a second factor."""
    unknown = sorted(set(settings.KMES_SECOND_FACTOR_ROLES) - set(Role.values))
    if not unknown:
        return []
    known = ", ".join(Role.values)
    message = _("KMES_SECOND_FACTOR_ROLES names %(unknown)s. The roles are %(known)s.")
    return [Error(message % {"unknown": ", ".join(unknown), "known": known}, id="kmes.E101")]
