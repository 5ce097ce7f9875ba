"""Users' choices for their own pages. They are not business data: a lost row only resets an appearance."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


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


class SavedView(models.Model):
    """A saved view of a table: filter, sorting and columns; for all users if it is shared."""

    table = models.CharField(max_length=48)
    name = models.CharField(_("Name"), max_length=64)
    # Path and query of the page, always of this console.
    address = models.CharField(max_length=2000)
    layout = models.JSONField(default=dict)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    is_shared = models.BooleanField(_("Everybody can use it"), default=False)

    class Meta:
        ordering = [Lower("name"), "pk"]
        constraints = [
            models.UniqueConstraint("owner", "table", Lower("name"), name="view_name_once_per_owner_and_table"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the page with the view's filter."""
        return f"{self.address}{'&' if '?' in self.address else '?'}view={self.pk}"
