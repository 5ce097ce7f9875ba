"""What a session notes of the second factor: a sign-in that still lacks it, when it was proven, whether one must be added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.models import User
from kmes.accounts.second_factor import services
from kmes.accounts.second_factor.services import Factor
from kmes.accounts.session_store import BEGAN, SIGN_ON
from kmes.core.clock import now

PENDING, PROVEN, PROVEN_AT, MISSING = (
    "kmes_sign_in_pending",
    "kmes_factor",
    "kmes_factor_at",
    "kmes_factor_missing",
)
# How long the password stays good for the second step.
PENDING_FOR = timedelta(minutes=10)
# A password that was entered so lately is not asked for again.
FRESH_FOR = timedelta(minutes=5)


@dataclass(frozen=True)
class Pending:
    """A sign-in whose password was right, or that the identity provider proved."""

    user: User
    backend: str
    next_url: str
    # As ``complete`` takes it.
    sign_on: dict[str, Any] | None


def begin(request: HttpRequest, user: User, *, next_url: str, sign_on: dict[str, Any] | None = None) -> None:
    """Note that the password was right, or what the identity provider proved. Nobody is signed in by that."""
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "backend": str(user.__dict__.get("backend", "")),
        # As in a session: a new password ends what the former one began.
        "password": user.get_session_auth_hash(),
        "at": now().timestamp(),
        "next": next_url,
        "sign_on": sign_on,
    }


def pending(request: HttpRequest) -> Pending | None:
    """Return the sign-in that waits for its second step; None when there is none, or its time is over."""
    noted = request.session.get(PENDING)
    if not isinstance(noted, dict):
        return None
    user = User.objects.filter(pk=noted["user"], is_active=True).first()
    is_fresh = 0 <= now().timestamp() - noted["at"] <= PENDING_FOR.total_seconds()
    if user is None or not is_fresh or not constant_time_compare(noted["password"], user.get_session_auth_hash()):
        del request.session[PENDING]
        return None
    # Unlinked meanwhile: what the provider proved is this user's no more.
    if noted.get("sign_on") is not None and not SignOnIdentity.objects.filter(user=user).exists():
        del request.session[PENDING]
        return None
    return Pending(user, noted["backend"], noted["next"], noted.get("sign_on"))


def note_proof(request: HttpRequest, factor: Factor) -> None:
    """Note that a factor was proven just now."""
    request.session.pop(PENDING, None)
    request.session.pop(MISSING, None)
    request.session[PROVEN], request.session[PROVEN_AT] = str(factor), now().timestamp()


def note_confirmation(request: HttpRequest, factor: Factor) -> None:
    """Note that the user confirmed it; whether a second factor must be added stays as it is."""
    request.session[PROVEN], request.session[PROVEN_AT] = str(factor), now().timestamp()


def complete(
    request: HttpRequest, user: User, factor: Factor | None, *, backend: str, sign_on: dict[str, Any] | None = None
) -> None:
    """Sign in a user whose factor was proven just now, if there is one.

    ``sign_on`` is what the session notes of the identity provider that proved who it is; None where that was done here.
    """
    _note(request, factor, sign_on)
    login(request, user, backend=backend)
    # Again: a session that was somebody else's is emptied by the sign-in.
    _note(request, factor, sign_on)


def _note(request: HttpRequest, factor: Factor | None, sign_on: dict[str, Any] | None) -> None:
    if factor is not None:
        note_proof(request, factor)
    if sign_on is not None:
        request.session[SIGN_ON] = sign_on


def forget_proof(request: HttpRequest, user: User) -> None:
    """Note that a factor was removed; after the last one another is demanded at once where the policy wants one."""
    if services.has_factor(user):
        return
    for name in (PROVEN, PROVEN_AT):
        request.session.pop(name, None)
    if services.is_required(user):
        request.session[MISSING] = True


def must_add(request: HttpRequest) -> bool:
    """Return whether this session opens no page until its user has added a second factor."""
    return bool(request.session.get(MISSING))


def has_fresh_password(request: HttpRequest) -> bool:
    """Return whether the session began a moment ago, or was confirmed then, so that no password need be asked for again."""
    ages = (now().timestamp() - request.session.get(name, 0) for name in (BEGAN, PROVEN_AT))
    return any(0 <= age <= FRESH_FOR.total_seconds() for age in ages)


def connect() -> None:
    """Look at each sign-in whether its user must add a factor; safe to call again."""
    user_logged_in.connect(_note_missing, dispatch_uid="kmes.second_factor")


def _note_missing(sender: Any, user: User, request: Any = None, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    if hasattr(request, "session") and services.is_required(user) and not services.has_factor(user):
        request.session[MISSING] = True
