"""Limits of failed sign-ins, besides the lock of one name for one address (settings, AXES_LOCKOUT_PARAMETERS).

One address may try few names, and few addresses may try one name. Who signed in from an address lately is not
locked out there by strangers elsewhere. The Audit log has one row per name, address and minute, and a second one
with the number of further tries.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum

from kmes.accounts.models import FailedSignIns
from kmes.core.actor import Actor, Trigger
from kmes.core.clock import now
from logging_reports.services import record

WINDOW = timedelta(minutes=15)
KNOWN_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=1)
# The field may contain a password entered by mistake.
NAME_LENGTH = 64
EVENT = "access.login_failed"
# Stands for the name where a passkey was refused; no user can have this one.
PASSKEY = "(passkey)"
# The same for company sign-on; the second one for refusals that nobody makes up, which count for no limit.
COMPANY, PROVIDER = "(company sign-on)", "(identity provider)"


def is_over(*, name: str, address: str) -> bool:
    """Return whether this address, or this name from it, has failed too often to be tried."""
    recent = AccessAttempt.objects.filter(attempt_time__gt=now() - WINDOW)
    if is_address_over(address):
        return True
    if _failures(recent.filter(username=name)) < settings.KMES_SIGN_IN_TRIES_PER_NAME:
        return False
    known = AccessLog.objects.filter(username=name, ip_address=address or None, attempt_time__gt=now() - KNOWN_FOR)
    return not known.exists()


def is_address_over(address: str) -> bool:
    """Return whether this address has failed too often, in all ways to sign in together."""
    recent = AccessAttempt.objects.filter(attempt_time__gt=now() - WINDOW, ip_address=address or None)
    others = FailedSignIns.objects.filter(minute__gt=now() - WINDOW, address=address, name__in=(PASSKEY, COMPANY))
    tries = _failures(recent) + (others.aggregate(found=Sum("tries"))["found"] or 0)
    return bool(tries >= settings.KMES_SIGN_IN_TRIES_PER_ADDRESS)


def _failures(attempts: QuerySet[Any]) -> int:
    return attempts.aggregate(found=Sum("failures_since_start"))["found"] or 0


def log_refusal(*, name: str, address: str, reason: str = "") -> None:
    """Log a failed sign-in, or count it where the same was logged in this minute."""
    shown = name[:NAME_LENGTH].replace("\0", "") or "unknown"
    with transaction.atomic():
        row, is_first = FailedSignIns.objects.get_or_create(
            minute=_minute(), name=shown, address=address, defaults={"tries": 1, "logged": 1}
        )
        if is_first:
            record(EVENT, actor=Actor(shown, Trigger.USER), message=reason, data={"address": address})
        else:
            FailedSignIns.objects.filter(pk=row.pk).update(tries=F("tries") + 1)


def log_repeated() -> int:
    """Log how many tries of former minutes were counted only. Return how many rows that took."""
    written = 0
    for row in FailedSignIns.objects.filter(minute__lt=_minute(), tries__gt=F("logged")).order_by("minute", "pk"):
        more = row.tries - row.logged
        with transaction.atomic():
            if not FailedSignIns.objects.filter(pk=row.pk, logged=row.logged).update(logged=row.tries):
                continue
            message = f"{more:,} more failed sign-ins between {row.minute:%H:%M} and the minute after"
            data = {"address": row.address, "tries": more}
            record(EVENT, actor=Actor(row.name, Trigger.USER), message=message, data=data)
        written += 1
    FailedSignIns.objects.filter(minute__lt=now() - KEPT_FOR).delete()
    return written


def _minute() -> datetime:
    return now().replace(second=0, microsecond=0)
