"""What the plans of several picked keys are made of: where the keys go, which are left out, what to mind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import NAMES_SHOWN, names_of, push_warnings
from jobs.planning.eligibility import Eligibility
from keygroups.models import Key, KeyGroup
from keygroups.policy import tier_text

GROUPS_SHOWN = 20


def by_group(keys: Sequence[Key]) -> list[tuple[KeyGroup, list[Key]]]:
    """Part keys by their group, in the order of the groups' names."""
    ordered = sorted(keys, key=lambda key: (key.group.name, str(key.group_id)))
    parted = [list(part) for _pk, part in groupby(ordered, key=lambda key: key.group_id)]
    return [(part[0].group, part) for part in parted]


def places(by_group: list[tuple[KeyGroup, list[Key]]]) -> list[tuple[str, str]]:
    """Return one fact per group: how many keys, and where they go or are."""
    facts = []
    for group, keys in by_group[:GROUPS_SHOWN]:
        counted = ngettext("%(count)d key", "%(count)d keys", len(keys)) % {"count": len(keys)}
        facts.append((group.name, f"{counted} · {tier_text(group.vault)} / {group.azure_name}"))
    more = len(by_group) - GROUPS_SHOWN
    if more > 0:
        facts.append((_("More key groups"), str(more)))
    return facts


def left_out(keys: Eligibility) -> list[str]:
    """Say which keys are left out and why, by reason."""
    reasons: dict[str, list[Key]] = {}
    for key, reason in keys.blocked:
        reasons.setdefault(reason, []).append(key)
    return [
        _("Left out: %(names)s. %(reason)s.") % {"names": names_of(found, limit=NAMES_SHOWN), "reason": reason}
        for reason, found in reasons.items()
    ]


def warnings_by_group(by_group: list[tuple[KeyGroup, list[Key]]]) -> list[str]:
    """Return the warnings about pushing, each with the groups it is about where there are several."""
    found: dict[str, list[str]] = {}
    for group, _keys in by_group:
        for warning in push_warnings(group):
            found.setdefault(warning, []).append(group.name)
    if len(by_group) == 1:
        return list(found)
    return [f"{', '.join(names[:NAMES_SHOWN])}: {warning}" for warning, names in found.items()]


def way_back(keys: Eligibility) -> str:
    """Return the page to go back to: that of the first key's group."""
    every = keys.eligible or [key for key, _reason in keys.blocked]
    return every[0].group.get_absolute_url()
