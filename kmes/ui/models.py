"""What a user chose for their own pages. Nothing here is business: losing a row resets a look."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Preference(models.Model):
    """One choice of one user under a name ("display", "tree", "table.jobs")."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    name = models.CharField(max_length=64)
    value = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="preference_once_per_user_and_name")]

    def __str__(self) -> str:
        return self.name
