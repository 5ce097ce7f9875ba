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


class Service(models.TextChoices):
    """The cloud service a credential is for."""

    AZURE = "azure", _("Microsoft Azure")


class VaultTier(models.TextChoices):
    """What kind of keys a vault can hold; only Premium holds HSM keys."""

    PREMIUM = "premium", _("Premium")
    STANDARD = "standard", _("Standard")
    UNKNOWN = "unknown", _("Not known yet")
