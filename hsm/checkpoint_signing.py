"""Checkpoints of the log, hand-overs of their key, and backups, signed in the device with its checkpoint key.

The first line of a text says which of them it is. The key signs nothing else: a worker that was taken over must not
get another text signed in the device's name.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from hsm.keys import canonical_spki
from hsm.major_keys import find_checkpoint_key
from hsm.signatures import sign_and_verify
from kmes.core.errors import DeviceError

CHECKPOINT_PREFIX = b"kmes-checkpoint/v1\n"
HANDOVER_PREFIX = b"kmes-handover/v1\n"
BACKUP_PREFIX = b"kmes-backup/v1\n"


def sign_checkpoint(session: Any, text: bytes) -> bytes:
    """Return the signature as DER (RFC 3279).

    Raises:
        DeviceError: the text is not a checkpoint (code ``not_a_checkpoint``), the token has no checkpoint
            key (``major_keys``), or its signature does not verify (``device_failed``).

    """
    if not text.startswith(CHECKPOINT_PREFIX):
        raise DeviceError(_("The checkpoint key signs checkpoints of the log only."), code="not_a_checkpoint")
    return _sign(session, text)


def sign_handover(session: Any, text: bytes) -> bytes:
    """Return the signature of a hand-over to another checkpoint key, as DER (RFC 3279).

    Raises:
        DeviceError: as ``sign_checkpoint``; the text is not a hand-over (code ``not_a_handover``).

    """
    if not text.startswith(HANDOVER_PREFIX):
        raise DeviceError(_("The text is not a hand-over of the checkpoint key."), code="not_a_handover")
    return _sign(session, text)


def sign_backup(session: Any, text: bytes) -> bytes:
    """Return the signature of a backup's text, as DER (RFC 3279).

    Raises:
        DeviceError: as ``sign_checkpoint``; the text is not a backup's (code ``not_a_backup``).

    """
    if not text.startswith(BACKUP_PREFIX):
        raise DeviceError(_("The text is not that of a backup."), code="not_a_backup")
    return _sign(session, text)


def _sign(session: Any, text: bytes) -> bytes:
    private, found = find_checkpoint_key(session)
    return sign_and_verify(private, canonical_spki(found), text)


def checkpoint_public_spki(session: Any) -> bytes:
    """Return the checkpoint key's public half as DER SubjectPublicKeyInfo."""
    return canonical_spki(find_checkpoint_key(session)[1])
