"""Choices of groups, keys and cloud versions: stored value, label, colour of the badge."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hsm.types import KeySpec


class KeyType(models.TextChoices):
    """The console's two asymmetric key types."""

    RSA = "RSA", "RSA"
    ECC = "ECC", "ECC"


class KeyUsage(models.TextChoices):
    """What a pushed key may do in the vault (docs/console.md, section "Dialogs")."""

    SIGN = "sign", _("Sign and verify")
    ENCRYPT = "encrypt", _("Encrypt and decrypt")
    WRAP = "wrap", _("Wrap and unwrap")


AZURE_OPERATIONS: dict[str, tuple[str, ...]] = {
    KeyUsage.SIGN: ("sign", "verify"),
    KeyUsage.ENCRYPT: ("encrypt", "decrypt"),
    KeyUsage.WRAP: ("wrapKey", "unwrapKey"),
}

SPEC_CHOICES = [(spec.value, spec.value) for spec in KeySpec]


class PeriodUnit(models.TextChoices):
    """Units of rotation and validity periods."""

    DAYS = "days", _("days")
    WEEKS = "weeks", _("weeks")
    MONTHS = "months", _("months")


class KeyState(models.TextChoices):
    """State of a key in this console."""

    PRESENT = "present", _("Present")
    DESTROYED = "destroyed", _("Destroyed")


class GroupCloudState(models.TextChoices):
    """State of the group's Azure key. Azure deletes, recovers and purges whole keys only."""

    ABSENT = "absent", _("Not in the vault")
    LIVE = "live", _("In the vault")
    SOFT_DELETED = "soft_deleted", _("Deleted, recoverable")
    PURGED = "purged", _("Purged")


class VersionState(models.TextChoices):
    """State of a key's version in the vault."""

    PUSHING = "pushing", _("Synchronizing")
    ACTIVE = "active", _("Active")
    SUPERSEDED = "superseded", _("Superseded")
    DISABLED = "disabled", _("Disabled")
    SOFT_DELETED = "soft_deleted", _("Deleted, recoverable")
    PURGED = "purged", _("Purged")
    MISSING = "missing", _("Missing in the vault")
    FAILED = "failed", _("Failed")


# The vault holds the version, and it can be read, enabled and disabled.
LIVE_VERSION_STATES = (VersionState.ACTIVE, VersionState.SUPERSEDED, VersionState.DISABLED)
# The vault stores the version, deleted or not: what a deletion or a purge of the Azure key takes along.
STORED_VERSION_STATES = (*LIVE_VERSION_STATES, VersionState.SOFT_DELETED)
# The version is not in the vault for good, so its key may be synchronized again.
ENDED_VERSION_STATES = (VersionState.PURGED, VersionState.FAILED, VersionState.MISSING)
# All others: the version is in the vault or on its way. A key has one at most in each vault.
HELD_VERSION_STATES = (*STORED_VERSION_STATES, VersionState.PUSHING)


class SlotState(models.TextChoices):
    """What became of one due moment of a group's rotation."""

    PENDING = "pending", _("Pending")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Canceled")
    # No job could be made for it.
    REFUSED = "refused", _("Refused")
    # Passed over for a newer due moment, after a time in which no scan ran.
    MISSED = "missed", _("Missed")


class RotationStanding(models.TextChoices):
    """How well a group keeps its rotation policy."""

    ON_TIME = "on_time", _("On time")
    LATE = "late", _("Late")
    FAILED = "failed", _("Failed")
    OFF = "off", _("Off")
    # It can't comply: Azure refuses new versions of a deleted key.
    DELETED = "deleted", _("Deleted in the vault")
    # There is nothing to replace yet. Its first due moment makes it one that complies or not.
    NOT_IN_VAULT = "not_in_vault", _("Nothing in the vault")


class Drift(models.TextChoices):
    """How a version in the vault differs from what is recorded here."""

    MISSING = "missing", _("Missing in the vault")
    UNKNOWN = "unknown", _("Not made here")
    MATERIAL = "material", _("Other key material")
    ENABLED = "enabled", _("Enabled")
    EXPIRY = "expiry", _("Expiry")
    NOT_BEFORE = "not_before", _("Not before")
    OPERATIONS = "operations", _("Permitted operations")
    TAGS = "tags", _("Tags")


# A repair job can set these back (``drift.what_stays`` names the exceptions). The others need a decision by a person.
REPAIRABLE = frozenset({Drift.ENABLED, Drift.EXPIRY, Drift.NOT_BEFORE, Drift.OPERATIONS, Drift.TAGS})


# Badge colours by meaning: good, info, warning, bad, neutral.
STATE_COLOURS: dict[str, str] = {
    "present": "good",
    "destroyed": "neutral",
    "absent": "neutral",
    "live": "good",
    "pushing": "info",
    "active": "good",
    "superseded": "neutral",
    "disabled": "warning",
    "soft_deleted": "warning",
    "purged": "neutral",
    "missing": "bad",
    "failed": "bad",
}
