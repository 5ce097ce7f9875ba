"""The public keys that this installation trusts, by fingerprint, in a file outside the database.

The database holds public halves too. Whoever can write to it could exchange them, so each is compared with this
file before it is used. ``manage.py hsm_init`` writes the file where the device is; every other process only reads it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from kmes.core.errors import KmesError
from kmes.core.private_files import write_private
from kmes.core.public_keys import fingerprint

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class KeyUse(StrEnum):
    """What a pinned key is for. The file holds the values."""

    # Secrets are sealed for it.
    MFK = "mfk"
    # It signs the checkpoints of the log, and backups.
    CHECKPOINT = "checkpoint"


class PinnedKeysError(KmesError):
    """The file of pinned keys can't be read or written."""

    code = "pinned_keys"


def read_pinned(use: KeyUse) -> tuple[str, ...]:
    """Return the SHA-256 fingerprints (hex) of the keys pinned for a use, in the order they were pinned.

    Empty where nothing was pinned yet.

    Raises:
        PinnedKeysError: the file exists, but can't be read or is not a file of pinned keys.

    """
    return tuple(_read(settings.KMES_PINNED_KEYS_FILE).get(use.value, ()))


def read_file(path: Path, use: KeyUse) -> tuple[str, ...]:
    """Return the fingerprints for a use in the file of pinned keys of another installation.

    Raises:
        PinnedKeysError: there is no such file, it can't be read, or it names no key for this use.

    """
    found = tuple(_read(path).get(use.value, ()))
    if not found:
        raise PinnedKeysError(
            _("%(path)s is not a file of pinned keys, or has no key of this kind.") % {"path": path},
            _("Name a copy of the other installation's file, or the fingerprint that its hsm_init printed."),
        )
    return found


def is_pinned(use: KeyUse, public_spki: bytes) -> bool:
    """Return whether a public key (DER SubjectPublicKeyInfo) is pinned for a use.

    Raises:
        PinnedKeysError: the file can't be read.

    """
    return fingerprint(public_spki) in read_pinned(use)


def pin(keys: dict[KeyUse, str]) -> list[str]:
    """Add keys, by their SHA-256 fingerprints (hex), to the pinned ones. Return the fingerprints that are new.

    Raises:
        PinnedKeysError: the file can't be read or written.

    """
    path: Path = settings.KMES_PINNED_KEYS_FILE
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Root runs this too, in a folder of the worker's user: no link is followed.
        lock_file = path.with_name(f".{path.name}.lock")
        with os.fdopen(os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = _read(path)
            added = []
            for use, text in keys.items():
                known = content.setdefault(use.value, [])
                if text not in known:
                    known.append(text)
                    added.append(text)
            if added:
                _write(path, content)
    except OSError as error:
        raise PinnedKeysError(
            _("The pinned keys can't be written to %(path)s: %(reason)s.")
            % {"path": path, "reason": error.strerror or error},
            _("Check the folder's owner and mode, or name another file in KMES_PINNED_KEYS_FILE."),
        ) from error
    return added


def _read(path: Path) -> dict[str, list[str]]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(content, dict):
        raise _unreadable(path)
    for keys in content.values():
        if not isinstance(keys, list) or not all(isinstance(key, str) and _FINGERPRINT.fullmatch(key) for key in keys):
            raise _unreadable(path)
    return content


def _write(path: Path, content: dict[str, list[str]]) -> None:
    # Public keys are no secret, and the web process may run as another user.
    write_private(path, json.dumps(content, indent=1) + "\n", mode=0o644)


def _unreadable(path: Path) -> PinnedKeysError:
    return PinnedKeysError(
        _("The file of pinned keys %(path)s can't be read.") % {"path": path},
        _("Check its content and mode; if it is damaged, move it away and run manage.py hsm_init where the device is."),
    )
