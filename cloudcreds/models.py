"""Rows of cloud credentials, their certificates, and key vaults.

A stored secret or private key is sealed or wrapped; only the device opens it.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from cloudcreds.choices import CERTIFICATE_KINDS, AccessModel, CloudName, Service, SignIn, VaultTier
from cloudcreds.provider import recovery
from hsm.signed_saves import MarkedRow
from kmes.accounts.scopes import Place, vault_value
from kmes.core.ids import new_uuid
from kmes.core.withheld import WithheldBinaryField


class CloudCredential(MarkedRow):
    """An identity in Azure: tenant, client, and how it signs in. A client secret is sealed under the MFK."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    name = models.CharField(_("Name"), max_length=128)
    service = models.CharField(_("Service"), max_length=16, choices=Service, default=Service.AZURE)
    cloud = models.CharField(_("Cloud"), max_length=16, choices=CloudName, default=CloudName.PUBLIC)
    tenant_id = models.CharField(_("Tenant ID"), max_length=64)
    # Empty for the managed identity that a host has of its own.
    client_id = models.CharField(_("Client ID"), max_length=64, blank=True)
    sign_in = models.CharField(_("Sign in with"), max_length=32, choices=SignIn, default=SignIn.SECRET)
    # The portal's id of the secret. It is no secret; its last characters tell several secrets apart.
    secret_id = models.CharField(_("Secret ID"), max_length=36, blank=True)
    # Empty, as is the time, where the credential signs in without a client secret.
    sealed_secret = WithheldBinaryField(editable=False, default=bytes, readable_by=("web", "worker"))
    # The place that the secret is sealed for (``seals``); empty in earlier releases.
    sealed_for = models.JSONField(default=list, editable=False)
    secret_set_at = models.DateTimeField(null=True)
    # The last day on which the secret or certificate is valid: typed for a secret, read from a certificate.
    sign_in_expires_on = models.DateField(_("Secret expires on"), null=True, blank=True)
    authority_url = models.CharField(_("Authority URL"), max_length=255, blank=True)
    arm_url = models.CharField(_("Resource Manager URL"), max_length=255, blank=True)
    # Results of the last connection test: list of ``provider.types.ProbeResult`` as dictionaries.
    last_test = models.JSONField(default=list, blank=True)
    last_test_ok = models.BooleanField(null=True)
    last_tested_at = models.DateTimeField(null=True)
    # Until when sign-in and Resource Manager count as slow, because a call to them lasted long. Of ``circuits``.
    slow_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    lock_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="credential_name_unique",
                violation_error_message=_("A cloud credential of this name exists already."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the credential's page."""
        return reverse("cloudcreds:detail", args=[self.pk])

    @property
    def secret_id_end(self) -> str:
        """Return the last four characters of the secret's id, "" when it was not recorded."""
        return self.secret_id[-4:]

    @property
    def has_expiry(self) -> bool:
        """Return whether what it signs in with expires, so that somebody has to replace it in time."""
        return self.sign_in == SignIn.SECRET or self.sign_in in CERTIFICATE_KINDS


class SignInCertificate(models.Model):
    """A certificate that a credential signs in with, or will: the public part, and its private key.

    The private key is sealed under the MFK (uploaded) or wrapped under the PMK (made in the device), never both.
    """

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    credential = models.ForeignKey(CloudCredential, on_delete=models.CASCADE, related_name="certificates")
    pem = models.TextField()
    # SHA-1 in upper-case hex, as Entra's portal shows it, and SHA-256, which assertions name.
    thumbprint = models.CharField(_("Thumbprint"), max_length=40)
    thumbprint_sha256 = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    sealed_key = WithheldBinaryField(editable=False, default=bytes, readable_by=("web", "worker"))
    sealed_for = models.JSONField(default=list, editable=False)
    wrapped_key = WithheldBinaryField(editable=False, default=bytes, readable_by=("web", "worker"))
    # False while it waits to be registered in Entra; one that waits was made in the device.
    is_in_use = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["credential", "is_in_use"], name="one_certificate_in_use_and_one_waiting"),
            models.CheckConstraint(
                condition=(Q(sealed_key=b"") & ~Q(wrapped_key=b"")) | (~Q(sealed_key=b"") & Q(wrapped_key=b"")),
                name="certificate_key_sealed_or_wrapped",
            ),
        ]

    def __str__(self) -> str:
        return self.thumbprint


class KeyVault(MarkedRow):
    """A vault as last seen through a credential. A push reads again what it depends on."""

    id = models.UUIDField(primary_key=True, default=new_uuid, editable=False)
    credential = models.ForeignKey(CloudCredential, on_delete=models.PROTECT, related_name="vaults")
    name = models.CharField(max_length=64)
    url = models.CharField(max_length=255)
    tier = models.CharField(max_length=16, choices=VaultTier, default=VaultTier.UNKNOWN)
    recovery_level = models.CharField(max_length=64, blank=True)
    recoverable_days = models.PositiveSmallIntegerField(null=True)
    # Results of the last connection test on this vault, as on the credential.
    last_test = models.JSONField(default=list, blank=True)
    last_test_ok = models.BooleanField(null=True)
    last_tested_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    # Policies on its keys, as ``provider.vault_setup.PolicyAssignment`` in dictionaries; NULL: they could not be read.
    policies = models.JSONField(null=True)
    # The ephemeral key that the vault's policies allow, where the usual one was refused (``kek_shapes``); NULL: the usual.
    kek_bits = models.PositiveSmallIntegerField(null=True)
    kek_days = models.PositiveSmallIntegerField(null=True)
    # When the latest HSM changes were made or will be, in seconds since 1970 (``rate_limit``).
    recent_changes = models.JSONField(default=list)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("credential", Lower("url"), name="vault_url_unique_per_credential")]

    def __str__(self) -> str:
        return self.name

    @property
    def places(self) -> tuple[Place, ...]:
        """Return where somebody acts who acts on the vault as a whole."""
        return (Place(vault_value(self.url)),)

    @property
    def has_soft_delete(self) -> bool | None:
        """Return whether deleted keys can be recovered; None while unknown."""
        return recovery.has_soft_delete(self.recovery_level) if self.recovery_level else None

    @property
    def is_purge_protected(self) -> bool | None:
        """Return whether nobody may purge before the retention ends; None while unknown."""
        return recovery.is_purge_protected(self.recovery_level) if self.recovery_level else None


class VaultConfiguration(models.Model):
    """How a vault is set up, as the cloud's management service told when it listed vaults."""

    vault = models.OneToOneField(KeyVault, on_delete=models.CASCADE, primary_key=True, related_name="configuration")
    access_model = models.CharField(max_length=16, choices=AccessModel)
    public_access = models.BooleanField()
    firewall = models.BooleanField()
    private_endpoints = models.PositiveSmallIntegerField()
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.vault_id}"


class VaultCircuit(models.Model):
    """How a vault answered lately, shared by all workers. Written by ``cloudcreds.circuits`` only."""

    vault = models.OneToOneField(KeyVault, on_delete=models.CASCADE, primary_key=True, related_name="circuit")
    # Calls in a row without an answer.
    failures = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    opened_at = models.DateTimeField(null=True)
    # Until when no job starts; NULL while the circuit is closed. One job at a time tries the vault after it.
    retry_at = models.DateTimeField(null=True)
    pauses = models.PositiveIntegerField(default=0)
    # A plain id, because jobs are an app above this one.
    probe_job_id = models.UUIDField(null=True)
    probe_until = models.DateTimeField(null=True)
    # Until when the vault counts as slow, because a call to it lasted long.
    slow_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.vault_id}"
