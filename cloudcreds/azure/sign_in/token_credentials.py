"""The token credential of each way to sign in, on guarded transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.identity import ClientAssertionCredential, ClientSecretCredential

from cloudcreds.azure.answers import AskedService, SignInPlace
from cloudcreds.azure.sign_in.federated_token import read_federated_token
from cloudcreds.azure.sign_in.host_identity import find_token_endpoint
from cloudcreds.azure.sign_in.managed_identity import ManagedIdentityToken
from cloudcreds.azure.transport import GuardedTransport, Way
from cloudcreds.provider.proofs import CertificateSignature, ClientSecret, FederatedToken
from cloudcreds.provider.types import CredentialAccess


class OwnTenant:
    """A credential of the SDK that signs in at its own tenant, however a challenge writes it: ``answers`` compared them."""

    def __init__(self, credential: ClientSecretCredential | ClientAssertionCredential) -> None:
        self._credential = credential

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,  # noqa: ARG002
        enable_cae: bool = False,
        **options: Any,
    ) -> AccessToken:
        """Return a token for a scope, with the claims that were asked for."""
        return self._credential.get_token(*scopes, claims=claims, enable_cae=enable_cae, **options)

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Return the same with more of what is known of the token."""
        own = {name: value for name, value in (options or {}).items() if name != "tenant_id"}
        return self._credential.get_token_info(*scopes, options=cast("TokenRequestOptions", own))


TokenCredential = OwnTenant | ManagedIdentityToken


def token_endpoint(authority: str, tenant_id: str) -> str:
    """Return the address at which a tenant gives out tokens; assertions name it as their audience."""
    return f"{authority}/{tenant_id}/oauth2/v2.0/token"


def make_token_credential(
    access: CredentialAccess,
    *,
    authority: str,
    tenant_id: str,
    transport: Callable[[], GuardedTransport],
    options: dict[str, Any],
) -> TokenCredential:
    """Return the credential, which keeps tokens in memory and renews them.

    Args:
        access: the credential with its proof.
        authority: where its cloud signs in.
        tenant_id: the tenant's GUID.
        transport: makes the transport to the authority.
        options: what every client of the SDK is told.

    Raises:
        CloudError: the host's managed identity is of an unsupported form (kind ``no_managed_identity``).

    """
    proof = access.proof
    if isinstance(proof, ClientSecret):
        return OwnTenant(
            ClientSecretCredential(
                tenant_id,
                access.client_id,
                proof.secret.reveal(),
                authority=authority,
                # The allow-list of the transport takes its place, also for clouds that a discovery elsewhere doesn't know.
                disable_instance_discovery=True,
                transport=transport(),
                **options,
            )
        )
    if isinstance(proof, CertificateSignature):
        audience, sign = token_endpoint(authority, tenant_id), proof.sign

        def make_assertion() -> str:
            return sign(audience).reveal()
    elif isinstance(proof, FederatedToken):

        def make_assertion() -> str:
            return read_federated_token().reveal()
    else:
        return _managed_identity(access)
    return OwnTenant(
        ClientAssertionCredential(
            tenant_id, access.client_id, make_assertion, authority=authority, transport=transport(), **options
        )
    )


def _managed_identity(access: CredentialAccess) -> ManagedIdentityToken:
    endpoint = find_token_endpoint()
    way = Way(AskedService.MANAGED_IDENTITY, frozenset({endpoint.url}), SignInPlace(frozenset(), "", ""), access.cloud)
    return ManagedIdentityToken(endpoint, access.client_id, GuardedTransport(way))
