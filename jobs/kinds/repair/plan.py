"""What will happen if versions in the vault are set back to what is known here."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import NAMES_SHOWN, Plan, vault_facts
from jobs.planning import blockers
from keygroups.choices import Drift
from keygroups.drift import is_repairable, what_stays, why_it_stays
from keygroups.models import KeyGroup, Observation


def plan_repair(group: KeyGroup, rows: Sequence[Observation]) -> Plan:
    """Describe what setting versions back does: each version, and what it gets."""
    ready = [row for row in rows if is_repairable(row)]
    count = len(ready)
    button = ngettext("Repair %(count)d version", "Repair %(count)d versions", count) % {"count": count}
    lasting = sorted({why for row in rows if (why := why_it_stays(row))})
    return Plan(
        title=_("Repair %(group)s in the vault") % {"group": group.name},
        button=button,
        back=reverse("keygroups:drift", args=[group.pk]),
        facts=vault_facts(group),
        effects=[_repair_effect(row) for row in ready[:NAMES_SHOWN]]
        + ([_("… and %(more)d more") % {"more": count - NAMES_SHOWN}] if count > NAMES_SHOWN else []),
        warnings=lasting,
        obstacle=blockers.why_not_check_drift(group) if ready else _("Nothing differs that can be set back"),
    )


def _repair_effect(row: Observation) -> str:
    version = row.azure_version
    if row.version is None:
        return _("Version %(version)s, which was not made here, is disabled.") % {"version": version}
    what = ", ".join(str(Drift(flag).label) for flag in row.flags if flag not in what_stays(row))
    names = {"version": version, "key": row.version.key.name, "what": what}
    return _("Version %(version)s (%(key)s) is reverted to what is known here: %(what)s.") % names
