"""Logs signing in and out to the Audit log, from Django's signals."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from kmes.accounts import client_address, sign_in_limits
from kmes.core.actor import Actor
from logging_reports.services import record


def connect() -> None:
    """Connect the three signals; safe to call again."""
    user_logged_in.connect(_signed_in, dispatch_uid="kmes.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="kmes.signed_out")
    user_login_failed.connect(_refused, dispatch_uid="kmes.sign_in_refused")


def _signed_in(sender: Any, user: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    record("access.login", actor=Actor.from_user(user), data=_origin(request))


def _signed_out(sender: Any, user: Any, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001
    if user is not None:
        record("access.logout", actor=Actor.from_user(user), data=_origin(request))


def _refused(sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001
    address = client_address.of_request(request) if request is not None else ""
    sign_in_limits.log_refusal(name=str(credentials.get("username", "")), address=address)


def _origin(request: Any) -> dict[str, Any] | None:
    return {"address": client_address.of_request(request)} if request is not None else None
