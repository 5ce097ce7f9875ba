"""Where a request comes from, as far as it can be believed."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings

# A network is given that many addresses of IPv6 at least, so that limits count networks.
IPV6_NETWORK = 64


def of_request(request: Any) -> str:
    """Return the client's address, for IPv6 that of its /64 network; "" when it can't be read.

    Each trusted proxy appends the address that it saw to ``X-Forwarded-For`` (RFC 7239, section 5.2, tells why the
    others are not believed). With KMES_TRUSTED_PROXIES=0 the header counts for nothing.
    """
    count = settings.KMES_TRUSTED_PROXIES
    seen = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if count and len(seen) >= count and (address := _read(seen[-count])):
        return address
    return _read(request.META.get("REMOTE_ADDR", ""))


def _read(text: str) -> str:
    """Return the address in a text, in which a port may follow it."""
    host = text.rpartition("]")[0].lstrip("[") if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False).network_address)
    return str(address)
