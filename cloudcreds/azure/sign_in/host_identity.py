"""Where a managed identity asks for tokens: an address that only the worker's host can reach, never one from a form.

Two forms (docs/azure.md#ways-to-sign-in): App Service and Container Apps name theirs in the environment, with a header that
proves the caller; a virtual machine has the fixed address of its metadata service.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from kmes.core.known_secrets import remember

METADATA_PATH = "/metadata/identity/oauth2/token"


@dataclass(frozen=True)
class TokenEndpoint:
    """Where tokens are given out, without query, and what a request must carry."""

    url: str
    api_version: str
    headers: tuple[tuple[str, str], ...]


def find_token_endpoint() -> TokenEndpoint:
    """Return the endpoint of this host.

    Raises:
        CloudError: the platform offers a form that is not supported (kind ``no_managed_identity``).

    """
    named, header = os.environ.get("IDENTITY_ENDPOINT", ""), os.environ.get("IDENTITY_HEADER", "")
    if not named:
        return TokenEndpoint(settings.KMES_METADATA_URL + METADATA_PATH, "2018-02-01", (("Metadata", "true"),))
    if not header or "IDENTITY_SERVER_THUMBPRINT" in os.environ or not _is_plain(named):
        # Azure Arc names no header, Service Fabric a thumbprint: both ask for other proofs.
        raise CloudError(
            CloudErrorKind.NO_MANAGED_IDENTITY,
            _("This host offers managed identities in a way that is not supported."),
            _(
                "Run the cloud worker on a virtual machine, App Service or Container Apps, or sign in with a certificate."
            ),
        )
    remember(header)
    return TokenEndpoint(named, "2019-08-01", (("X-IDENTITY-HEADER", header),))


def _is_plain(url: str) -> bool:
    """Return whether an address has a host and nothing that could lead a request elsewhere."""
    parts = urlsplit(url)
    has_more = "@" in parts.netloc or parts.query or parts.fragment
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not has_more
