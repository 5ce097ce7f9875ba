"""Choices of destinations. The codes are stored."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from logging_reports.choices import Severity


class Transport(TextChoices):
    """How rows travel."""

    SYSLOG = "syslog", _("Syslog over TLS")
    COLLECTOR = "collector", _("HTTP event collector")


class RowFormat(TextChoices):
    """How a row is written."""

    SYSLOG = "rfc5424", _("RFC 5424, structured data")
    CEF = "cef", _("CEF")
    JSON = "json", _("JSON")


class Start(TextChoices):
    """Where a new destination begins."""

    NOW = "now", _("With rows written from now on")
    BEGINNING = "beginning", _("With the first row of each log")


DEFAULT_PORTS = {Transport.SYSLOG: 6514, Transport.COLLECTOR: 8088}
DEFAULT_PATH = "/services/collector/event"
# In ascending order: a destination gets rows of its lowest severity and above.
SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.ERROR)
