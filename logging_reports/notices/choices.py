"""Choices of channels and deliveries: stored value, label, tone of the badge."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from logging_reports.choices import Severity, Topic


class ChannelKind(TextChoices):
    """By what way notices leave the console."""

    MAIL = "mail", _("Mail")
    WEBHOOK = "webhook", _("Webhook")


class Threshold(TextChoices):
    """From which severity on a channel wants a topic's notices."""

    OFF = "off", _("Nothing")
    INFO = "info", _("Everything")
    WARNING = "warning", _("Warnings and errors")
    ERROR = "error", _("Errors only")


class DeliveryState(TextChoices):
    """Where one notice on its way through one channel stands."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


DELIVERY_COLOURS: dict[str, str] = {
    DeliveryState.WAITING: "info",
    DeliveryState.DELIVERED: "good",
    DeliveryState.FAILED: "bad",
}
# Topics that stay in the console: a test goes to its own channel only, and that a channel doesn't work
# must not be told through channels.
IN_CONSOLE_ONLY = frozenset({Topic.TEST, Topic.DELIVERY})
_RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}


def wants(threshold: str, severity: str) -> bool:
    """Return whether a notice of this severity passes the threshold."""
    if threshold not in Threshold.values or threshold == Threshold.OFF:
        return False
    return _RANKS[Severity(severity)] >= _RANKS[Severity(threshold)]
