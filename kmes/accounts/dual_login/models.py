"""What demands a second administrator, and in which sessions one is signed in. Both are believed only with their seal."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class DualLoginPolicy(models.Model):
    """What demands a second administrator; one row at most. Only ``dual_login.policy`` writes it."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    # Codes of the roles whose users do nothing alone.
    roles = models.JSONField(default=list)
    # Codes of the actions that nobody does alone (``kmes.accounts.acting_views``).
    actions = models.JSONField(default=list)
    # Codes of the roles from which the second administrator comes.
    second_roles = models.JSONField(default=list)
    minutes = models.PositiveSmallIntegerField()
    # Grows with each change: who saw an older state is refused.
    lock_version = models.PositiveIntegerField()
    changed_at = models.DateTimeField()
    # The hash of the columns above, under the key of the web process.
    seal = models.BinaryField(max_length=128)

    def __str__(self) -> str:
        return "Dual login"


class SecondSignIn(models.Model):
    """Who signed in besides the user of a session, and until when. It goes with the session, and with a new key of it."""

    session = models.OneToOneField("accounts.ConsoleSession", on_delete=models.CASCADE, related_name="second_sign_in")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    # The columns above, under the key of the web process.
    seal = models.BinaryField(max_length=128)

    def __str__(self) -> str:
        return f"{self.second} until {self.until:%H:%M}"
