"""The checkpoint key signs checkpoints of the log, hand-overs and backups, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.checkpoint_signing import BACKUP_PREFIX, CHECKPOINT_PREFIX
from kmes.core.errors import DeviceError


@pytest.fixture(autouse=True)
def _no_database(settings, db):
    settings.KMES_ALLOW_DEVICE_IN_TRANSACTION = True


def test_a_checkpoint_is_signed_by_a_key_that_never_left_the_token(device):
    text = CHECKPOINT_PREFIX + b"number 1\n"
    signature = device.sign_checkpoint(text)
    public = serialization.load_der_public_key(device.checkpoint_public_spki())
    public.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    assert public.curve.name == "secp256r1"


@pytest.mark.parametrize("text", [b"", b"anything else", b" " + CHECKPOINT_PREFIX, CHECKPOINT_PREFIX.rstrip()])
def test_nothing_else_is_signed(device, text):
    with pytest.raises(DeviceError) as refusal:
        device.sign_checkpoint(text)
    assert refusal.value.code == "not_a_checkpoint"


@pytest.mark.parametrize("text", [b"", CHECKPOINT_PREFIX + b"number 1\n", b" " + BACKUP_PREFIX, BACKUP_PREFIX.rstrip()])
def test_a_text_that_is_no_backup_is_not_signed_as_one(device, text):
    with pytest.raises(DeviceError) as refusal:
        device.sign_backup(text)
    assert refusal.value.code == "not_a_backup"


def test_a_backup_is_not_signed_as_a_checkpoint(device):
    with pytest.raises(DeviceError):
        device.sign_checkpoint(BACKUP_PREFIX + b"manifest\n")
