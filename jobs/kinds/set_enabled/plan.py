"""What will happen if versions in the vault are enabled or disabled: one, or those of several selected keys."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import NAMES_SHOWN, Plan, names_of, vault_facts
from jobs.planning import blockers
from jobs.planning.eligibility import Eligibility
from jobs.planning.selections import by_group, left_out, places, way_back
from keygroups.choices import VersionState
from keygroups.models import CloudVersion


def plan_version(version: CloudVersion, *, enabled: bool) -> Plan:
    """Describe what enabling or disabling one version does."""
    key, group = version.key, version.group
    verb = _("Enable") if enabled else _("Disable")
    return Plan(
        title=f"{verb} {key.name}",
        button=_("Enable version") if enabled else _("Disable version"),
        back=key.get_absolute_url(),
        facts=[*vault_facts(group), (_("Azure version"), version.azure_version)],
        effects=_effects([version], enabled=enabled, names=1),
        obstacle=blockers.why_not_enable(key) if enabled else blockers.why_not_disable(key),
        danger=not enabled,
    )


def plan_versions(versions: Sequence[CloudVersion], *, enabled: bool, names: int = NAMES_SHOWN) -> Plan:
    """Describe what enabling or disabling several versions does, in one key group or in many.

    So many keys are named, and the others counted.
    """
    title = _title(len(versions), enabled=enabled)
    first = versions[0]
    groups = by_group([version.key for version in versions])
    return Plan(
        title=title,
        button=title,
        back=first.group.get_absolute_url(),
        facts=[
            (_("Keys"), names_of([version.key for version in versions], limit=names)),
            *(vault_facts(first.group) if len(groups) == 1 else places(groups)),
        ],
        effects=[*_effects(versions, enabled=enabled, names=names), _("A version that fails is named in the job.")],
        danger=not enabled,
        typed="" if enabled else ngettext("%(count)d key", "%(count)d keys", len(versions)) % {"count": len(versions)},
    )


def plan_selection(keys: Eligibility, versions: Sequence[CloudVersion], *, enabled: bool) -> Plan:
    """Describe what a selection does; keys that can't be switched are left out, and named."""
    if versions:
        plan = plan_versions(versions, enabled=enabled)
        plan.warnings.extend(left_out(keys))
        return plan
    title = _title(len(keys.blocked), enabled=enabled)
    obstacle = (
        _("None of the selected keys can be enabled") if enabled else _("None of the selected keys can be disabled")
    )
    return Plan(title=title, button=title, back=way_back(keys), warnings=left_out(keys), obstacle=obstacle)


def _title(count: int, *, enabled: bool) -> str:
    if enabled:
        return ngettext("Enable %(count)d key", "Enable %(count)d keys", count) % {"count": count}
    return ngettext("Disable %(count)d key", "Disable %(count)d keys", count) % {"count": count}


def _effects(versions: Sequence[CloudVersion], *, enabled: bool, names: int) -> list[str]:
    count = len(versions)
    if enabled:
        uses = ngettext("The vault uses this version again.", "The vault uses these versions again.", count)
    else:
        uses = ngettext(
            "The vault refuses every use of this version; what is encrypted with it can't be read until it is enabled again.",
            "The vault refuses every use of these versions; what is encrypted with them can't be read until they are enabled "
            "again.",
            count,
        )
    effects = [uses, _("Other versions and the keys here stay as they are.")]
    current = [version.key for version in versions if version.state == VersionState.ACTIVE]
    if len(current) == 1 and not enabled:
        effects.append(
            _(
                "“%(name)s” is the current version. Whoever names the key without a version meets it and fails: the "
                "vault does not fall back to an older version. Push another key first if the service must go on."
            )
            % {"name": current[0].name}
        )
    elif current and not enabled:
        effects.append(
            _(
                "%(count)d of them are current versions: %(names)s. Whoever names one of these Azure keys without a version "
                "fails: the vault does not fall back to an older version. Push other keys first if the services must go on."
            )
            % {"count": len(current), "names": names_of(current, limit=names)}
        )
    return effects
