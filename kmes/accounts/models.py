"""Users of the console."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from kmes.accounts.rights import ROLE_RIGHTS, Role


class User(AbstractUser):
    """A person who signs in; the role says what they may do."""

    role = models.CharField(_("Role"), max_length=16, choices=Role, default=Role.AUDITOR)

    class Meta:
        ordering = ["username"]

    def has_right(self, right: str) -> bool:
        """Return whether the user may do this. A user who was switched off may do nothing."""
        return self.is_active and right in ROLE_RIGHTS.get(self.role, frozenset())
