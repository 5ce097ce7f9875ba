"""Reads of users and of locked sign-ins."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from axes.helpers import get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from kmes.accounts.models import User
from kmes.accounts.rights import Role
from kmes.core.clock import now
from kmes.core.typed_text import fold

SHOWN = {"": _("All"), "active": _("Active"), "deactivated": _("Deactivated"), "admins": _("Administrators")}


@dataclass(frozen=True)
class LockedSignIn:
    """A user name that is locked for some addresses. No user of that name need exist."""

    username: str
    addresses: tuple[str, ...]
    until: datetime


def list_users(*, show: str = "", search: str = "") -> QuerySet[User]:
    """Return the users by name."""
    found = User.objects.prefetch_related("assignments")
    conditions = {
        "active": Q(is_active=True),
        "deactivated": Q(is_active=False),
        "admins": Q(role=Role.ADMIN, is_active=True),
    }
    if show in conditions:
        found = found.filter(conditions[show])
    if search:
        names = Q(username__icontains=search) | Q(first_name__icontains=search) | Q(last_name__icontains=search)
        found = found.filter(names | Q(email__icontains=search))
    return found


def other_active_admins(user: User) -> QuerySet[User]:
    """Return the administrators who could still sign in without this one."""
    return User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk)


def find_namesake(name: str) -> User | None:
    """Return the user of this name in any case of letters, which databases do not compare alike."""
    wanted = fold(name)
    for pk, other in User.objects.order_by("pk").values_list("pk", "username"):
        if fold(other) == wanted:
            return User.objects.filter(pk=pk).first()
    return None


def locked_sign_ins(*, username: str = "") -> list[LockedSignIn]:
    """Return the names that are locked out now, with the addresses they are locked for."""
    cool_off = get_cool_off()
    if cool_off is None:
        return []
    attempts = AccessAttempt.objects.filter(attempt_time__gt=now() - cool_off)
    if username:
        attempts = attempts.filter(username=username)
    # Failures count per name and address, over all browsers (settings, AXES_LOCKOUT_PARAMETERS).
    rows = (
        attempts.order_by("username", "ip_address")
        .values_list("username", "ip_address")
        .annotate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        .filter(failures__gte=settings.AXES_FAILURE_LIMIT)
    )
    addresses: dict[str, list[str]] = defaultdict(list)
    ends: dict[str, datetime] = {}
    for name, address, _failures, last in rows:
        addresses[name].append(str(address))
        ends[name] = max(last + cool_off, ends.get(name, last))
    return [LockedSignIn(name, tuple(addresses[name]), ends[name]) for name in addresses]
