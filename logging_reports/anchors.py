"""The text of a signed checkpoint: where each log ended at a moment, signed by the device.

Defines the format and checks signatures. Reads no database and needs no Django, so that an auditor
can use it anywhere (``python -m logging_reports.offline``). The first line names the version of the
format; the format of a version must never change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FORMAT = "kmes-checkpoint/v1"
NO_CHECKPOINT = "0" * 64
_HASH = "[0-9a-f]{64}"
_TEXT = re.compile(
    rf"{re.escape(FORMAT)}\n"
    r"number (?P<number>[1-9][0-9]{0,17})\n"
    r"at (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)\n"
    rf"key sha256:(?P<key>{_HASH})\n"
    rf"previous (?P<previous>{_HASH})\n"
    rf"(?P<logs>(?:log [a-z]+ (?:0|[1-9][0-9]{{0,17}}) {_HASH}\n)+)"
)
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class AnchorError(ValueError):
    """The text is not a checkpoint, or its signature is wrong; the message says which."""


@dataclass(frozen=True)
class Position:
    """Where one log ended: the sequence of its last row (0 for an empty log) and that row's hash."""

    service: str
    sequence: int
    hash: str


@dataclass(frozen=True)
class Statement:
    """What a checkpoint says. ``key`` is the SHA-256 (hex) of the signing key's public half."""

    number: int
    at: datetime
    key: str
    previous_hash: str
    positions: tuple[Position, ...]

    def to_text(self) -> str:
        """Return the exact text that is signed."""
        lines = [FORMAT, f"number {self.number}", f"at {self.at.astimezone(UTC).strftime(_TIME)}"]
        lines += [f"key sha256:{self.key}", f"previous {self.previous_hash}"]
        lines += [f"log {position.service} {position.sequence} {position.hash}" for position in self.positions]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> str:
        """Return the SHA-256 (hex) of the text, which the next checkpoint names."""
        return hash_text(self.to_text())


@dataclass(frozen=True)
class Anchor:
    """A signed checkpoint on its own: text, signature (DER) and public key (DER SubjectPublicKeyInfo)."""

    text: str
    signature: bytes
    public_key: bytes

    def to_file(self) -> str:
        """Return the content of the file that an auditor keeps."""
        signature, key = base64.b64encode(self.signature).decode(), base64.b64encode(self.public_key).decode()
        return f"{self.text}\nsignature {signature}\npublic-key {key}\n"

    def verify(self) -> Statement:
        """Check the signature and return what the checkpoint says.

        Raises:
            AnchorError: the text is not a checkpoint, names another key, or its signature is wrong.

        """
        statement = read_statement(self.text)
        if hash_public_key(self.public_key) != statement.key:
            raise AnchorError("the public key is not the one the checkpoint names")
        verify_signature(self.public_key, self.signature, self.text)
        return statement


def verify_signature(public_key: bytes, signature: bytes, text: str) -> None:
    """Check an ECDSA signature with SHA-256 (DER) under a public key (DER SubjectPublicKeyInfo).

    Raises:
        AnchorError: the signature is wrong, or the key is not an elliptic-curve key.

    """
    try:
        public = serialization.load_der_public_key(public_key)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise AnchorError("the public key is not an elliptic-curve key")
        public.verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise AnchorError(str(error) or "the signature is wrong") from error


def hash_public_key(public_key: bytes) -> str:
    """Return the SHA-256 (hex) of a public key's DER SubjectPublicKeyInfo."""
    return hashlib.sha256(public_key).hexdigest()


def hash_text(text: str) -> str:
    """Return the SHA-256 (hex) of a checkpoint's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_statement(text: str) -> Statement:
    """Read a checkpoint's text. There is exactly one valid spelling.

    Raises:
        AnchorError: the text is not a checkpoint.

    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise AnchorError("this is not a checkpoint of the log")
    lines = (line.split(" ") for line in found["logs"].splitlines())
    positions = tuple(Position(service, int(sequence), value) for _log, service, sequence, value in lines)
    services = [position.service for position in positions]
    if services != sorted(set(services)):
        raise AnchorError("the checkpoint does not name each log once and in order")
    try:
        at = datetime.strptime(found["at"], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise AnchorError("the checkpoint's time is not a time") from error
    return Statement(int(found["number"]), at, found["key"], found["previous"], positions)


def read_anchor(content: str) -> Anchor:
    """Read an anchor file.

    Raises:
        AnchorError: the content is not an anchor.

    """
    found = re.fullmatch(r"(.+\n)\nsignature ([A-Za-z0-9+/=]+)\npublic-key ([A-Za-z0-9+/=]+)\n?", content, re.DOTALL)
    if found is None:
        raise AnchorError("this is not an anchor file")
    try:
        signature, key = (base64.b64decode(part, validate=True) for part in found.groups()[1:])
    except binascii.Error as error:
        raise AnchorError("the anchor's signature or key is not base64") from error
    anchor = Anchor(found[1], signature, key)
    # Base64 can spell the same bytes in several ways. Only the spelling of ``to_file`` is valid.
    if anchor.to_file().rstrip("\n") != content.rstrip("\n"):
        raise AnchorError("the anchor is not as it was written")
    return anchor
