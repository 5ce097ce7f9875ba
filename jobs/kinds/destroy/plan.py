"""What will happen if key material here is destroyed: that of one group's keys, or of a selection."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import Fate, Plan, fate_of_versions, names_of
from jobs.planning import blockers
from jobs.planning.eligibility import Eligibility
from jobs.planning.selections import by_group, left_out, places, way_back
from keygroups.models import Key


def plan_keys(keys: Sequence[Key]) -> Plan:
    """Describe what destroying the material of keys of one group does."""
    group, count = keys[0].group, len(keys)
    name = keys[0].name if count == 1 else group.name
    return Plan(
        title=_("Delete %(key)s (local)") % {"key": name}
        if count == 1
        else ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count},
        button=ngettext("Destroy %(count)d key", "Destroy %(count)d keys", count) % {"count": count},
        back=group.get_absolute_url(),
        facts=[(_("Keys"), names_of(keys)), (_("Key group"), group.name)],
        fates=[
            Fate(_("Private key material here"), _("destroyed for good"), "bad"),
            Fate(_("Public halves, history and log rows"), _("stay"), "good"),
            fate_of_versions(keys),
        ],
        warnings=[
            _("This can't be undone: the key can't be synchronized again. A copy in a database backup stays readable.")
        ],
        obstacle=blockers.why_not_destroy(keys[0]) if count == 1 else "",
        typed=name,
        danger=True,
    )


def plan_selection(keys: Eligibility) -> Plan:
    """Describe what destroying the material of a selection does."""
    count, groups = len(keys.eligible), by_group(keys.eligible)
    title = ngettext("Delete %(count)d key (local)", "Delete %(count)d keys (local)", count) % {"count": count}
    typed = groups[0][0].name if len(groups) == 1 else ngettext("%(count)d key", "%(count)d keys", count)
    return Plan(
        title=title,
        button=ngettext("Destroy %(count)d key", "Destroy %(count)d keys", count) % {"count": count},
        back=way_back(keys),
        facts=[(_("Keys"), names_of(keys.eligible)), *places(groups)],
        fates=[
            Fate(_("Private key material here"), _("destroyed for good"), "bad"),
            Fate(_("Public halves, history and log rows"), _("stay"), "good"),
            fate_of_versions(keys.eligible),
        ]
        if count
        else [],
        warnings=[
            *left_out(keys),
            _(
                "This can't be undone: the keys can't be synchronized again. A copy in a database backup stays readable."
            ),
        ],
        obstacle="" if count else _("None of the selected keys can be deleted"),
        typed=typed % {"count": count} if len(groups) != 1 else typed,
        danger=True,
    )
