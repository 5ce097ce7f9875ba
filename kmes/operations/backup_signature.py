"""The signature of a backup: the second file of the archive, made by the device with its checkpoint key.

The signed text names the SHA-256 of the manifest, and the manifest names that of every part. The first line of the
text names the version of the format; the format of a version must never change.
"""

from __future__ import annotations

import hashlib
import re

from django.utils.translation import gettext as _

from hsm.device import get_device
from kmes.core.errors import DeviceError
from kmes.core.public_keys import fingerprint
from kmes.operations.manifest import BackupError
from logging_reports.anchors import Anchor, AnchorError, read_anchor, verify_signature

FORMAT = "kmes-backup/v1"
NAME = "manifest.sig"
HIGHEST_BYTES = 4096
_TEXT = re.compile(
    rf"{re.escape(FORMAT)}\nmanifest sha256:(?P<manifest>[0-9a-f]{{64}})\nkey sha256:(?P<key>[0-9a-f]{{64}})\n"
)


def write_text(manifest: bytes, key: str) -> str:
    """Return the text that is signed. ``key`` is the fingerprint (hex) of the signing key."""
    return f"{FORMAT}\nmanifest sha256:{hashlib.sha256(manifest).hexdigest()}\nkey sha256:{key}\n"


def sign(manifest: bytes) -> bytes:
    """Let the device sign a manifest. Return the content of the signature's file, spelled like an anchor of the log.

    Raises:
        BackupError: the device can't be reached, or can't sign.

    """
    try:
        device = get_device()
        public_key = device.checkpoint_public_spki()
        text = write_text(manifest, fingerprint(public_key))
        signature = device.sign_backup(text.encode())
    except DeviceError as error:
        raise BackupError(
            _("The backup can't be signed, because the device can't be used: %(what)s") % {"what": error.what},
            _(
                "Run the command where the device is, as a user who may use it. In an emergency add --unsigned;"
                " restore then demands --accept-unsigned."
            ),
        ) from error
    return Anchor(text, signature, public_key).to_file().encode()


def verify(content: bytes, manifest: bytes) -> str:
    """Check the signature's file against the manifest. Return the fingerprint (hex) of the key that signed.

    Whether that key is trusted is for the caller to decide.

    Raises:
        BackupError: it is no signature, is of another manifest, or is wrong.

    """
    try:
        signed = read_anchor(content.decode("ascii"))
        found = _TEXT.fullmatch(signed.text)
        if found is None:
            raise AnchorError("it is not the text of a backup")
        if found["key"] != fingerprint(signed.public_key):
            raise AnchorError("the public key is not the one that the text names")
        verify_signature(signed.public_key, signed.signature, signed.text)
        if found["manifest"] != hashlib.sha256(manifest).hexdigest():
            raise AnchorError("it belongs to another manifest")
    except (AnchorError, UnicodeDecodeError) as error:
        raise BackupError(
            _("The signature of the backup is not genuine: %(reason)s.") % {"reason": error},
            _("Nothing was restored. The file was damaged or forged; keep it as evidence, and take another backup."),
        ) from error
    return found["key"]
