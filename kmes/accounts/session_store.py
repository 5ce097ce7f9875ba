"""The sessions of the console, as ``SESSION_ENGINE`` names them: Django's, in a table that says whose each is.

The table has a digest of a session's key, so whoever reads it or a backup can't continue a session. What a row holds is
signed for its digest: copied into another row it is no session. The columns repeat what the session itself holds, so
that sessions can be listed and ended. Only the session counts.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from kmes.accounts.models import ConsoleSession
from kmes.core.clock import now

# What a session notes about itself.
BEGAN, USED, ADDRESS, DEVICE = "kmes_session_began", "kmes_session_used", "kmes_session_address", "kmes_session_device"
# Of one that began at the identity provider: by what that one ends it, and how it says the user signed in.
SIGN_ON = "kmes_sign_on"


def digest_of(key: str | None) -> str:
    """Return what the table holds of a session's key. The key has 165 random bits, so a plain hash is enough."""
    return hashlib.sha256((key or "").encode()).hexdigest()


def name_of(key: str) -> str:
    """Return the name of a session that pages and log rows show: it can't be used to sign in."""
    return digest_of(key)[:32]


class SessionStore(DatabaseStore):
    """Django's sessions in the database, found by a digest of their key, with columns for lists."""

    @classmethod
    def get_model_class(cls) -> type[ConsoleSession]:
        """Return the table."""
        return ConsoleSession

    @property
    def key_salt(self) -> str:
        """Return what the signature of this session's content covers besides the content."""
        return ConsoleSession.salt_of(digest_of(self.session_key))

    def load(self) -> dict[str, Any]:
        """Return what the session holds; nothing for one that has ended, or was written past the console."""
        row = ConsoleSession.objects.filter(digest=digest_of(self.session_key), expire_date__gt=now()).first()
        if row is None:
            self._session_key = None
            return {}
        return dict(self.decode(row.session_data))

    def exists(self, session_key: str) -> bool:
        """Return whether there is a session of this key."""
        return ConsoleSession.objects.filter(digest=digest_of(session_key)).exists()

    def delete(self, session_key: str | None = None) -> None:
        """Remove the session of this key, or this one."""
        ConsoleSession.objects.filter(digest=digest_of(session_key or self.session_key)).delete()

    def create_model_instance(self, data: dict[str, Any]) -> ConsoleSession:
        """Return the row of this session, with its columns filled from it."""
        key = self.session_key
        assert key, "Django gives a session its key before it is saved"
        return ConsoleSession(
            digest=digest_of(key),
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            name=name_of(key),
            user_id=int(data[SESSION_KEY]) if SESSION_KEY in data else None,
            address=data.get(ADDRESS, ""),
            device=data.get(DEVICE, ""),
            sign_on=data.get(SIGN_ON, {}).get("session", ""),
            began_at=_moment(data.get(BEGAN)),
            used_at=_moment(data.get(USED)),
        )

    # By the methods above: Django's own for a database look for the key itself.
    aexists = SessionBase.aexists
    acreate = SessionBase.acreate
    asave = SessionBase.asave
    adelete = SessionBase.adelete
    aload = SessionBase.aload


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
