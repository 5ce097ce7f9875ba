"""Choices of the log: services, categories, severities, exports, topics. The codes are stored and hashed."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Service(TextChoices):
    """A log with its own hash chain; the choices of the dropdown in System Logs."""

    AZURE = "azure", _("Azure Service")
    AUDIT = "audit", _("Audit")
    DEVICE = "device", _("Device")


class Severity(TextChoices):
    """How severe an event is."""

    INFO = "info", _("Info")
    WARNING = "warning", _("Warning")
    ERROR = "error", _("Critical")


SEVERITY_COLOURS: dict[str, str] = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.ERROR: "bad"}


class ExportFormat(TextChoices):
    """The file format of an export."""

    CSV = "csv", _("CSV, for Excel")
    CSV_PLAIN = "csv-utf8", _("CSV, plain UTF-8")
    JSON_LINES = "jsonl", _("JSON Lines, for verifying")

    @property
    def is_csv(self) -> bool:
        """Return whether it is one of the CSV formats."""
        return self in (ExportFormat.CSV, ExportFormat.CSV_PLAIN)

    @property
    def suffix(self) -> str:
        """Return the end of the file's name, without the dot."""
        return "csv" if self.is_csv else "jsonl"


class ExportState(TextChoices):
    """The state of a background export."""

    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Running")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Canceled")
    EXPIRED = "expired", _("Expired")


OPEN_EXPORT_STATES = (ExportState.QUEUED, ExportState.RUNNING)
EXPORT_COLOURS: dict[str, str] = {
    "queued": "neutral",
    "running": "info",
    "ready": "good",
    "failed": "bad",
    "cancelled": "neutral",
    "expired": "neutral",
}


class Category(TextChoices):
    """What a row is about. Each service uses some of them (``events.CATEGORIES``)."""

    AUTHENTICATION = "authentication", _("Authentication")
    VAULT = "vault", _("Vault")
    KEK = "kek", _("KEK")
    KEY_WRAP = "key-wrap", _("Key wrap")
    IMPORT = "import", _("Import")
    VERIFICATION = "verification", _("Verification")
    VERSION_STATE = "version-state", _("Version state")
    ROTATION = "rotation", _("Rotation")
    DELETION = "deletion", _("Deletion")
    RECOVERY = "recovery", _("Recovery")
    PURGE = "purge", _("Purge")
    THROTTLING = "throttling", _("Throttling")
    PERMISSION = "permission", _("Permission")
    CONNECTIVITY = "connectivity", _("Connectivity")
    DRIFT = "drift", _("Drift")
    ACCESS = "access", _("Access")
    CONFIGURATION = "configuration", _("Configuration")
    KEYS = "keys", _("Keys")
    JOBS = "jobs", _("Jobs")
    EXPORT = "export", _("Export")
    INTEGRITY = "integrity", _("Integrity")
    DEVICE = "device", _("Device")


class Topic(TextChoices):
    """What a notice is about. Users subscribe by topic (``events.NOTICE_TOPICS``)."""

    JOBS = "jobs", _("Failed jobs")
    ROTATION = "rotation", _("Missed or failed rotations")
    EXPIRY = "expiry", _("Keys and client secrets near expiry")
    DRIFT = "drift", _("Drift between console and vault")
    VAULT = "vault", _("Vault unreachable")
    DEVICE = "device", _("Device away or back")
    EXPORT = "export", _("Own exports that are ready")
    APPROVAL = "approval", _("Approvals requested or refused")
    ACCESS = "access", _("Company sign-on: changed, or not used")
    SIGN_IN = "sign_in", _("Own sign-in: new devices, second factor")
    LOG = "log", _("Log chain broken")
    DELIVERY = "delivery", _("Notices that did not get out")
    TEST = "test", _("Tests of a channel")
