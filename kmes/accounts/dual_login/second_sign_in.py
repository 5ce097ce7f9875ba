"""The second administrator of a session: their password is checked, then their second factor, then they are noted.

They get no session and give no right: the session's user does what their own rights allow. What is noted belongs to one
session and goes with it, with its key, and with whatever ends the sessions of either of the two.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from kmes.accounts import client_address, sign_in_limits
from kmes.accounts.dual_login import seals
from kmes.accounts.dual_login.models import SecondSignIn
from kmes.accounts.dual_login.policy import Policy, read_policy, why_not_serve
from kmes.accounts.models import ConsoleSession, User
from kmes.accounts.second_factor.services import Factor
from kmes.accounts.session_store import digest_of, name_of
from kmes.core.actor import Actor, SecondAdministrator, Trigger
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record

# In the session: that somebody may be noted, and whose password was right. Neither proves anything.
NOTED, PENDING = "kmes_second_noted", "kmes_second_pending"
# How long the password stays good for the second factor.
PENDING_FOR = timedelta(minutes=5)
# Failed tries of one user to sign somebody in, over all their sessions.
MOST_FAILURES, WITHIN = 5, timedelta(minutes=15)
_REFUSED = "access.second_refused"


def find_current(request: HttpRequest, policy: Policy) -> SecondSignIn | None:
    """Return who is signed in besides the user of this session, None if nobody is."""
    row = SecondSignIn.objects.select_related("second").filter(session=_digest(request)).first()
    if row is None or row.user_id != request.user.pk or row.second_id == row.user_id:
        return None
    is_in_time = row.began_at <= now() < row.until
    is_entitled = row.second.is_active and row.second.role in policy.second_roles
    return row if is_in_time and is_entitled and seals.is_sign_in_genuine(row) else None


def check_password(request: HttpRequest, *, name: str, password: str) -> User:
    """Check the first step, and note whose password was right. Nobody is signed in by that.

    Raises:
        InputError: name or password are wrong, it is the session's own user, or there were too many failures.
        PermissionRefused: this user can't be a second administrator.

    """
    address = client_address.of_request(request)
    refuse_many_failures(request)
    if sign_in_limits.is_over(name=name, address=address):
        sign_in_limits.log_refusal(name="", address=address, reason="Too many failures of a second administrator")
        raise InputError(_("Too many failed sign-ins from this address or for this name."), _("Wait, then try again."))
    own = request.user.get_username()
    found = None
    if name.casefold() != own.casefold():
        found = authenticate(request, username=name, password=password)
    if name.casefold() == own.casefold() or (found is not None and found.pk == request.user.pk):
        log_refusal(request, name, "the same person as the session's user")
        raise InputError(_("This session is yours. Somebody else has to sign in."), field="username")
    if not isinstance(found, User):
        log_refusal(request, name, "wrong name or password")
        raise InputError(_("The name or the password is wrong."), _("Both distinguish upper and lower case."))
    if reason := why_not_serve(found, read_policy()):
        log_refusal(request, name, reason)
        raise PermissionRefused(reason, _("Ask another administrator to sign in."))
    request.session[PENDING] = {
        "user": found.pk,
        "password": found.get_session_auth_hash(),
        "session": name_of(str(request.session.session_key)),
        "at": now().timestamp(),
    }
    return found


def pending(request: HttpRequest) -> User | None:
    """Return whose password was right a moment ago, in this session; None when that is nobody's."""
    noted = request.session.get(PENDING)
    if not isinstance(noted, dict):
        return None
    user = User.objects.filter(pk=noted["user"], is_active=True).exclude(pk=request.user.pk or 0).first()
    is_fresh = 0 <= now().timestamp() - noted["at"] <= PENDING_FOR.total_seconds()
    is_here = noted["session"] == name_of(str(request.session.session_key))
    if user is None or not is_fresh or not is_here or not _has_password(user, noted):
        del request.session[PENDING]
        return None
    return user


def begin(request: HttpRequest, second: User, factor: Factor) -> SecondSignIn:
    """Note who signed in besides the session's user; both factors of theirs were proven. The session gets a new key.

    So a copy of its cookie that was made before gains nothing.

    Raises:
        ConflictError: the session ended meanwhile, or the first step is no longer good.
        PermissionRefused: this user can't be a second administrator any more.

    """
    with transaction.atomic():
        # Both locks: whoever deactivates one, or ends the session, comes before or after this.
        current = User.objects.select_for_update().get(pk=second.pk)
        is_open = ConsoleSession.objects.select_for_update().filter(pk=_digest(request)).exists()
        noted = request.session.pop(PENDING, None)
        if not is_open or noted is None or noted["user"] != current.pk or not _has_password(current, noted):
            raise ConflictError(_("The sign-in took too long."), _("Begin again."))
        policy = read_policy()
        if reason := why_not_serve(current, policy):
            raise PermissionRefused(reason, _("Ask another administrator to sign in."))
        request.session.cycle_key()
        row = SecondSignIn(session_id=_digest(request), user_id=int(request.user.pk or 0), second=current)
        row.began_at = now()
        row.until = row.began_at + timedelta(minutes=policy.minutes)
        row.seal = seals.seal_sign_in(row)
        row.save(force_insert=True)
        request.session[NOTED] = True
        record(
            "access.second_signed_in",
            actor=_actor(request, current),
            message=f"{current} signed in besides {request.user} until {row.until:%H:%M} UTC",
            data={"second_factor": str(factor), **_origin(request)},
        )
    return row


def end(request: HttpRequest) -> bool:
    """Sign the second administrator out of this session. Return whether there was one."""
    with transaction.atomic():
        row = SecondSignIn.objects.select_related("second").filter(session=_digest(request)).first()
        if row is not None:
            row.delete()
            message = f"{row.second} is no longer signed in besides {request.user}"
            actor = _actor(request, row.second)
            record("access.second_ended", actor=actor, message=message, data=_origin(request))
    for name in (NOTED, PENDING):
        request.session.pop(name, None)
    return row is not None


def log_refusal(request: HttpRequest, name: str, reason: str) -> None:
    """Log that somebody could not be signed in besides the session's user. The limit counts these rows."""
    shown = name[: sign_in_limits.NAME_LENGTH].replace("\0", "") or "unknown"
    message = f"“{shown}” was not signed in besides {request.user}: {reason}"
    record(_REFUSED, actor=_actor(request), message=message, data={"name": shown, **_origin(request)})


def refuse_many_failures(request: HttpRequest) -> None:
    """Refuse a further try of a user who failed too often.

    Raises:
        InputError: they did.

    """
    failed = LogEntry.objects.filter(
        service=Service.AUDIT, event=_REFUSED, at__gt=now() - WITHIN, actor_user_id=request.user.pk
    )
    if failed.count() >= MOST_FAILURES:
        raise InputError(_("Too many failed tries in your sessions."), _("Wait 15 minutes, then try again."))


def _has_password(user: User, noted: dict[str, Any]) -> bool:
    return constant_time_compare(noted["password"], user.get_session_auth_hash())


def _digest(request: HttpRequest) -> str:
    return digest_of(request.session.session_key)


def _actor(request: HttpRequest, second: User | None = None) -> Actor:
    named = SecondAdministrator(second.get_username(), second.pk) if second is not None else None
    return Actor(request.user.get_username(), Trigger.USER, request.user.pk, named)


def _origin(request: HttpRequest) -> dict[str, str]:
    key = str(request.session.session_key)
    return {"address": client_address.of_request(request), "session": name_of(key)}
