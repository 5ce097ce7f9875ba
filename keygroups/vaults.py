"""From what a person chose or typed to a vault's row. Asks Azure nothing: a job looks the vault up."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.fields import trim
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.registry import provider_for
from kmes.core.errors import InputError


def clean_vault_url(text: str, *, credential: CloudCredential) -> str:
    """Return the URL of the vault that a name or URL means in the credential's cloud.

    Raises:
        InputError: missing, or no vault of that cloud (field ``vault``).

    """
    typed = trim(text)
    if not typed:
        raise InputError(
            _("The key vault is missing."), _("Choose one from the list, or type its name or URL."), field="vault"
        )
    return provider_for(credential.service).clean_vault_url(typed, cloud=credential.cloud)


def find_or_create_vault(*, url: str, credential: CloudCredential) -> KeyVault:
    """Return the credential's row of the vault; a vault typed for the first time gets one.

    ``url`` comes from ``clean_vault_url``. Call inside the caller's transaction.
    """
    name = provider_for(credential.service).vault_name(url)
    known = credential.vaults.filter(url__in=[url, f"{url}/"]).first()
    return known or KeyVault.objects.create(credential=credential, name=name, url=url)
