"""The checks of a connection test as a page shows them, each failed one with its remedy.

Asks no cloud and stores nothing: the remedy is found when the page is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.guidance import Remedy
from cloudcreds.provider.registry import provider_for


@dataclass(frozen=True)
class Check:
    """One line of a test as the page shows it; ``word`` and ``colour`` are those of its badge."""

    name: str
    word: str
    colour: str
    text: str
    reason: str
    at: datetime | None
    duration_ms: int
    remedy: Remedy | None = None


def checks_of(credential: CloudCredential, vault: KeyVault | None, results: list[dict[str, Any]]) -> list[Check]:
    """Return the lines of a test. ``results`` are those of ``last_test`` on credential and vault."""
    provider = provider_for(credential.service)
    reasons = {one.name: one.reason for one in provider.set_up_guide(credential, vault="").permissions}
    checks, shown = [], set()
    for result in results:
        check = _check(credential, vault, result, reasons.get(result["name"], ""))
        commands = tuple(check.remedy.commands) if check.remedy else ()
        if check.remedy and commands in shown:
            check = replace(check, remedy=replace(check.remedy, is_repeat=True))
        shown.add(commands)
        checks.append(check)
    return checks


def _check(credential: CloudCredential, vault: KeyVault | None, result: dict[str, Any], reason: str) -> Check:
    provider, kind, at = provider_for(credential.service), str(result.get("kind", "")), result.get("at")
    remedy = None
    if kind or result["ok"] is False:
        remedy = provider.remedy_for(
            result["name"],
            kind,
            credential=credential,
            vault=vault.name if vault else "",
            otherwise=result.get("remedy", ""),
        )
    word, colour = _badge(ok=result["ok"], kind=kind)
    return Check(
        provider.check_label(result["name"]),
        word,
        colour,
        # Stored in English; whole sentences of the product have a translation.
        _(result["text"]),
        reason,
        datetime.fromisoformat(at) if at else None,
        result.get("duration_ms", 0),
        remedy,
    )


def _badge(*, ok: bool | None, kind: str) -> tuple[str, str]:
    if ok:
        return _("passed"), "good"
    if ok is False:
        return _("failed"), "bad"
    return (_("missing, optional"), "warning") if kind else (_("does not apply"), "neutral")
