"""Rows whose marks held. The device wraps for these only.

They are made in ``hsm.mark_checks`` and nowhere else (tests/rules/test_verified_rows.py), so that no caller can
forget to check.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm.marks import KeyFacts


@dataclass(frozen=True)
class VerifiedKey:
    """A key whose material and group are those that the device marked when it made the key."""

    facts: KeyFacts
