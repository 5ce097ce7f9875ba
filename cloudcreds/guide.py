"""The set-up guide of a credential's cloud service."""

from __future__ import annotations

from cloudcreds.choices import Service
from cloudcreds.models import CloudCredential
from cloudcreds.provider.guidance import Guide
from cloudcreds.provider.registry import provider_for


def set_up_guide(credential: CloudCredential | None = None, *, vault: str = "") -> Guide:
    """Return the guide, with the ids of the credential and the vault's name filled in where they are known."""
    service = credential.service if credential else Service.AZURE
    return provider_for(service).set_up_guide(credential, vault=vault)
