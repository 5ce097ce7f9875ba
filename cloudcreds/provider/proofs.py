"""How a credential proves at sign-in that it is the application: one type for each way. Holds no SDK and opens nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from kmes.core.secret_types import SecretText


@dataclass(frozen=True)
class ClientSecret:
    """A secret that both sides know."""

    secret: SecretText

    @property
    def mark(self) -> str:
        """Return what tells this proof from others. A hash stands for the secret, so that no clear text lies in a table."""
        return "secret:" + hashlib.sha256(self.secret.reveal().encode()).hexdigest()


@dataclass(frozen=True)
class CertificateSignature:
    """The private key of a registered certificate. ``sign`` returns an assertion for the address of a token endpoint."""

    thumbprint_sha256: str
    sign: Callable[[str], SecretText]

    @property
    def mark(self) -> str:
        """Return what tells this proof from others."""
        return f"certificate:{self.thumbprint_sha256}"


@dataclass(frozen=True)
class FederatedToken:
    """A token of an issuer that the application trusts, in the file that the installation names."""

    @property
    def mark(self) -> str:
        """Return what tells this proof from others."""
        return "federation"


@dataclass(frozen=True)
class HostIdentity:
    """The host itself: the cloud gives tokens to whatever runs on it."""

    @property
    def mark(self) -> str:
        """Return what tells this proof from others."""
        return "managed identity"


Proof = ClientSecret | CertificateSignature | FederatedToken | HostIdentity
