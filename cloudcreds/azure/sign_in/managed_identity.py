"""The token credential of a managed identity.

The SDK's own is not used: it chooses among the forms of five platforms by the environment, one of which reads files that
an answer names, and it hides what went wrong. This one makes one request, to one address.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import HttpRequest
from django.utils.translation import gettext as _

from cloudcreds.azure.sign_in.host_identity import TokenEndpoint
from cloudcreds.azure.transport import GuardedTransport
from cloudcreds.provider.errors import CloudError, CloudErrorKind

# The SDK's policies ask for another token from then on.
RENEWED_BEFORE_SECONDS = 300


class ManagedIdentityToken:
    """``azure.core.credentials.TokenCredential`` of the host, or of the identity with a client id assigned to it."""

    def __init__(self, endpoint: TokenEndpoint, client_id: str, transport: GuardedTransport) -> None:
        self._endpoint, self._client_id, self._transport = endpoint, client_id, transport
        self._lock = threading.Lock()
        self._kept: dict[str, AccessToken] = {}

    def get_token(self, *scopes: str, claims: str | None = None, **_options: Any) -> AccessToken:
        """Return a token for a scope; tokens are kept in memory until shortly before they expire.

        With claims the kept one was withdrawn, so another is asked for.

        Raises:
            CloudError: the host does not know the identity (kind ``unknown_identity``).
            ClientAuthenticationError: Entra refused it, by a code.
            TransportError: no answer came that can be believed.

        """
        resource = scopes[0].removesuffix("/.default")
        with self._lock:
            kept = self._kept.get(resource)
            if kept is None or claims or kept.expires_on - time.time() < RENEWED_BEFORE_SECONDS:
                kept = self._kept[resource] = self._ask(resource)
            return kept

    def _ask(self, resource: str) -> AccessToken:
        request = HttpRequest("GET", self._endpoint.url, headers=dict(self._endpoint.headers))
        query = {"api-version": self._endpoint.api_version, "resource": resource}
        request.format_parameters(query | ({"client_id": self._client_id} if self._client_id else {}))
        response = self._transport.send(request)
        document = json.loads(response.body())
        if response.status_code != 200:
            # The metadata service passes on what Entra said.
            code = re.search(r"AADSTS\d+", str(document.get("error_description", "")))
            raise ClientAuthenticationError(message=code.group()) if code else _refused(self._client_id)
        return AccessToken(document["access_token"], int(document["expires_on"]))


def _refused(client_id: str) -> CloudError:
    what = (
        _("The worker's host has no managed identity with the client id %(client)s.") % {"client": client_id}
        if client_id
        else _("The worker's host has no managed identity of its own.")
    )
    return CloudError(
        CloudErrorKind.UNKNOWN_IDENTITY,
        what,
        _(
            "It is tried again: the host knows a new assignment after some minutes. If there is none, assign the"
            " identity to the host in Azure, or correct Client ID in the cloud credential."
        ),
        http_status=400,
    )
