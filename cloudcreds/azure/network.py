"""How this installation reaches the internet: proxies, trusted authorities, client certificate. The same for all clouds.

Proxies are those of HTTPS_PROXY and NO_PROXY. Trusted are the system's authorities (SSL_CERT_FILE, SSL_CERT_DIR), those
that come with the libraries, REQUESTS_CA_BUNDLE, and KMES_CA_FILE, for proxies that inspect TLS.
"""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from django.conf import settings

from cloudcreds.choices import CloudName


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies for an address, by scheme; none for one that is reached directly."""
    return {} if proxy_bypass(urlsplit(url).hostname or "") else getproxies()


def proxy_name(url: str) -> str:
    """Return ``host:port`` of the proxy for an address, "" for none. Never a user name or password."""
    proxy = urlsplit(proxies_for(url).get("https", ""))
    return f"{proxy.hostname}:{proxy.port}" if proxy.hostname and proxy.port else proxy.hostname or ""


def authorities_file(cloud: str) -> str | bool:
    """Return the file of authorities that replaces the libraries' own; True for theirs."""
    if cloud == CloudName.CUSTOM and settings.KMES_CUSTOM_CA_FILE:
        return str(settings.KMES_CUSTOM_CA_FILE)
    return os.environ.get("REQUESTS_CA_BUNDLE") or True


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and KMES_CA_FILE, with the client certificate if there is one."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.KMES_CA_FILE:
        context.load_verify_locations(settings.KMES_CA_FILE)
    if settings.KMES_CLIENT_CERTIFICATE_FILE:
        context.load_cert_chain(settings.KMES_CLIENT_CERTIFICATE_FILE, settings.KMES_CLIENT_KEY_FILE or None)
    return context
