"""Choices of cloud credentials and vaults: stored value, label."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class CloudName(models.TextChoices):
    """Which Azure the credential belongs to."""

    PUBLIC = "public", _("Azure public")
    US_GOVERNMENT = "usgov", _("Azure US Government")
    CHINA = "china", _("Azure China")
    CUSTOM = "custom", _("Custom endpoints")


class SignIn(models.TextChoices):
    """How a credential proves at sign-in that it is the application."""

    SECRET = "secret", _("Client secret")
    CERTIFICATE = "certificate", _("Certificate, uploaded with its private key")
    DEVICE_CERTIFICATE = "device_certificate", _("Certificate made here, private key in the HSM")
    FEDERATION = "federation", _("Workload identity federation (token file)")
    MANAGED_IDENTITY = "managed_identity", _("Managed identity of the worker's host")


# Kinds that sign an assertion with the private key of a certificate.
CERTIFICATE_KINDS = frozenset({SignIn.CERTIFICATE, SignIn.DEVICE_CERTIFICATE})


# The same in a word or two, for lists and sentences.
SHORT_WAYS = {
    SignIn.SECRET: _("Client secret"),
    SignIn.CERTIFICATE: _("Certificate"),
    SignIn.DEVICE_CERTIFICATE: _("Certificate in the HSM"),
    SignIn.FEDERATION: _("Federation"),
    SignIn.MANAGED_IDENTITY: _("Managed identity"),
}


class Service(models.TextChoices):
    """The cloud service a credential is for."""

    AZURE = "azure", _("Microsoft Azure")


class VaultTier(models.TextChoices):
    """What kind of keys a vault can hold; only Premium holds HSM keys."""

    PREMIUM = "premium", _("Premium")
    STANDARD = "standard", _("Standard")
    UNKNOWN = "unknown", _("Not known yet")


class AccessModel(models.TextChoices):
    """Who decides what a caller may do with a vault's keys. Azure has both; new vaults use roles."""

    ROLES = "roles", _("Azure RBAC")
    POLICIES = "policies", _("Access policies")
