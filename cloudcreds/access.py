"""The one place where a stored client secret is opened: in the device, in a worker, for one use."""

from __future__ import annotations

from cloudcreds.models import CloudCredential
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.registry import provider_for
from cloudcreds.provider.types import CredentialAccess
from hsm.device import get_device
from kmes.core.known_secrets import remember


def open_gateway(credential: CloudCredential, vault_url: str, *, recorder: Recorder, backoff: Backoff) -> VaultGateway:
    """Return the gateway to a vault, or with an empty URL to the credential's list of vaults.

    Raises:
        DeviceError: as for ``open_access``.
        KmesError: this installation has no provider for the credential's service.

    """
    provider = provider_for(credential.service)
    return provider.open_gateway(open_access(credential), vault_url, recorder=recorder, backoff=backoff)


def open_access(credential: CloudCredential) -> CredentialAccess:
    """Return what the provider needs to sign in, with the secret opened in the device.

    Keep the result no longer than the job runs; never store, log or send it.

    Raises:
        DeviceError: this process may not open secrets (web, beat, reports), the device is gone,
            or the sealed secret was made for another row or device.

    """
    secret = get_device().open_secret(bytes(credential.sealed_secret), aad=credential.secret_context)
    remember(secret.reveal())
    return CredentialAccess(
        cloud=credential.cloud,
        tenant_id=credential.tenant_id,
        client_id=credential.client_id,
        secret=secret,
        authority_url=credential.authority_url,
        arm_url=credential.arm_url,
    )
