"""A checkpoint key of the tests' own: the log must take any P-256 key, wherever it lives."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kmes.core.pinned_keys import KeyUse, pin
from kmes.core.public_keys import fingerprint
from logging_reports import checkpoints
from logging_reports.anchors import Anchor
from logging_reports.offline import verify_lines


class Signer:
    """Signs as a device would. Its key is pinned, as ``hsm_init`` does it, unless it is a stranger's."""

    def __init__(self, *, is_pinned=True):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = fingerprint(self.public_key)
        if is_pinned:
            pin({KeyUse.CHECKPOINT: self.key})

    def sign(self, text: str) -> bytes:
        return self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))

    def make_checkpoint(self):
        """Draft, sign and keep the next checkpoint."""
        draft = checkpoints.prepare(self.public_key)
        if draft is None or not draft.text:
            return None
        return checkpoints.store(Anchor(draft.text, self.sign(draft.text), self.public_key))


def verify_export(lines, *, is_filtered=False):
    """Verify lines of an export against a checkpoint that is signed now."""
    signer = Signer()
    anchor = signer.make_checkpoint().anchor.verify()
    whole = [line.removesuffix("\n") + "\n" for line in lines]
    return verify_lines(whole, anchor=anchor, keys=[signer.key], is_filtered=is_filtered)


def write_evidence(folder):
    """Write a checkpoint that is signed now into a file. Return the arguments of the offline verifier."""
    signer, path = Signer(), folder / "anchor.txt"
    path.write_text(signer.make_checkpoint().anchor.to_file())
    return ["--anchor", str(path), "--key", signer.key]
