"""A client of Key Vault of our own making: plain HTTPS, no SDK, nothing shared with the product.

What the demo's proof and the bench's bare script speak to the vault with. Knows the few calls they
need (REST reference of Key Vault keys, api-version 7.4) and keeps one connection open.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

API_VERSION = "7.4"
TIMEOUT_SECONDS = 30.0


class VaultError(Exception):
    """The vault or its token endpoint answered no; the text holds status and body."""


def encode(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class VaultClient:
    """One connection to one vault, signed in as one client."""

    def __init__(self, url: str, *, ca_file: Path) -> None:
        self.url = url.rstrip("/")
        self._ca_file = ca_file
        self._connection = self._connect(self.url)
        self._token = ""

    def sign_in(self, authority: str, *, tenant: str, client: str, secret: str) -> None:
        """Fetch a token by client credentials (RFC 6749, section 4.4).

        Raises VaultError when the authority refuses.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "scope": "https://vault.azure.net/.default",
        }
        connection = self._connect(authority)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", f"/{tenant}/oauth2/v2.0/token", urllib.parse.urlencode(form), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise VaultError(f"{answer.status} {body}")
        self._token = body["access_token"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Make one call below the vault's address; returns the JSON answer, None for an empty one.

        Raises VaultError when the vault refuses.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        self._connection.request(method, f"{path}?api-version={API_VERSION}", data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise VaultError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None

    def key(self, name: str) -> dict[str, Any]:
        """Return the newest version of a key."""
        found: dict[str, Any] = self.call("GET", f"/keys/{name}")
        return found

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Return the first page of a key's versions."""
        found: list[dict[str, Any]] = self.call("GET", f"/keys/{name}/versions")["value"]
        return found

    def sign(self, key_id: str, algorithm: str, digest: bytes) -> bytes:
        """Let the vault sign a digest with one version; returns the raw signature."""
        path = urllib.parse.urlsplit(key_id).path
        return decode(self.call("POST", f"{path}/sign", {"alg": algorithm, "value": encode(digest)})["value"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self, url: str) -> http.client.HTTPSConnection:
        place = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=str(self._ca_file))
        return http.client.HTTPSConnection(
            place.hostname or "", place.port or 443, timeout=TIMEOUT_SECONDS, context=context
        )
