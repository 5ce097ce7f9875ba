"""Verifies a credential, and a vault of it, in the device before a job uses them. Workers only."""

from __future__ import annotations

from cloudcreds.destinations import claim_of_credential, claim_of_vault
from cloudcreds.models import CloudCredential, KeyVault
from hsm import destination_marks
from hsm.destination_marks import Use
from hsm.mark_checks import MarkError
from hsm.verified import VerifiedDestination


def verify(
    credential: CloudCredential, vault: KeyVault | None, use: Use
) -> tuple[CloudCredential, VerifiedDestination]:
    """Return the credential as it is verified, and what was verified.

    A row that does not hold is read once more: somebody may have saved it since it was read.

    Raises:
        MarkError: a row is not as this console saved it, or an earlier release made it.
        DeviceError: the device can't serve.

    """
    try:
        return credential, _verify(credential, vault, use)
    except MarkError:
        fresh = CloudCredential.objects.filter(pk=credential.pk).first()
        vaults = KeyVault.objects.select_related("credential")
        fresh_vault = vaults.filter(pk=vault.pk).first() if vault is not None else None
        if fresh is None or (vault is not None and fresh_vault is None):
            raise
        return fresh, _verify(fresh, fresh_vault, use)


def _verify(credential: CloudCredential, vault: KeyVault | None, use: Use) -> VerifiedDestination:
    return destination_marks.verify(
        credential=claim_of_credential(credential), vault=claim_of_vault(vault) if vault else None, use=use
    )
