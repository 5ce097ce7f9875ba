"""The identity provider, and which of its accounts is which user. Both are believed only with their seal (``seals``)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class SignOnProvider(models.Model):
    """The company's identity provider; one row at most."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    # Shown on the button of the sign-in page.
    name = models.CharField(_("Name"), max_length=64)
    is_enabled = models.BooleanField(default=False)
    issuer = models.CharField(_("Issuer"), max_length=255)
    client_id = models.CharField(_("Client ID"), max_length=255)
    scopes = models.CharField(_("Scopes"), max_length=255)
    username_claim = models.CharField(_("Claim with the user name"), max_length=64)
    groups_claim = models.CharField(_("Claim with the groups"), max_length=64)
    # The code of each group's role, by the group's name or id.
    group_roles = models.JSONField(default=dict)
    # The role of users in none of these groups; "": they are refused.
    unmatched_role = models.CharField(max_length=16, blank=True)
    # A user of the same name, who is not linked yet, becomes the company's account at its first sign-in.
    may_link = models.BooleanField(default=False)
    # Values of the claims "amr" and "acr" that prove a second factor.
    factor_values = models.JSONField(default=list)
    # A sign-in without the provider is an alarm.
    are_local_for_emergencies = models.BooleanField(default=False)
    # Signing out here leads to the sign-out at the provider.
    signs_out_there = models.BooleanField(default=False, db_default=False)
    # The client secret and the hash of these columns, under the key of the web process.
    sealed = models.BinaryField(max_length=4096)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class SignOnIdentity(models.Model):
    """An account at an identity provider, and the user who signs in with it. Never bound to a name or mail address."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_on_identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    seal = models.BinaryField(max_length=128)
    added_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="sign_on_identity_once"),
            models.UniqueConstraint(fields=["issuer", "user"], name="sign_on_user_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.issuer}"
