"""Files with a random key, made once. This module reads no settings, so that set-up can use it before there are any."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

KEY_BYTES = 32


def make_key(path: Path) -> bool:
    """Make a key of 32 random bytes for its owner alone, if there is none. Return whether it is new.

    Raises:
        OSError: it can't be written.

    """
    if path.exists():
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written aside and linked, so that two processes agree on one key.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        target.write(secrets.token_bytes(KEY_BYTES))
        target.flush()
        os.fsync(target.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    return True
