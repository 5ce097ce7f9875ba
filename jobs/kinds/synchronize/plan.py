"""What will happen if keys are synchronized: those of one group, or a selection from many."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import (
    Plan,
    arrives_disabled,
    demotion_warnings,
    names_of,
    push_effects,
    push_facts,
    push_warnings,
)
from jobs.planning import blockers
from jobs.planning.eligibility import Eligibility
from jobs.planning.selections import by_group, left_out, places, warnings_by_group, way_back
from keygroups.models import Key, KeyGroup


def plan_keys(group: KeyGroup, keys: Sequence[Key], *, whole_group: bool) -> Plan:
    """Describe what pushing keys of one group does."""
    count = len(keys)
    obstacle = blockers.why_not_synchronize_all(group) if whole_group else blockers.why_not_synchronize(keys[0])
    if count > 1 and not whole_group:
        # A selection: the service says which key is in the way, once it is asked.
        obstacle = ""
    name = keys[0].name if count == 1 else ""
    title = _("Synchronize %(key)s") % {"key": name} if name else ""
    many = ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}
    return Plan(
        title=title or many,
        button=many,
        back=group.get_absolute_url(),
        facts=[(_("Keys"), names_of(keys)), *push_facts(group)] if keys else push_facts(group),
        effects=push_effects(group, count) if keys else [],
        warnings=[*demotion_warnings(group, keys), *push_warnings(group)],
        obstacle=obstacle,
    )


def plan_selection(keys: Eligibility) -> Plan:
    """Describe what pushing a selection does; keys that can't be pushed are left out, and named."""
    count = len(keys.eligible)
    groups = by_group(keys.eligible)
    many = ngettext("Synchronize %(count)d key", "Synchronize %(count)d keys", count) % {"count": count}
    vaults = len({group.vault_id for group, _keys in groups})
    disabled = [group for group, _keys in groups if not group.enabled_on_push]
    return Plan(
        title=many,
        button=many,
        back=way_back(keys),
        facts=[(_("Keys"), names_of(keys.eligible)), *places(groups)] if count else [],
        effects=[
            ngettext(
                "The vault makes an ephemeral KEK; its private half never leaves the vault.",
                "Each of the %(count)d vaults makes an ephemeral KEK; its private half never leaves the vault.",
                vaults,
            )
            % {"count": vaults},
            _("The HSM wraps each key under the KEK of its vault, and the vault imports it as a new version."),
            _("In each group the newest version becomes active; older ones stay as superseded."),
            *([arrives_disabled(disabled)] if disabled else []),
            _("The KEKs are deleted, and purged where the vault soft-deletes."),
            _("A key that fails is named in the job; the others are not held up by it."),
        ]
        if count
        else [],
        warnings=[
            *left_out(keys),
            *(text for group, pushed in groups for text in demotion_warnings(group, pushed)),
            *warnings_by_group(groups),
        ],
        obstacle="" if count else _("None of the selected keys can be synchronized"),
    )
