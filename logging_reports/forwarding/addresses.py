"""The addresses that a destination may have: public ones, and hosts of this network that the settings name."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.errors import InputError
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.notices import webhook_addresses
from logging_reports.notices.webhook_addresses import Allowed, Target


def target_of(destination: ForwardingDestination) -> Target:
    """Return where the destination is."""
    return Target("https", destination.host, destination.port, destination.path or "/")


def resolve(destination: ForwardingDestination) -> str:
    """Look up the host and return one address. All its addresses must be allowed.

    Raises:
        InputError: an address is not allowed; the text names the setting.
        OSError: the host can't be looked up.

    """
    check_literal(destination.host)
    try:
        return webhook_addresses.resolve(target_of(destination), _allowed(destination.host))
    except InputError as error:
        raise _refused(error) from error


def check_literal(host: str) -> None:
    """Refuse a host that is written as an address which is not allowed. Looks nothing up.

    Raises:
        InputError: it is such an address.

    """
    try:
        webhook_addresses.check_literal(host, _allowed(host))
    except InputError as error:
        raise _refused(error) from error


def _allowed(host: str) -> Allowed:
    names = frozenset(name.lower().rstrip(".") for name in settings.KMES_FORWARDING_PRIVATE_HOSTS)
    name = host.lower().rstrip(".")
    # A name that turns out to be this machine is refused, unless the setting names this machine itself.
    return Allowed(names, this_machine=name in names and _is_this_machine(name))


def _is_this_machine(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _refused(error: InputError) -> InputError:
    remedy = _("Use a public host, or have the administrator name it in KMES_FORWARDING_PRIVATE_HOSTS.")
    return InputError(error.what, remedy, field="host")
