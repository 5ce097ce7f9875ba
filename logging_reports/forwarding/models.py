"""Tables of log forwarding: destinations, and their position in each log.

``destinations`` writes what administrators chose, ``outages`` how sending goes, ``positions`` the positions.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from kmes.core.ids import new_uuid
from logging_reports.choices import Service, Severity
from logging_reports.forwarding.choices import RowFormat, Transport


class ForwardingDestination(models.Model):
    """A receiver of log rows, and how sending to it goes."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(_("Name"), max_length=64)
    is_enabled = models.BooleanField(_("In use"), default=True)
    transport = models.CharField(_("Transport"), max_length=16, choices=Transport)
    row_format = models.CharField(_("Format"), max_length=16, choices=RowFormat)
    host = models.CharField(_("Host"), max_length=253)
    port = models.PositiveIntegerField(_("Port"))
    # Of the HTTP event collector.
    path = models.CharField(_("Path"), max_length=200, blank=True)
    # PEM; empty: the certificates that this machine trusts.
    ca_certificates = models.TextField(_("CA certificates"), blank=True)
    # Encrypted (``seals``). Empty: none.
    token = models.CharField(max_length=1024, blank=True)
    # Names of logs and of events. No events: all.
    services = models.JSONField(_("Logs"), default=list)
    lowest_severity = models.CharField(_("Lowest severity"), max_length=16, choices=Severity, default=Severity.INFO)
    events = models.JSONField(_("Events"), default=list, blank=True)
    # Over all of the above (``seals``).
    seal = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    # How sending goes. ``run_number`` counts claims, so that a worker that lost its claim writes nothing.
    run_number = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    last_run_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(_("Last success"), null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    last_error = models.CharField(_("Last error"), max_length=500, blank=True)
    next_try_at = models.DateTimeField(null=True)
    is_alarmed = models.BooleanField(default=False)

    test_requested_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    test_passed = models.BooleanField(default=False)
    test_result = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="forwarding_name_unique")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the destination's page."""
        return reverse("forwarding:detail", args=[self.pk])

    @property
    def address(self) -> str:
        """Return where it is, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


class ForwardingPosition(models.Model):
    """How far a destination got in one log. All numbers are sequences of rows."""

    destination = models.ForeignKey(ForwardingDestination, on_delete=models.CASCADE, related_name="positions")
    service = models.CharField(_("Log"), max_length=16, choices=Service)
    # Rows up to here were never to be sent: the destination began after them.
    start = models.BigIntegerField(default=0)
    # The receiver took all rows up to here. The next run goes on after it.
    confirmed = models.BigIntegerField(default=0)
    # The last row that was sent, up to ``confirmed``: later ones may be left out by the filter.
    last_sent = models.BigIntegerField(default=0)
    # Rows up to here may have been sent before, so they are marked as repeats.
    announced = models.BigIntegerField(default=0)
    # Confirmed so long ago that the receiver has it in its files; after a broken connection all later rows are repeated.
    settled = models.BigIntegerField(default=0)
    # What becomes settled next, and since when it is confirmed.
    settling = models.BigIntegerField(default=0)
    settling_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["destination", "service"], name="forwarding_position_once")]

    def __str__(self) -> str:
        return f"{self.destination_id} {self.service} {self.confirmed}"
