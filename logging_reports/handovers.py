"""Hand-overs: the key that signs the checkpoints names the one that follows it, in a signed text of one row.

Defines the text and checks its signature. Reads no database and needs no Django, like ``anchors``. The first line
names the version of the format; the format of a version must never change.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from logging_reports.anchors import AnchorError, hash_public_key, verify_signature

FORMAT = "kmes-handover/v1"
EVENT = "log.key_handed_over"
_TEXT = re.compile(
    rf"{re.escape(FORMAT)}\n"
    r"at [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\n"
    r"from sha256:(?P<old>[0-9a-f]{64})\n"
    r"to sha256:(?P<new>[0-9a-f]{64})\n"
)


@dataclass(frozen=True)
class Handover:
    """From which key to which, by the SHA-256 (hex) of their public halves."""

    old: str
    new: str


def write_text(*, at: str, old: str, new: str) -> str:
    """Return the text that the old key signs. ``at`` is ISO 8601 in UTC with microseconds and ``Z``."""
    return f"{FORMAT}\nat {at}\nfrom sha256:{old}\nto sha256:{new}\n"


def to_data(text: str, signature: bytes, public_key: bytes) -> dict[str, str]:
    """Return the ``data`` of the row: the text, its signature (DER) and the signing key (DER SubjectPublicKeyInfo)."""
    return {
        "text": text,
        "signature": base64.b64encode(signature).decode(),
        "signed_by": base64.b64encode(public_key).decode(),
    }


def read_handover(data: Any) -> Handover:
    """Check the ``data`` of a row and return what it says.

    Raises:
        AnchorError: it is no hand-over, or its signature is wrong.

    """
    try:
        text, signature, key = data["text"], data["signature"], data["signed_by"]
        found = _TEXT.fullmatch(text)
        signature, key = (base64.b64decode(part, validate=True) for part in (signature, key))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise AnchorError("this is not a hand-over of the checkpoint key") from error
    if found is None or hash_public_key(key) != found["old"]:
        raise AnchorError("this is not a hand-over of the checkpoint key")
    verify_signature(key, signature, text)
    return Handover(found["old"], found["new"])


def extend_trust(keys: Iterable[str], handovers: Iterable[Handover]) -> frozenset[str]:
    """Return the trusted keys and those that they handed over to, directly or through others."""
    trusted, waiting = set(keys), list(handovers)
    while reached := [each for each in waiting if each.old in trusted]:
        trusted.update(each.new for each in reached)
        waiting = [each for each in waiting if each not in reached]
    return frozenset(trusted)


def clean_fingerprint(text: str) -> str:
    """Return a fingerprint as it is compared: 64 hexadecimal digits.

    Raises:
        ValueError: it is none.

    """
    clean = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", clean):
        message = f"{text!r} is not a SHA-256 fingerprint of 64 hexadecimal digits"
        raise ValueError(message)
    return clean
