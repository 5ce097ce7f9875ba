"""The sessions of the console, as ``SESSION_ENGINE`` names them: Django's, in a table that says whose each is.

The columns repeat what the session itself holds, so that sessions can be listed and ended. Only the session counts.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from kmes.accounts.models import ConsoleSession

# What a session notes about itself.
BEGAN, USED, ADDRESS, DEVICE = "kmes_session_began", "kmes_session_used", "kmes_session_address", "kmes_session_device"


def name_of(key: str) -> str:
    """Return the name of a session that pages and log rows show: it can't be used to sign in."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


class SessionStore(DatabaseStore):
    """Django's sessions in the database, with columns for lists."""

    @classmethod
    def get_model_class(cls) -> type[ConsoleSession]:
        """Return the table."""
        return ConsoleSession

    def create_model_instance(self, data: dict[str, Any]) -> ConsoleSession:
        """Return the row of this session, with its columns filled from it."""
        row = super().create_model_instance(data)
        assert isinstance(row, ConsoleSession)
        row.name = name_of(row.session_key)
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.address, row.device = data.get(ADDRESS, ""), data.get(DEVICE, "")
        row.began_at, row.used_at = _moment(data.get(BEGAN)), _moment(data.get(USED))
        return row


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
