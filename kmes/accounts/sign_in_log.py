"""Logs sign-ins, sign-outs, lock-outs and refused access to the Audit log, with address and session.

The session is named by the first half of the SHA-256 of its key: rows of one session can be told, and nobody can use it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from kmes.accounts import client_address, devices, sign_in_limits
from kmes.accounts.company_sign_on.selectors import active_provider
from kmes.accounts.second_factor import sign_in
from kmes.accounts.session_store import SIGN_ON, name_of
from kmes.core.actor import Actor, Trigger
from kmes.core.clock import now
from kmes.core.errors import PermissionRefused
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record


def connect() -> None:
    """Connect the signals; safe to call again."""
    user_logged_in.connect(_signed_in, dispatch_uid="kmes.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="kmes.signed_out")
    user_login_failed.connect(_refused, dispatch_uid="kmes.sign_in_refused")
    user_locked_out.connect(_locked_out, dispatch_uid="kmes.locked_out")


def log_refused_access(request: HttpRequest, error: PermissionRefused) -> None:
    """Log that a signed-in user was refused, once in a minute for the same reason."""
    user: Any = request.user
    if user.is_authenticated:
        message = f"{request.method} {request.path[:200]}: {error.what}"
        record_once("access.refused", Actor.from_user(user), message, request, within=timedelta(minutes=1))


def _locked_out(sender: Any, request: Any, username: str, ip_address: str, **kwargs: Any) -> None:  # noqa: ARG001
    name = (username or "unknown")[: sign_in_limits.NAME_LENGTH].replace("\0", "")
    message = f"Sign-in of “{name}” is locked for the address {ip_address}"
    record_once("access.locked", Actor(name, Trigger.USER), message, request, within=sign_in_limits.WINDOW)


def record_once(event: str, actor: Actor, message: str, request: Any, *, within: timedelta) -> None:
    """Write a row, unless the same one is there already: rows can't be deleted, so nobody may cause them at will."""
    lately = LogEntry.objects.filter(service=Service.AUDIT, event=event, at__gt=now() - within)
    if not lately.filter(actor_name=actor.name, message=message).exists():
        record(event, actor=actor, message=message, data=_origin(request))


def _signed_in(sender: Any, user: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    actor, origin = Actor.from_user(user), _origin(request)
    sign_on = request.session.get(SIGN_ON) if hasattr(request, "session") else None
    if origin is not None and (factor := request.session.get(sign_in.PROVEN)):
        origin["second_factor"] = factor
    if origin is not None and sign_on is not None:
        origin |= {"method": "company sign-on", **{name: sign_on[name] for name in ("amr", "acr")}}
    device, address = (
        devices.of_request(request) if request else "",
        client_address.of_request(request) if request else "",
    )
    with transaction.atomic():
        if request is not None and devices.is_new(user, device=device, address=address):
            message = f"{user} signed in from a new device: {device or 'unknown'}, {address or 'unknown address'}"
            record("access.new_device", actor=actor, message=message, data=origin)
        where = f"Signed in from {address}" if address else ""
        record("access.login", actor=actor, message=where, data=origin)
        provider = active_provider() if sign_on is None else None
        if provider is not None and provider.are_local_for_emergencies:
            message = f"{user} signed in without company sign-on, which is for emergencies only"
            record("access.break_glass", actor=actor, message=message, data=origin)


def _signed_out(sender: Any, user: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001
    if user is not None:
        record("access.logout", actor=Actor.from_user(user), data=_origin(request))


def _refused(sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001
    address = client_address.of_request(request) if request is not None else ""
    sign_in_limits.log_refusal(name=str(credentials.get("username", "")), address=address)


def _origin(request: Any) -> dict[str, Any] | None:
    if request is None:
        return None
    key = getattr(getattr(request, "session", None), "session_key", None) or ""
    return {"address": client_address.of_request(request), "session": name_of(key) if key else ""}
