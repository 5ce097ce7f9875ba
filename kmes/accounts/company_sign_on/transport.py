"""The one way to the identity provider: HTTPS to a checked address, without redirects, in limited time and size.

Few requests are under way at once, because each holds a thread of the web process.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

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


def get_json(url: str) -> dict[str, Any]:
    """Return the JSON object at an address of the provider.

    Raises:
        ProviderUnreachable: there is none, or it can't be had.

    """
    answer = _send(url, "GET", b"", {})
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
        return guarded_http.send(
            target,
            webhook_addresses.resolve(target, _allowed(target.host)),
            body,
            {"Accept": "application/json", "User-Agent": "KMES-console", **headers},
            ca_file="",
            seconds=SECONDS,
            highest_bytes=HIGHEST_BYTES,
            context=_tls_context(),
            method=method,
        )
    except InputError:
        detail = f"{url} is no https address, or lies inside this network and is not in KMES_SIGN_ON_PRIVATE_HOSTS"
        raise ProviderUnreachable(detail) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
        raise ProviderUnreachable(f"{url} can't be reached: {reason or type(error).__name__}") from None
    finally:
        _slots.release()


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
    if settings.KMES_CA_FILE:
        context.load_verify_locations(settings.KMES_CA_FILE)
    return context
