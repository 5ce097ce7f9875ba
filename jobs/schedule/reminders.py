"""Reminds of versions, client secrets and certificates that expire soon, and of rotations that were missed.

Each is logged once per threshold, however often the scan runs. The log rows become notices.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, timedelta

from django.db import IntegrityError

from cloudcreds.choices import CERTIFICATE_KINDS
from cloudcreds.models import CloudCredential
from keygroups.choices import RotationStanding, VersionState
from keygroups.models import CloudVersion, KeyGroup
from keygroups.rotation_standing import with_standing
from kmes.core.actor import SCHEDULE
from kmes.core.clock import now
from logging_reports.choices import Severity
from logging_reports.notices.reminders import remind_once
from logging_reports.notices.retention import delete_old_notices
from logging_reports.services import Draft, Subject

logger = logging.getLogger(__name__)
# Days before the expiry, and the severity from then on.
THRESHOLDS: tuple[tuple[int, Severity], ...] = (
    (1, Severity.ERROR),
    (7, Severity.WARNING),
    (14, Severity.WARNING),
    (30, Severity.INFO),
)
# By whether it signs in with a certificate: the word, and the event.
_SIGN_IN_WORDS = {
    True: ("certificate", "credential.certificate_expiring"),
    False: ("client secret", "credential.secret_expiring"),
}
_FURTHEST = max(days for days, _severity in THRESHOLDS)


def remind() -> int:
    """Log every reminder that is due and was not logged before; return how many were."""
    drafts = [*_expiring_versions(), *_expiring_secrets(), *_missed_rotations()]
    try:
        written = remind_once(drafts)
    except IntegrityError:
        logger.info("another scan reminds at this moment")
        return 0
    delete_old_notices()
    return len(written)


def _threshold(days_left: int) -> tuple[int, Severity] | None:
    """Return the narrowest threshold that has been passed, or None."""
    return next((found for found in THRESHOLDS if days_left <= found[0]), None)


def _words(ends_on: date, days_left: int) -> str:
    if days_left < 0:
        return f"expired on {ends_on.isoformat()}"
    return f"ends on {ends_on.isoformat()}, {days_left} {'day' if days_left == 1 else 'days'} left"


def _expiring_versions() -> list[tuple[str, Draft]]:
    today = now().date()
    versions = CloudVersion.objects.filter(
        state=VersionState.ACTIVE, expires_at__lt=now() + timedelta(days=_FURTHEST + 1)
    ).select_related("key", "group__credential", "vault")
    found = []
    for version in versions.defer("key__wrapped_private", "key__public_spki", "group__credential__sealed_secret"):
        if version.expires_at is None:
            continue
        ends_on = version.expires_at.astimezone(UTC).date()
        passed = _threshold((ends_on - today).days)
        if passed is None:
            continue
        group = version.group
        subject = Subject(
            credential_id=str(group.credential_id),
            credential=group.credential.name,
            vault=version.vault.name,
            group_id=str(group.pk),
            group=group.name,
            key_id=str(version.key_id),
            key=version.key.name,
            version=version.azure_version,
        )
        message = f"The active version of {group.name} {_words(ends_on, (ends_on - today).days)}"
        key = f"version:{version.pk}:{ends_on}:{passed[0]}"
        found.append((key, _draft("key.version_expiring", message, subject, passed[1])))
    return found


def _expiring_secrets() -> list[tuple[str, Draft]]:
    today = now().date()
    last = today + timedelta(days=_FURTHEST)
    found = []
    for credential in CloudCredential.objects.filter(sign_in_expires_on__lte=last).defer("sealed_secret"):
        ends_on = credential.sign_in_expires_on
        passed = _threshold((ends_on - today).days) if ends_on else None
        if ends_on is None or passed is None:
            continue
        what, event = _SIGN_IN_WORDS[credential.sign_in in CERTIFICATE_KINDS]
        message = f"The {what} of {credential.name} {_words(ends_on, (ends_on - today).days)}"
        subject = Subject(credential_id=str(credential.pk), credential=credential.name)
        key = f"secret:{credential.pk}:{ends_on}:{passed[0]}"
        found.append((key, _draft(event, message, subject, passed[1])))
    return found


def _missed_rotations() -> list[tuple[str, Draft]]:
    groups = with_standing(KeyGroup.objects.select_related("credential", "vault")).filter(
        standing=RotationStanding.LATE
    )
    found = []
    for group in groups.defer("credential__sealed_secret"):
        due_at = group.last_due_at or group.next_due_at
        message = f"The rotation of {group.name} was due at {due_at:%Y-%m-%d %H:%M:%S} UTC and has not been done"
        subject = Subject(
            credential_id=str(group.credential_id),
            credential=group.credential.name,
            vault=group.vault.name,
            group_id=str(group.pk),
            group=group.name,
        )
        key = f"missed:{group.pk}:{due_at.isoformat()}"
        found.append((key, _draft("azure.rotation_missed", message, subject, Severity.ERROR)))
    return found


def _draft(event: str, message: str, subject: Subject, severity: Severity) -> Draft:
    return Draft(event=event, actor=SCHEDULE, message=message, subject=subject, severity=severity)
