"""What will happen to several keys at once, of one group or many: one job, one line per key."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.planning.blockers import Sorted
from jobs.planning.plan import NAMES_SHOWN, Fate, Plan, fate_of_versions, names_of, push_warnings
from keygroups.models import Key, KeyGroup
from keygroups.policy import tier_text

GROUPS_SHOWN = 20


def plan_synchronize(keys: Sorted) -> Plan:
    """Describe what pushing a selection does; keys that can't be pushed are left out, and named."""
    count = len(keys.ready)
    by_group = _by_group(keys.ready)
    many = ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}
    vaults = len({group.vault_id for group, _keys in by_group})
    return Plan(
        title=many,
        button=many,
        back=_back(keys),
        facts=[(_("Keys"), names_of(keys.ready)), *_places(by_group)] if count else [],
        effects=[
            ngettext(
                "The vault makes an ephemeral KEK; its private half never leaves the vault.",
                "Each of the %(count)d vaults makes an ephemeral KEK; its private half never leaves the vault.",
                vaults,
            )
            % {"count": vaults},
            _("The HSM wraps each key under the KEK of its vault, and the vault imports it as a new version."),
            _("In each group the newest version becomes active; older ones stay as superseded."),
            _("The KEKs are deleted, and purged where the vault soft-deletes."),
            _("A key that fails is named in the job; the others are not held up by it."),
        ]
        if count
        else [],
        warnings=[*_left_out(keys), *_warnings(by_group)],
        obstacle="" if count else _("None of the selected keys can be synchronized"),
    )


def plan_destroy(keys: Sorted) -> Plan:
    """Describe what destroying the material of a selection does."""
    count, by_group = len(keys.ready), _by_group(keys.ready)
    title = ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count}
    typed = by_group[0][0].name if len(by_group) == 1 else ngettext("%(count)d key", "%(count)d keys", count)
    return Plan(
        title=title,
        button=ngettext("Destroy %(count)d key", "Destroy %(count)d keys", count) % {"count": count},
        back=_back(keys),
        facts=[(_("Keys"), names_of(keys.ready)), *_places(by_group)],
        fates=[
            Fate(_("Private key material here"), _("destroyed for good"), "bad"),
            Fate(_("Public halves, history and log rows"), _("stay"), "good"),
            fate_of_versions(keys.ready),
        ]
        if count
        else [],
        warnings=[
            *_left_out(keys),
            _(
                "This can't be undone: the keys can't be synchronized again. A copy in a database backup stays readable."
            ),
        ],
        obstacle="" if count else _("None of the selected keys can be deleted"),
        typed=typed % {"count": count} if len(by_group) != 1 else typed,
        danger=True,
    )


def _by_group(keys: Sequence[Key]) -> list[tuple[KeyGroup, list[Key]]]:
    ordered = sorted(keys, key=lambda key: (key.group.name, str(key.group_id)))
    parted = [list(part) for _pk, part in groupby(ordered, key=lambda key: key.group_id)]
    return [(part[0].group, part) for part in parted]


def _places(by_group: list[tuple[KeyGroup, list[Key]]]) -> list[tuple[str, str]]:
    """Return one fact per group: how many keys, and where they go or are."""
    facts = []
    for group, keys in by_group[:GROUPS_SHOWN]:
        counted = ngettext("%(count)d key", "%(count)d keys", len(keys)) % {"count": len(keys)}
        facts.append((group.name, f"{counted} · {tier_text(group.vault)} / {group.azure_name}"))
    more = len(by_group) - GROUPS_SHOWN
    if more > 0:
        facts.append((_("More key groups"), str(more)))
    return facts


def _left_out(keys: Sorted) -> list[str]:
    """Say which keys are left out and why, by reason."""
    reasons: dict[str, list[Key]] = {}
    for key, reason in keys.barred:
        reasons.setdefault(reason, []).append(key)
    return [
        _("Left out: %(names)s. %(reason)s.") % {"names": names_of(found, limit=NAMES_SHOWN), "reason": reason}
        for reason, found in reasons.items()
    ]


def _warnings(by_group: list[tuple[KeyGroup, list[Key]]]) -> list[str]:
    found: dict[str, list[str]] = {}
    for group, _keys in by_group:
        for warning in push_warnings(group):
            found.setdefault(warning, []).append(group.name)
    if len(by_group) == 1:
        return list(found)
    return [f"{', '.join(names[:NAMES_SHOWN])}: {warning}" for warning, names in found.items()]


def _back(keys: Sorted) -> str:
    every = keys.ready or [key for key, _reason in keys.barred]
    return every[0].group.get_absolute_url()
