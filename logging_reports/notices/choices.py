"""Choices of channels and deliveries, and the badge colors of states."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from logging_reports.choices import Severity, Topic


class ChannelKind(TextChoices):
    """How a channel sends notices."""

    MAIL = "mail", _("Mail")
    WEBHOOK = "webhook", _("Webhook")


class Threshold(TextChoices):
    """The lowest severity of a topic that a channel sends."""

    OFF = "off", _("Nothing")
    INFO = "info", _("Everything")
    WARNING = "warning", _("Warning and Critical")
    ERROR = "error", _("Critical only")


class DeliveryState(TextChoices):
    """The state of a delivery."""

    WAITING = "waiting", _("Waiting")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")


DELIVERY_COLOURS: dict[str, str] = {
    DeliveryState.WAITING: "info",
    DeliveryState.DELIVERED: "good",
    DeliveryState.FAILED: "bad",
}
# Topics that channels don't send: a test goes to its own channel only, and a failed delivery must not
# cause further deliveries.
IN_CONSOLE_ONLY = frozenset({Topic.TEST, Topic.DELIVERY})
# Topics whose notices are for the user alone who caused them.
PERSONAL = frozenset({Topic.EXPORT, Topic.SIGN_IN})
_RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}


def wants(threshold: str, severity: str) -> bool:
    """Return whether the severity reaches the threshold."""
    if threshold not in Threshold.values or threshold == Threshold.OFF:
        return False
    return _RANKS[Severity(severity)] >= _RANKS[Severity(threshold)]
