"""Reads Django's signing key, for the settings; an embedded instance makes it on first use."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def read_secret_key(path: Path) -> str:
    """Return the signing key in a file, which is made unless the environment names it.

    An empty name means a key for the life of this process, which signs nothing that another one reads.

    Raises:
        ImproperlyConfigured: the environment names a file that does not exist.

    """
    if os.environ.get("KMES_SECRET_KEY_FILE") == "":
        return secrets.token_urlsafe(64)
    if not path.exists():
        if "KMES_SECRET_KEY_FILE" in os.environ:
            message = f"KMES_SECRET_KEY_FILE names {path}, which does not exist."
            raise ImproperlyConfigured(message)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Written aside and linked, so that two processes starting at once agree on one key.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
