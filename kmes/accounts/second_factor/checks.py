"""Checks of the settings of the second factor, when the console starts."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.utils.translation import gettext as _

from kmes.accounts.rights import Role

# Labels of letters, digits and hyphens, the last one with a letter: an address is no name (RFC 1123, section 2.1).
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?")


def register_all() -> None:
    """Register the checks; safe to call again."""
    register(check_roles)
    register(check_domain)


def check_roles(**_given: Any) -> list[Error]:
    """Refuse a role that does not exist: its users would be thought to have a second factor."""
    unknown = sorted(set(settings.KMES_SECOND_FACTOR_ROLES) - set(Role.values))
    if not unknown:
        return []
    known = ", ".join(Role.values)
    message = _("KMES_SECOND_FACTOR_ROLES names %(unknown)s. The roles are %(known)s.")
    return [Error(message % {"unknown": ", ".join(unknown), "known": known}, id="kmes.E101")]


def check_domain(**_given: Any) -> list[Error]:
    """Refuse what is no host name: browsers would make no passkey, and nobody would learn why."""
    domain = settings.KMES_PASSKEY_DOMAIN
    if not domain or _DOMAIN.fullmatch(domain):
        return []
    message = _("KMES_PASSKEY_DOMAIN is “%(domain)s”. It takes a host name, such as console.example.com.")
    return [Error(message % {"domain": domain}, id="kmes.E102")]
