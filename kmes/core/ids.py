"""Identifiers: UUIDs for rows, and the short public form people read and paste."""

from __future__ import annotations

import secrets
import uuid

# Crockford's alphabet: no I, L, O, U, so that an id read aloud or typed is unambiguous.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_uuid() -> uuid.UUID:
    """Return a random UUID (RFC 9562 version 4)."""
    return uuid.uuid4()


def new_job_code() -> str:
    """Return a short random code such as ``7F3KQ2`` (30 bits; uniqueness is the table's duty)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def job_label(code: str) -> str:
    """Return what pages call the job of a code, such as ``job-7F3KQ2``; "" for none."""
    return f"job-{code}" if code else ""


def job_code(text: str) -> str:
    """Return the code that a text names: ``7F3KQ2`` or ``job-7F3KQ2``, in any case."""
    return text.upper().removeprefix("JOB-")
