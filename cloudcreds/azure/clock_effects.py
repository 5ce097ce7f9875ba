"""Says of a refusal that this machine's clock may be its reason, where the services' answers show that it is wrong."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from cloudcreds.azure import service_clock
from cloudcreds.azure.answers import AskedService
from cloudcreds.azure.clouds import endpoints_of
from cloudcreds.provider import clocks
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.types import CredentialAccess

# Refusals in which a time may play a part.
_MAY_BE_ABOUT_TIME = frozenset(
    {
        CloudErrorKind.REFUSED_INPUT,
        CloudErrorKind.REFUSED_OTHERWISE,
        CloudErrorKind.OPERATION_FORBIDDEN,
        CloudErrorKind.AUTHENTICATION,
        CloudErrorKind.TOKEN_REFUSED,
        CloudErrorKind.CLOCK_DIFFERS,
    }
)
# Texts of Key Vault and Entra about times (docs/azure.md#clocks).
_IS_ABOUT_TIME = re.compile(
    r"not yet valid|expired|expiration|lifetime|time range|validity|\bnbf\b|\bexp\b|days before|S2S12086|IDX1022\d",
    re.IGNORECASE,
)


def explain(failure: CloudError, text: str, *, access: CredentialAccess, vault_url: str) -> CloudError:
    """Return a refusal with what is known of the clocks.

    Args:
        failure: the refusal in neutral terms.
        text: what the service said.
        access: the credential it was refused to.
        vault_url: the vault that was asked, "" for none.

    """
    if failure.kind not in _MAY_BE_ABOUT_TIME:
        return failure
    is_about_time = failure.kind == CloudErrorKind.CLOCK_DIFFERS or _IS_ABOUT_TIME.search(text) is not None
    said = _sentence(access, vault_url, needs_certainty=not is_about_time)
    if not said:
        return failure
    # A policy's refusal keeps its kind: a push then asks for a KEK of another shape.
    if is_about_time and failure.kind != CloudErrorKind.REFUSED_OTHERWISE:
        kind, what, remedy = CloudErrorKind.CLOCK_DIFFERS, f"{said} {failure.what}", clocks.remedy()
    else:
        kind, what, remedy = failure.kind, f"{failure.what} {said}", f"{failure.remedy} {clocks.remedy()}"
    return CloudError(kind, what, remedy, request_id=failure.request_id, http_status=failure.http_status)


def _sentence(access: CredentialAccess, vault_url: str, *, needs_certainty: bool) -> str:
    """Return the difference from the vault's clock, or from Entra's, as a sentence; "" when there is none to speak of."""
    for service, url, whose in (
        (AskedService.VAULT, vault_url, clocks.the_vaults()),
        (AskedService.SIGN_IN, endpoints_of(access).authority, _("Entra's")),
    ):
        found = service_clock.difference(service, url)
        if found is not None and clocks.is_too_large(found.value) and (found.is_certain or not needs_certainty):
            return clocks.describe(found.value, whose)
    return ""
