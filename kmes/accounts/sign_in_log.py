"""Logs signing in and out to the Audit log, from Django's signals."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from kmes.core.actor import Actor, Trigger
from logging_reports.services import record


def connect() -> None:
    """Connect the three signals; safe to call again."""
    user_logged_in.connect(_signed_in, dispatch_uid="kmes.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="kmes.signed_out")
    user_login_failed.connect(_refused, dispatch_uid="kmes.sign_in_refused")


def _signed_in(sender: Any, user: Any, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    record("access.login", actor=Actor.from_user(user))


def _signed_out(sender: Any, user: Any, **kwargs: Any) -> None:  # noqa: ARG001
    if user is not None:
        record("access.logout", actor=Actor.from_user(user))


def _refused(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:  # noqa: ARG001
    # Cut to 64 characters, because the field may contain a password entered by mistake.
    record("access.login_failed", actor=Actor(str(credentials.get("username", ""))[:64] or "unknown", Trigger.USER))
