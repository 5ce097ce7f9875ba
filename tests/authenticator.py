"""An authenticator in software, and the browser in front of it, after WebAuthn, level 3; written without the library that checks it.

It refuses what a real one refuses: another site's domain, a short challenge, an algorithm it lacks. What an attacker's
own software would do instead stands in the arguments of ``create`` and ``get``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
ES256, EDDSA, RS256 = -7, -8, -257


class Refused(Exception):
    """The browser or the authenticator does not do it; the name is that of the error that a page sees."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: Any) -> bytes:
    """Encode what authenticators send (RFC 8949): integers, byte and text strings, maps."""

    def head(kind: int, size: int) -> bytes:
        if size < 24:
            return bytes([kind << 5 | size])
        form = next(code for code, most in ((24, 1), (25, 2), (26, 4)) if size < 256**most)
        return bytes([kind << 5 | form]) + size.to_bytes({24: 1, 25: 2, 26: 4}[form], "big")

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    assert isinstance(value, dict)
    return head(5, len(value)) + b"".join(cbor(key) + cbor(each) for key, each in value.items())


@dataclass
class Credential:
    id: bytes
    key: Any
    algorithm: int
    domain: str
    handle: bytes
    count: int = 0

    def public(self) -> dict[int, Any]:
        """Return the public key as COSE has it (RFC 9053)."""
        if self.algorithm == ES256:
            numbers = self.key.public_key().public_numbers()
            return {1: 2, 3: ES256, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        if self.algorithm == EDDSA:
            return {1: 1, 3: EDDSA, -1: 6, -2: self.key.public_key().public_bytes_raw()}
        numbers = self.key.public_key().public_numbers()
        return {1: 3, 3: RS256, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}

    def sign(self, data: bytes) -> bytes:
        if self.algorithm == ES256:
            return self.key.sign(data, ec.ECDSA(SHA256()))
        if self.algorithm == EDDSA:
            return self.key.sign(data)
        return self.key.sign(data, padding.PKCS1v15(), SHA256())


@dataclass
class Authenticator:
    """Holds passkeys. ``counts``: with a counter, as security keys do; ``is_synced``: without, as phones do."""

    algorithm: int = ES256
    counts: bool = True
    is_synced: bool = False
    held: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any], *, origin: str, **odd: Any) -> str:
        """Make a passkey as the options ask; returns what the browser sends."""
        domain = self._domain(options["rp"]["id"], origin, odd)
        if options["authenticatorSelection"]["userVerification"] != "required":
            raise Refused("this person wants to be verified")
        if self.algorithm not in [each["alg"] for each in options["pubKeyCredParams"]]:
            raise Refused("NotSupportedError")
        excluded = [from_b64(each["id"]) for each in options.get("excludeCredentials") or []]
        if any(each.id in excluded for each in self.held):
            raise Refused("InvalidStateError")
        made = Credential(
            secrets.token_bytes(32), self._make_key(), self.algorithm, domain, from_b64(options["user"]["id"])
        )
        self.held.append(made)
        data = odd.get("public") or cbor(made.public())
        attested = bytes(16) + struct.pack(">H", len(made.id)) + made.id + data
        client = self._client_data("webauthn.create", options, origin, odd)
        auth = self._auth_data(made, AT, odd) + attested
        attestation = cbor({"fmt": "none", "attStmt": {}, "authData": auth})
        return self._answer(made, {"clientDataJSON": b64(client), "attestationObject": b64(attestation)})

    def get(self, options: dict[str, Any], *, origin: str, **odd: Any) -> str:
        """Sign the challenge with a passkey that the options allow."""
        domain = self._domain(options["rpId"], origin, odd)
        allowed = [from_b64(each["id"]) for each in options.get("allowCredentials") or []]
        usable = [each for each in self.held if each.domain == domain and (each.id in allowed or not allowed)]
        chosen = odd.get("credential") or next(iter(usable), None)
        if chosen is None:
            raise Refused("NotAllowedError")
        if options["userVerification"] != "required":
            raise Refused("this person wants to be verified")
        client = self._client_data("webauthn.get", options, origin, odd)
        auth = self._auth_data(chosen, 0, odd)
        signature = chosen.sign(auth + hashlib.sha256(client).digest())
        response = {"clientDataJSON": b64(client), "authenticatorData": b64(auth), "signature": b64(signature)}
        handle = odd.get("handle", chosen.handle)
        return self._answer(chosen, {**response, **({"userHandle": b64(handle)} if handle is not None else {})})

    def _domain(self, domain: str, origin: str, odd: dict[str, Any]) -> str:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        is_own = host == domain or host.endswith(f".{domain}")
        is_secure = parts.scheme == "https" or host in {"localhost", "testserver"}
        if not (is_own and is_secure) and not odd.get("ignores_site"):
            raise Refused("SecurityError")
        return domain

    def _client_data(self, kind: str, options: dict[str, Any], origin: str, odd: dict[str, Any]) -> bytes:
        if len(from_b64(options["challenge"])) < 16:
            raise Refused("a challenge that could be guessed")
        data = {"type": odd.get("type", kind), "challenge": options["challenge"], "origin": origin}
        return json.dumps({**data, "crossOrigin": odd.get("cross_origin", False)}).encode()

    def _auth_data(self, credential: Credential, more: int, odd: dict[str, Any]) -> bytes:
        credential.count += self.counts
        flags = odd.get("flags", UP | UV | (BE | BS if self.is_synced else 0)) | more
        count = odd.get("count", credential.count)
        return hashlib.sha256(credential.domain.encode()).digest() + struct.pack(">BI", flags, count)

    def _make_key(self) -> Any:
        if self.algorithm == ES256:
            return ec.generate_private_key(ec.SECP256R1())
        if self.algorithm == EDDSA:
            return ed25519.Ed25519PrivateKey.generate()
        return rsa.generate_private_key(65537, 2048)

    def _answer(self, credential: Credential, response: dict[str, str]) -> str:
        name = b64(credential.id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )
