"""How this installation reaches the internet: proxies, trusted authorities, client certificate. The same for all clouds.

Proxies are those of HTTPS_PROXY and NO_PROXY. Trusted are the system's authorities (SSL_CERT_FILE, SSL_CERT_DIR), those
that come with the libraries, REQUESTS_CA_BUNDLE, and KMES_CA_FILE, for proxies that inspect TLS.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.choices import CloudName
from kmes.core.known_secrets import remember


class UnusableSetting(OSError):
    """A setting of the installation with which no connection can be made. Its text never shows a proxy's address."""


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies for an address, by scheme; none for one that is reached directly.

    Raises:
        UnusableSetting: the proxy's address can't be used.

    """
    if proxy_bypass(urlsplit(url).hostname or ""):
        return {}
    named = getproxies()
    address = (named.get("https") or named.get("all") or "").strip()
    if not address:
        return {}
    if password := _split_proxy(address).password:
        # Libraries show a proxy's whole address in their errors.
        remember(password)
        remember(unquote(password))
    return {"https": address}


def proxy_name(url: str) -> str:
    """Return ``host:port`` of the proxy for an address, "" for none. Never a user name or password."""
    try:
        address = proxies_for(url).get("https", "")
        proxy = _split_proxy(address) if address else urlsplit("")
    except UnusableSetting:
        return ""
    return f"{proxy.hostname}:{proxy.port}" if proxy.hostname and proxy.port else proxy.hostname or ""


def _split_proxy(address: str) -> SplitResult:
    """Return the parts of a proxy's address, which may stand without scheme.

    Raises:
        UnusableSetting: it is no address, or of a kind of proxy that is not supported.

    """
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        has_more = parts.path.strip("/") or parts.query or parts.fragment
    except ValueError:
        is_usable, has_more = False, ""
    if not is_usable or has_more:
        # Not from the error: its text holds a part of the address, which may be the password.
        raise UnusableSetting(
            _(
                "HTTPS_PROXY names no proxy that can be used: it must look like http://HOST:PORT, with characters such as"
                " # / @ in a password written as %23 %2F %40"
            )
        ) from None
    return parts


def authorities_file(cloud: str) -> str | bool:
    """Return the file of authorities that replaces the libraries' own; True for theirs."""
    if cloud == CloudName.CUSTOM and settings.KMES_CUSTOM_CA_FILE:
        return str(settings.KMES_CUSTOM_CA_FILE)
    return os.environ.get("REQUESTS_CA_BUNDLE") or True


def state_of_files(cloud: str) -> tuple[Any, ...]:
    """Return a value that changes when a file of certificates is another one, or was written again."""
    named = (
        str(authorities_file(cloud)),
        os.environ.get("SSL_CERT_FILE", ""),
        settings.KMES_CA_FILE,
        settings.KMES_CLIENT_CERTIFICATE_FILE,
        settings.KMES_CLIENT_KEY_FILE,
    )
    return tuple((name, _stamp(name)) for name in named)


def _stamp(name: str) -> tuple[int, int, int] | None:
    try:
        found = Path(name).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def tls_context(cloud: str) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and KMES_CA_FILE, with the client certificate if there is one.

    Raises:
        UnusableSetting: a file that is named can't be read, such as while it is written.

    """
    authorities = authorities_file(cloud)
    if isinstance(authorities, str) and not Path(authorities).exists():
        name = (
            "KMES_CUSTOM_CA_FILE"
            if cloud == CloudName.CUSTOM and settings.KMES_CUSTOM_CA_FILE
            else "REQUESTS_CA_BUNDLE"
        )
        raise _unusable_file(name)
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.KMES_CA_FILE:
        _load("KMES_CA_FILE", lambda: context.load_verify_locations(settings.KMES_CA_FILE))
    if settings.KMES_CLIENT_CERTIFICATE_FILE:
        _load(
            "KMES_CLIENT_CERTIFICATE_FILE",
            # With a password, so that a key that needs one is refused: else OpenSSL would ask the terminal for it.
            lambda: context.load_cert_chain(
                settings.KMES_CLIENT_CERTIFICATE_FILE, settings.KMES_CLIENT_KEY_FILE or None, password=lambda: " "
            ),
        )
    return context


def _load(setting: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError):
        raise _unusable_file(setting) from None


def _unusable_file(setting: str) -> UnusableSetting:
    text = _("The file that %(setting)s names can't be read, or holds no usable certificate")
    return UnusableSetting(text % {"setting": setting})
