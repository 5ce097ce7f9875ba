"""What becomes of a form that is sent when the session has ended: it waits until its user signs in again.

A signed cookie remembers whose session a browser had, until that user signs out. The form waits in the browser's new
session for an hour. Its user then gets the page back with the fields filled, and sends it again: nothing is carried
out before. Whoever else signs in there removes it unseen. Secrets are never kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from kmes.core.clock import now
from kmes.ui.responses import asks_for_fragment

# Beside the session's cookie, with the same prefix.
COOKIE_NAME = settings.SESSION_COOKIE_NAME.replace("_session", "_user")
SESSION_KEY = "kmes_unsent_form"
DIALOG_ID = "dialog-content"
KEPT_SECONDS = 3600
MAX_CHARACTERS = 50_000
_SALT = "kmes.former_user"
# A day longer than the session itself, which then has just ended.
_COOKIE_SECONDS = settings.SESSION_COOKIE_AGE + 24 * 3600
# Names of fields that may hold a secret; a test compares them with all forms.
_SECRET = re.compile(r"(^|_)(password|passphrase|secret|pin|token|otp|code|passkey)\d?$", re.IGNORECASE)
_OURS = frozenset({"csrfmiddlewaretoken"})


@dataclass(frozen=True)
class UnsentForm:
    """A form that was not carried out: the address it was sent to, and its fields in order."""

    action: str
    fields: list[list[str]]

    def as_json(self) -> str:
        """Return what the script fills in."""
        return json.dumps({"action": self.action, "fields": self.fields})


def is_secret(name: str) -> bool:
    """Return whether a field of this name may hold a secret."""
    return _SECRET.search(name) is not None


# --- Whose session it was -----------------------------------------------------------------------
def remember_user(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the browser remember who is signed in; forget it when that user signs out."""
    user: Any = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        if _former_user_id(request) != str(user.pk):
            response.set_signed_cookie(
                COOKIE_NAME,
                str(user.pk),
                salt=_SALT,
                max_age=_COOKIE_SECONDS,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite=settings.SESSION_COOKIE_SAMESITE,
            )
    elif request.path == resolve_url("accounts:logout") and COOKIE_NAME in request.COOKIES:
        response.delete_cookie(COOKIE_NAME)


def has_ended(request: HttpRequest) -> bool:
    """Return whether a user's session in this browser ended without a sign-out."""
    user: Any = request.user
    return not user.is_authenticated and bool(_former_user_id(request))


def _former_user_id(request: HttpRequest) -> str:
    value = request.get_signed_cookie(COOKIE_NAME, "", salt=_SALT, max_age=_COOKIE_SECONDS)
    return value or ""


# --- The form -----------------------------------------------------------------------------------
def keep(request: HttpRequest) -> str:
    """Keep a form that came without a session, if it is known whose it is. Return the page that it stands on."""
    page = _page_of(request)
    owner = _former_user_id(request)
    fields = [
        [name, value]
        for name, values in request.POST.lists()
        for value in values
        if name not in _OURS and not is_secret(name) and isinstance(value, str)
    ]
    if owner and fields and sum(len(name) + len(value) for name, value in fields) <= MAX_CHARACTERS:
        request.session[SESSION_KEY] = {
            "user": owner,
            "page": page,
            "action": request.get_full_path(),
            "fields": fields,
            "at": now().timestamp(),
        }
    return page


def is_kept(request: HttpRequest) -> bool:
    """Return whether a form waits in this browser for its user."""
    return SESSION_KEY in request.session


def take(request: HttpRequest) -> UnsentForm | None:
    """Return the form that waits for this user on this page, once; None when there is none."""
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated or request.method != "GET" or asks_for_fragment(request):
        return None
    kept = request.session.get(SESSION_KEY)
    if not isinstance(kept, dict) or kept["page"] != request.get_full_path():
        return None
    del request.session[SESSION_KEY]
    is_fresh = 0 <= now().timestamp() - kept["at"] <= KEPT_SECONDS
    return UnsentForm(kept["action"], kept["fields"]) if is_fresh and kept["user"] == str(user.pk) else None


def _page_of(request: HttpRequest) -> str:
    """Return the page on which the form stands. A dialog's form is also a page, at the address it is sent to."""
    if request.headers.get("HX-Request") == "true":
        origin = "" if request.headers.get("HX-Target") == DIALOG_ID else request.headers.get("HX-Current-URL", "")
    else:
        origin = request.headers.get("Referer", "")
    if not origin or not url_has_allowed_host_and_scheme(origin, {request.get_host()}):
        return request.get_full_path()
    parts = urlsplit(origin)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


# --- Signing in ---------------------------------------------------------------------------------
def connect() -> None:
    """Remove a kept form when somebody else signs in; safe to call again."""
    user_logged_in.connect(_remove_others, dispatch_uid="kmes.ui.unsent_form")


def _remove_others(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    kept = request.session.get(SESSION_KEY) if request is not None and hasattr(request, "session") else None
    if isinstance(kept, dict) and kept["user"] != str(user.pk):
        del request.session[SESSION_KEY]
