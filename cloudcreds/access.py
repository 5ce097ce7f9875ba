"""The one place where a stored client secret is opened: in the device, in a worker, for one use."""

from __future__ import annotations

from cloudcreds.azure.types import Cloud, CredentialAccess
from cloudcreds.models import CloudCredential
from hsm.device import get_device


def open_access(credential: CloudCredential) -> CredentialAccess:
    """Return what the Azure client needs to sign in, with the secret opened in the device.

    Keep the result no longer than the job runs; never store, log or send it.

    Raises:
        DeviceError: this process may not open secrets (web, beat, reports), the device is gone,
            or the sealed secret was made for another row or device.

    """
    secret = get_device().open_secret(bytes(credential.sealed_secret), aad=credential.secret_context)
    return CredentialAccess(
        cloud=Cloud(credential.cloud),
        tenant_id=credential.tenant_id,
        client_id=credential.client_id,
        secret=secret,
        authority_url=credential.authority_url,
        arm_url=credential.arm_url,
    )
