"""Sessions as users see them: listed, and ended by removing their row, which counts with the next request."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from kmes.accounts.dual_login.models import SecondSignIn
from kmes.accounts.models import ConsoleSession, User
from kmes.accounts.rights import Right, check
from kmes.accounts.session_store import digest_of
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.choices import Severity
from logging_reports.services import record


def list_sessions(user: User | None = None) -> QuerySet[ConsoleSession]:
    """Return the sessions that are open, of one user or of all, the one used last first."""
    moment = now()
    found = ConsoleSession.objects.filter(
        user__is_active=True,
        expire_date__gt=moment,
        used_at__gte=moment - timedelta(minutes=settings.KMES_SESSION_IDLE_MINUTES),
        began_at__gte=moment - timedelta(hours=settings.KMES_SESSION_HOURS),
    )
    if user is not None:
        found = found.filter(user=user)
    return found.select_related("user").order_by("-used_at", "pk")


def is_own(request: HttpRequest) -> bool:
    """Return whether the session that the address of a request names is the user's own."""
    match, user = request.resolver_match, request.user
    name = match.kwargs.get("session", "") if match else ""
    return ConsoleSession.objects.filter(name=name, user=user.pk).exists()


def end_session(*, session: ConsoleSession, actor: Actor) -> None:
    """End a session, one's own or, with the right, another user's. It is refused from the next request on.

    Raises:
        PermissionRefused: it is another user's, and the actor may not manage users.

    """
    is_own = session.user_id == actor.user_id
    if not is_own:
        check(actor, Right.USER_MANAGE)
    with transaction.atomic():
        ConsoleSession.objects.filter(pk=session.pk).delete()
        record(
            "access.session_ended",
            actor=actor,
            severity=Severity.INFO if is_own else Severity.WARNING,
            message=f"Session of {session.user} ended: {session}",
            data={"user_id": session.user_id, "session": session.name},
        )


def end_others(*, user: User, kept_key: str, actor: Actor) -> int:
    """End all sessions of a user but one. Return how many there were."""
    with transaction.atomic():
        ended = remove_all(user, kept_key=kept_key)
        if ended:
            message = f"All other sessions of {user} ended: {ended}"
            record("access.session_ended", actor=actor, message=message, data={"user_id": user.pk})
    return ended


def end_all(*, user: User, actor: Actor, kept_key: str) -> int:
    """End all sessions of another user, but for the one of this key. Return how many there were.

    Raises:
        PermissionRefused: the actor may not manage users.

    """
    check(actor, Right.USER_MANAGE)
    with transaction.atomic():
        ended = remove_all(user, kept_key=kept_key)
        if ended:
            record(
                "access.session_ended",
                actor=actor,
                severity=Severity.WARNING,
                message=f"All sessions of {user} ended: {ended}",
                data={"user_id": user.pk},
            )
    return ended


def remove_all(user: User, *, kept_key: str = "") -> int:
    """Remove a user's sessions, but for the one of this key. Return how many. The caller logs why."""
    # What the user vouched for in sessions of others ends with their own.
    SecondSignIn.objects.filter(second=user).delete()
    return _remove(ConsoleSession.objects.filter(user=user).exclude(digest=digest_of(kept_key)))


def remove_begun_at_provider(user: User) -> int:
    """Remove a user's sessions that began at the identity provider. Return how many. The caller logs why."""
    return _remove(ConsoleSession.objects.filter(user=user).exclude(sign_on=""))


def remove_by_sign_on(digests: list[str]) -> list[User]:
    """Remove the sessions that began with these sessions at the identity provider. Return whose they were."""
    found = ConsoleSession.objects.filter(sign_on__in=digests)
    users = list(User.objects.filter(sessions__in=found).distinct())
    found.delete()
    return users


def remove_ended(*, but: str | None) -> None:
    """Remove the rows of sessions that ended by themselves and were not used again, except the one of a key."""
    unused = Q(used_at__lt=now() - timedelta(minutes=settings.KMES_SESSION_IDLE_MINUTES))
    ConsoleSession.objects.filter(Q(expire_date__lt=now()) | unused).exclude(digest=digest_of(but)).delete()


def _remove(found: QuerySet[ConsoleSession]) -> int:
    # The other number counts second administrators as well, who go with the sessions.
    return found.delete()[1].get("accounts.ConsoleSession", 0)
