"""Which public keys of passkeys are a user's, as the log tells it.

The rows of passkeys are sealed for the web process, so that it alone reads them. The log has the fingerprint of each
public key from the moment its user added it; its rows are chained, and nobody changes them unnoticed. So whoever writes
to the database can't exchange a key, and what a passkey signed can be checked without the web process.
"""

from __future__ import annotations

from typing import Any

from kmes.accounts.models import Passkey, User
from kmes.core.actor import Actor
from kmes.core.public_keys import fingerprint
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.services import record

# A passkey that was added before the log named public keys is recorded when it first signs a statement.
RECORDED = "user.passkey_recorded"
_ADDED = ("user.factor_added", RECORDED)
_REMOVED, _RESET = "user.factor_removed", "user.factor_reset"


def data_of(digest: str, public_key: bytes) -> dict[str, str]:
    """Return what the log row of a passkey says of it: the SHA-256 of its id, and of its public key (DER)."""
    return {"passkey": digest, "public_key": fingerprint(public_key)}


def find_registered(user_id: int, *, before: int | None = None) -> frozenset[str]:
    """Return the fingerprints of the public keys with which a user could sign when the Audit log reached a row.

    ``before`` is that row's sequence; without it, at present. No time is asked for: any process can write any time
    into a row, but adds no row before others.
    """
    rows = LogEntry.objects.filter(service=Service.AUDIT, event__in=(*_ADDED, _REMOVED, _RESET)).order_by("sequence")
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    found: dict[str, str] = {}
    for event, actor_id, data in rows.values_list("event", "actor_user_id", "data"):
        if not isinstance(data, dict) or data.get("user_id") != user_id:
            continue
        if event == _RESET:
            found.clear()
        elif event == _REMOVED:
            found.pop(_text(data, "passkey"), None)
        elif actor_id == user_id and "public_key" in data:
            found[_text(data, "passkey")] = _text(data, "public_key")
    return frozenset(found.values())


def record_if_missing(user: User, passkey: Passkey, public_key: bytes) -> None:
    """Tell the log of a user's passkey that was added before the log named public keys."""
    if fingerprint(public_key) in find_registered(user.pk):
        return
    record(
        RECORDED,
        actor=Actor.from_user(user),
        message=f"Public key of the passkey “{passkey}” of {user} recorded",
        data={"user_id": user.pk, **data_of(passkey.digest, public_key)},
    )


def _text(data: dict[str, Any], name: str) -> str:
    return str(data.get(name, ""))
