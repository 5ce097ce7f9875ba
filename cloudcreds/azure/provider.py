"""Azure as a cloud provider. Loads the SDK with the first gateway only: the web process never needs it."""

from __future__ import annotations

from django.conf import settings

from cloudcreds.azure import addresses, guide, remediation
from cloudcreds.choices import CloudName, Service
from cloudcreds.provider.backoff import Backoff
from cloudcreds.provider.guidance import Guide, Remedy
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.recorder import Recorder
from cloudcreds.provider.types import ChangeLimit, CredentialAccess, CredentialColumns


class AzureProvider:
    """``CloudProvider`` for Azure Key Vault."""

    service = Service.AZURE.value

    def open_gateway(
        self, access: CredentialAccess, vault_url: str, *, recorder: Recorder, backoff: Backoff
    ) -> VaultGateway:
        """Return the gateway to a vault; with an empty URL only Resource Manager can be asked."""
        from cloudcreds.azure.gateway import AzureGateway  # noqa: PLC0415 - the SDK

        return AzureGateway(access, vault_url, recorder=recorder, backoff=backoff)

    def clean_vault_url(self, text: str, *, cloud: str) -> str:
        """Return the URL of the vault that a typed name or URL means."""
        return addresses.check_vault_url(
            text,
            cloud=cloud,
            custom_allowed=settings.KMES_ALLOW_CUSTOM_ENDPOINTS,
            custom_hosts=settings.KMES_CUSTOM_HOSTS,
        )

    def vault_name(self, url: str) -> str:
        """Return the name to show for a vault's URL."""
        return addresses.vault_name(url)

    def set_up_guide(self, credential: CredentialColumns | None, *, vault: str) -> Guide:
        """Return how Azure has to be set up, with the ids that are known filled in."""
        return guide.set_up_guide(credential, vault=vault)

    def check_label(self, check: str) -> str:
        """Return the name of a connection test's check in the reader's language."""
        return remediation.check_label(check)

    def remedy_for(self, check: str, kind: str, *, credential: CredentialColumns, vault: str, otherwise: str) -> Remedy:
        """Return what to do in Azure about a failed check."""
        return remediation.remedy_for(check, kind, client_id=credential.client_id, vault=vault, otherwise=otherwise)

    def change_limit(self, cloud: str) -> ChangeLimit | None:
        """Return Azure's limit; custom endpoints have none unless told (docs/azure.md#limits-and-throttling)."""
        if cloud == CloudName.CUSTOM and not settings.KMES_PACE_CUSTOM_ENDPOINTS:
            return None
        return ChangeLimit(settings.KMES_VAULT_CHANGES, settings.KMES_VAULT_WINDOW_SECONDS)
