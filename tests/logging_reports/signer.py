"""A checkpoint key of the tests' own: the log must take any P-256 key, wherever it lives."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from logging_reports import checkpoints
from logging_reports.anchors import Anchor


class Signer:
    """Signs as a device would."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, text: str) -> bytes:
        return self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))

    def make_checkpoint(self):
        """Draft, sign and keep the next checkpoint."""
        draft = checkpoints.prepare(self.public_key)
        if draft is None or not draft.text:
            return None
        return checkpoints.store(Anchor(draft.text, self.sign(draft.text), self.public_key))
