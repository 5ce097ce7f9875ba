"""The addresses that a webhook may use: public ones, and private ones that the settings allow.

Prevents server-side request forgery. The host is looked up here and every address of it is checked. The
connection uses a checked address, so a second look-up can't return another one.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.errors import InputError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# IANA assigns public addresses of IPv6 from here only (IPv6 Address Space registry).
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
# Special-purpose networks (IANA registries, RFC 6890) that ``is_global`` of some Python versions takes for public.
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")))
# Services for a cloud's own machines, metadata with credentials among them: no setting allows them.
_CLOUD_SERVICES = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.192/32", "168.63.129.16/32", "100.100.100.200/32"),
            # The services of AWS, and the metadata of Google Cloud, Oracle, Alibaba, Scaleway and Akamai.
            *("fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128"),
            *("fd00:100::100:200/128", "fd00:42::42/128", "fd00:a9fe:a9fe::1/128"),
        ),
    )
)
# ISATAP (RFC 5214, section 6.1): the second half of the address, before an IPv4 address.
_ISATAP = frozenset((0x00005EFE, 0x02005EFE))
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """The parts of a URL. ``path`` includes the query."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class Allowed:
    """What a setting allows besides public addresses: hosts with private ones, and this machine's own."""

    private_hosts: frozenset[str]
    this_machine: bool


def _allowed_for_webhooks() -> Allowed:
    return Allowed(
        frozenset(name.lower() for name in settings.KMES_WEBHOOK_PRIVATE_HOSTS), bool(settings.KMES_WEBHOOK_ALLOW_HTTP)
    )


def parse(url: str) -> Target:
    """Parse a webhook's URL.

    Raises:
        InputError: the URL is invalid or not allowed.

    """
    wrong = InputError(_("Use an https:// address."), _("For example: https://alerts.example.com/kmes"), field="url")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PORTS or not host:
        raise wrong
    if parts.scheme == "http" and not settings.KMES_WEBHOOK_ALLOW_HTTP:
        raise InputError(_("Webhooks go out over https only."), _("Use the receiver's https address."), field="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InputError(
            _("The URL contains a name, a password or a fragment."),
            _("Leave them out: bodies are signed."),
            field="url",
        )
    target = Target(parts.scheme, host, port or _PORTS[parts.scheme], parts.path or "/")
    if literal := _literal(host):
        _check(literal, target.host, _allowed_for_webhooks())
    return Target(target.scheme, host, target.port, f"{target.path}?{parts.query}" if parts.query else target.path)


def resolve(target: Target, allowed: Allowed | None = None) -> str:
    """Look up the host, check all its addresses and return one. ``allowed`` is by default what webhooks may reach.

    Raises:
        InputError: an address of the host is not allowed.
        OSError: the host can't be looked up.

    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    # Without the zone ("fe80::1%eth0"), which ip_address() would keep.
    addresses = [str(info[4][0]).partition("%")[0] for info in found]
    for address in addresses:
        _check(ipaddress.ip_address(address), target.host, allowed or _allowed_for_webhooks())
    return addresses[0]


def check_literal(host: str, allowed: Allowed) -> None:
    """Refuse a host that is written as an address which is not allowed. Looks nothing up.

    Raises:
        InputError: it is such an address.

    """
    if literal := _literal(host):
        _check(literal, host, allowed)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check(address: Address, host: str, allowed: Allowed) -> None:
    address = _embedded(address)
    never = address.is_link_local or address.is_multicast or address.is_unspecified or _is_in(address, _CLOUD_SERVICES)
    if not never and (_is_public(address) or _is_exempt(address, host, allowed)):
        return
    raise InputError(
        _("The host %(host)s lies inside this network (%(address)s).") % {"host": host, "address": address},
        _("Use a public host, or have the administrator name it in KMES_WEBHOOK_PRIVATE_HOSTS."),
        field="url",
    )


def _is_in(address: Address, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return address.is_global and not _is_in(address, _SPECIAL)


def _is_exempt(address: Address, host: str, allowed: Allowed) -> bool:
    if address.is_loopback:
        return allowed.this_machine
    return host.lower().rstrip(".") in allowed.private_hosts


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
