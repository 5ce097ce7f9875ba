"""A group's policy in one sentence, with warnings. Reads and writes no rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.choices import VaultTier
from cloudcreds.models import KeyVault
from keygroups.choices import PeriodUnit
from keygroups.models import KeyGroup
from keygroups.rotation_schedule import days_in
from keygroups.vault_rules import why_refused

# Long enough for a weekend in which nobody sees that rotations fail.
LEAST_SPARE_DAYS = 3


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the sentence describes. ``next_due_at`` is None if rotation is off or the period is unknown.

    ``refusals`` says why policies of the vault would refuse such a key.
    """

    rotate: bool
    rotate_every: int | None
    rotate_unit: str
    next_due_at: datetime | None
    valid_for: int | None
    valid_unit: str
    vault_name: str
    refusals: list[str]
    tier: str = VaultTier.UNKNOWN


@dataclass(frozen=True)
class Description:
    """A sentence, and warnings a person should read before saving."""

    sentence: str
    warnings: list[str] = field(default_factory=list)


def policy_of(group: KeyGroup) -> Policy:
    """Return the stored policy of a group."""
    return Policy(
        rotate=group.rotate,
        rotate_every=group.rotate_every,
        rotate_unit=group.rotate_unit,
        next_due_at=group.next_due_at,
        valid_for=group.valid_for,
        valid_unit=group.valid_unit,
        vault_name=group.vault.name,
        refusals=why_refused(group),
        tier=group.vault.tier,
    )


def describe(policy: Policy) -> Description:
    """Describe what the policy does."""
    parts = [_rotation(policy), _validity(policy), _target(policy)]
    sentence = ", ".join(parts) + "."
    return Description(sentence[:1].upper() + sentence[1:], _warnings(policy))


def period_text(count: int | None, unit: str) -> str:
    """Return a period in words, such as “90 days”."""
    if count is None:
        return "…"
    match PeriodUnit(unit):
        case PeriodUnit.DAYS:
            text = ngettext("%(count)d day", "%(count)d days", count)
        case PeriodUnit.WEEKS:
            text = ngettext("%(count)d week", "%(count)d weeks", count)
        case PeriodUnit.MONTHS:
            text = ngettext("%(count)d month", "%(count)d months", count)
    return text % {"count": count}


def tier_text(vault: KeyVault) -> str:
    """Return a vault's name with its tier, such as “kv-prod (Premium)”."""
    return f"{vault.name} ({VaultTier(vault.tier).label})"


def _rotation(policy: Policy) -> str:
    if not policy.rotate:
        return _("never rotates by itself")
    if policy.rotate_every is None:
        return _("rotates by schedule")
    every = period_text(policy.rotate_every, policy.rotate_unit)
    if policy.next_due_at is None:
        return _("rotates every %(period)s") % {"period": every}
    return _("rotates every %(period)s, next on %(date)s") % {"period": every, "date": f"{policy.next_due_at:%Y-%m-%d}"}


def _validity(policy: Policy) -> str:
    if policy.valid_for is None:
        return _("keys never expire")
    return _("keys valid %(period)s") % {"period": period_text(policy.valid_for, policy.valid_unit)}


def _target(policy: Policy) -> str:
    if not policy.vault_name:
        return _("no vault chosen yet")
    tier = VaultTier(policy.tier)
    shown = _("tier not known yet") if tier == VaultTier.UNKNOWN else str(tier.label)
    return _("pushes to %(vault)s (%(tier)s)") % {"vault": policy.vault_name, "tier": shown}


def _warnings(policy: Policy) -> list[str]:
    warnings = []
    if policy.tier == VaultTier.STANDARD:
        warnings.append(
            _("%(vault)s is a Standard vault. It takes no HSM keys: choose a Premium one.")
            % {"vault": policy.vault_name}
        )
    warnings += policy.refusals
    if policy.valid_for is None or policy.rotate_every is None:
        return warnings
    if not policy.rotate:
        warnings.append(_("Keys expire and nothing replaces them. Rotate by hand in time, or switch Rotate Key on."))
        return warnings
    spare = _spare_days(policy.rotate_every, policy.rotate_unit, policy.valid_for, policy.valid_unit)
    if spare < 0:
        warnings.append(_("Keys expire before their successor is due. Keep them valid for longer, or rotate sooner."))
    elif spare < LEAST_SPARE_DAYS:
        warnings.append(
            _(
                "Keys can expire within %(days)d days of the moment their successor is due, and a rotation that has "
                "to be tried again comes later. Keep them valid for longer, or rotate sooner."
            )
            % {"days": LEAST_SPARE_DAYS}
        )
    return warnings


def _spare_days(every: int, unit: str, valid_for: int, valid_unit: str) -> int:
    """Return the fewest days a key is still valid when its successor is due, whatever the months' lengths."""
    if unit == valid_unit:
        fewest, most = days_in(abs(valid_for - every), unit)
        return fewest if valid_for >= every else -most
    return days_in(valid_for, valid_unit)[0] - days_in(every, unit)[1]
