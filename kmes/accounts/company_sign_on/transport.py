"""The one way to the identity provider: HTTPS to a checked address, without redirects, in limited time and size.

Proxies and authorities are those of the cloud worker (docs/configuration.md#azure). Few requests are under way at once,
because each holds a thread of the web process.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import os
import ssl
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.accounts.company_sign_on.errors import ProviderUnreachable
from kmes.core.errors import InputError
from logging_reports import guarded_http
from logging_reports.notices import webhook_addresses
from logging_reports.notices.webhook_addresses import Allowed, Target

SECONDS = 8
# Discovery and the key set of large providers have some 20 KiB.
HIGHEST_BYTES = 256 * 1024
AT_ONCE = 4
_slots = threading.BoundedSemaphore(AT_ONCE)


def parse(url: str) -> Target:
    """Return the parts of an address. Looks nothing up.

    Raises:
        InputError: it is no https address, or written as an IP address that is not allowed.

    """
    parts = _split(url)
    target = Target("https", parts.hostname or "", parts.port or 443, parts.path or "/")
    try:
        webhook_addresses.check_literal(target.host, _allowed(target.host))
    except InputError as error:
        remedy = _("Use a public host, or have the administrator name it in KMES_SIGN_ON_PRIVATE_HOSTS.")
        raise InputError(error.what, remedy, field="issuer") from None
    return Target("https", target.host, target.port, f"{target.path}?{parts.query}" if parts.query else target.path)


def get_json(url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object at an address of the provider.

    Raises:
        ProviderUnreachable: there is none, or it can't be had.

    """
    answer = _send(url, "GET", b"", headers or {})
    if answer.status != HTTPStatus.OK:
        raise ProviderUnreachable(f"{url} answered HTTP {answer.status} {answer.reason}")
    return _object(url, answer.body)


def post_form(url: str, fields: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Send a form. Return the status of the answer, and the JSON object in it.

    Raises:
        ProviderUnreachable: there is no answer, or it holds no object.

    """
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = _send(url, "POST", urlencode(fields).encode(), {**kind, **headers})
    return answer.status, _object(url, answer.body)


def _send(url: str, method: str, body: bytes, headers: dict[str, str]) -> guarded_http.Answer:
    if not _slots.acquire(blocking=False):
        raise ProviderUnreachable(f"{AT_ONCE} requests to the provider are under way already")
    try:
        target = parse(url)
        proxy = proxy_for(target.host)
        return guarded_http.send(
            target,
            # A proxy looks the host up itself: this network need not know it.
            "" if proxy else webhook_addresses.resolve(target, _allowed(target.host)),
            body,
            {"Accept": "application/json", "User-Agent": "KMES-console", **headers},
            ca_file="",
            seconds=SECONDS,
            highest_bytes=HIGHEST_BYTES,
            context=_tls_context(),
            method=method,
            proxy=proxy,
        )
    except InputError:
        detail = f"{url} is no https address, or lies inside this network and is not in KMES_SIGN_ON_PRIVATE_HOSTS"
        raise ProviderUnreachable(detail) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
        raise ProviderUnreachable(f"{url} can't be reached: {reason or type(error).__name__}") from None
    finally:
        _slots.release()


def proxy_for(host: str) -> guarded_http.Proxy | None:
    """Return the proxy that leads to a host; None if it is reached directly.

    Raises:
        ProviderUnreachable: HTTPS_PROXY names none that can be used.

    """
    named = "" if proxy_bypass(host) else getproxies().get("https", "")
    if not named:
        return None
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        port = parts.port or 80
    except ValueError:
        raise ProviderUnreachable("HTTPS_PROXY is no address") from None
    if parts.scheme != "http" or not parts.hostname:
        raise ProviderUnreachable("HTTPS_PROXY is no http:// address")
    headers = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return guarded_http.Proxy(parts.hostname, port, headers)


def _object(url: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    # RecursionError: an answer of many brackets.
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnreachable(f"{url} answered no JSON object")
    return found


def _split(url: str) -> SplitResult:
    wrong = InputError(_("Enter an https address."), field="issuer")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise wrong
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise wrong from None
    is_plain = parts.username is None and parts.password is None and not parts.fragment
    if parts.scheme != "https" or not parts.hostname or not is_plain or not has_port:
        raise wrong
    return parts


def _allowed(host: str) -> Allowed:
    names = frozenset(name.lower().rstrip(".") for name in settings.KMES_SIGN_ON_PRIVATE_HOSTS)
    name = host.lower().rstrip(".")
    return Allowed(names, this_machine=name in names and _is_this_machine(name))


def _is_this_machine(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in (settings.KMES_CA_FILE, os.environ.get("REQUESTS_CA_BUNDLE")):
        if file:
            context.load_verify_locations(file)
    return context
