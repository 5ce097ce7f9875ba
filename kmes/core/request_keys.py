"""The keys with which processes sign what they ask for, in files outside the database.

=====================================  ======  ==================  ===================================
file                                   mode    to be owned by      holds
=====================================  ======  ==================  ===================================
``KMES_REQUEST_KEYS_DIR/web/key.pem``  0600    the web process     its private half (Ed25519, PKCS#8)
``…/worker/key.pem``                   0600    the cloud worker    its private half
``KMES_REQUEST_SIGNERS_FILE``          0644    whoever sets it up  the public halves that are accepted
=====================================  ======  ==================  ===================================

The folder of each private half has mode 0700 and the same owner. A process needs its own private half, and web and
worker need the file of public halves; beat and the report worker ask for nothing, and need neither. Set-up makes the
files: ``make run``, the service ``secrets`` of docker-compose.yml, or ``manage.py make_request_keys``.
This module reads no settings, so that set-up can use it before there are any (signing:
``kmes.core.request_signatures``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_PUBLIC = re.compile(r"[0-9a-f]{64}")


class Signer(StrEnum):
    """The processes that ask for jobs. Files and rows hold the values."""

    WEB = "web"
    WORKER = "worker"


def default_signers_file(folder: Path) -> Path:
    """Return the file of public halves that belongs to a folder of private ones."""
    return folder / "public.json"


def private_file(folder: Path, signer: Signer) -> Path:
    """Return the file of a process's private half."""
    return folder / signer / "key.pem"


def make_request_keys(folder: Path, signers: Path, *, replace: Collection[Signer] = ()) -> list[Signer]:
    """Make each process's key that is missing, and record its public half. Return whose keys are new.

    ``replace`` makes new keys for these processes, and forgets their former public halves: what they signed is
    accepted no more.

    Raises:
        OSError: a file can't be read or written.
        ValueError: a file is not what it should be.

    """
    known = read_signers(signers) if signers.exists() else {}
    accepted, made = {name: list(keys) for name, keys in known.items()}, []
    for signer in Signer:
        path = private_file(folder, signer)
        if signer in replace:
            accepted.pop(signer, None)
        if signer in replace or not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, _new_private_half(), mode=0o600)
            made.append(signer)
        public = load_private_half(path).public_key().public_bytes_raw().hex()
        keys = accepted.setdefault(signer, [])
        if public not in keys:
            keys.append(public)
    if accepted != known:
        signers.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _write(signers, (json.dumps(accepted, indent=1) + "\n").encode(), mode=0o644)
    return made


def load_private_half(path: Path) -> Ed25519PrivateKey:
    """Read a private half.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds no Ed25519 key.

    """
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path} holds no Ed25519 key"
        raise ValueError(message)  # noqa: TRY004 - the file's content is wrong, not a type
    return key


def read_signers(path: Path) -> dict[str, list[str]]:
    """Read the public halves that are accepted (32 bytes in hex), by process.

    Raises:
        OSError: the file can't be read.
        ValueError: it is not a file of public halves.

    """
    content = json.loads(path.read_bytes())
    message = f"{path} is no file of public keys"
    if not isinstance(content, dict):
        raise ValueError(message)  # noqa: TRY004
    for keys in content.values():
        if not isinstance(keys, list) or not all(isinstance(key, str) and _PUBLIC.fullmatch(key) for key in keys):
            raise ValueError(message)
    return content


def load_public_half(text: str) -> Ed25519PublicKey:
    """Return a public half as the file holds it."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))


def _new_private_half() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is at no moment half there or readable by others than its mode says."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    aside.chmod(mode)
    aside.replace(path)
