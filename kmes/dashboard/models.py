"""Rows of the dashboard: what a user acknowledged. Written by ``attention.services`` only."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Acknowledgement(models.Model):
    """One thing that needs attention, taken off the list by a user until it is over.

    ``matter`` is a name of ``attention.matters``, ``subject`` the id of the object, or empty where there is only one.
    """

    matter = models.CharField(max_length=32)
    subject = models.CharField(max_length=36, blank=True)
    # How the object stood; in another state it is shown again.
    state = models.CharField(max_length=32, blank=True, default="", db_default="")
    # What the object was called at that time.
    label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500)
    acknowledged_at = models.DateTimeField()
    acknowledged_by = models.CharField(max_length=150)
    # When it was over, or withdrawn. From then on the same thing is shown again.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-acknowledged_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["matter", "subject"], condition=Q(ended_at=None), name="acknowledged_once_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.matter} {self.label}".strip()
