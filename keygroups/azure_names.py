"""Whose an Azure key is that stands under a group's name: this console's, adopted by a person, or somebody else's.

Azure has no owner of a name. A push into a key of others would give its users other material, because those who name
the key without a version use its newest one. So a group takes a name that is taken only after a person adopted it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keygroups import drift
from keygroups.fields import own_tags
from keygroups.models import KeyGroup, Observation
from keygroups.services import subject_of
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import require_approval
from logging_reports.services import record

VERSIONS_SHOWN = 3
TAGS_SHOWN = 5


def is_taken(group: KeyGroup, versions: Collection[str]) -> bool:
    """Return whether a key with these versions is somebody else's: none of them was ever recorded or adopted here."""
    if not versions or set(versions) & set(group.adopted_versions):
        return False
    return not group.cloud_versions.filter(azure_version__in=versions).exists()


def list_strangers(group: KeyGroup) -> list[Observation]:
    """Return the versions of others that were last seen under the group's name, newest first."""
    return list(group.observations.filter(version=None, is_present=True))


def is_known_to_be_taken(group: KeyGroup) -> bool:
    """Return whether the vault was last seen to hold somebody else's key under the group's name."""
    return is_taken(group, [row.azure_version for row in list_strangers(group)])


def describe_strangers(rows: Sequence[Observation]) -> str:
    """Say which versions stand there, since when, and who tagged them; the newest ones of many."""
    shown = [f"{row.azure_version} ({describe_version(row)})" for row in rows[:VERSIONS_SHOWN]]
    if len(rows) > VERSIONS_SHOWN:
        shown.append(
            _("%(count)d older ones, the first since %(at)s")
            % {"count": len(rows) - VERSIONS_SHOWN, "at": _moment(rows[-1])}
        )
    count = ngettext("%(count)d version", "%(count)d versions", len(rows)) % {"count": len(rows)}
    return f"{count}: {'; '.join(shown)}"


def describe_version(row: Observation) -> str:
    """Say since when a version stands there, whether it is enabled, and who tagged it."""
    state = _("enabled") if row.enabled else _("disabled")
    return _("since %(at)s, %(state)s, %(tags)s") % {
        "at": _moment(row),
        "state": state,
        "tags": describe_tags(row.tags),
    }


def _moment(row: Observation) -> str:
    return f"{row.created_on:%Y-%m-%d %H:%M} UTC" if row.created_on else _("unknown")


def describe_tags(tags: dict[str, str]) -> str:
    """Say how a version is tagged, and whether an installation of this console did it."""
    if "kmes-app" in tags:
        return _("tagged by another installation of this console, job %(job)s") % {"job": tags.get("kmes-job", "–")}
    own = own_tags(tags)
    if not own:
        return _("no tags")
    shown = [f"{name}={value}" for name, value in sorted(own.items())[:TAGS_SHOWN]]
    return _("tagged %(tags)s") % {"tags": ", ".join(shown)}


def adopt_name(*, group: KeyGroup, versions: Iterable[str], actor: Actor) -> None:
    """Adopt the Azure key of somebody else: the group may push new versions into it. Nothing in the vault changes.

    ``versions`` are those that the person was shown.

    Raises:
        PermissionRefused: the actor may not manage groups.
        ConflictError: the vault was seen with other versions since, or the key is not somebody else's.

    """
    check(actor, Right.GROUP_MANAGE, group)
    shown = sorted(set(versions))
    with transaction.atomic():
        current = (
            KeyGroup.objects.select_for_update(of=("self",)).select_related("credential", "vault").get(pk=group.pk)
        )
        rows = list_strangers(current)
        found = sorted(row.azure_version for row in rows)
        if not is_taken(current, found) or found != shown:
            raise ConflictError(
                _("The key “%(key)s” has changed since it was shown.") % {"key": current.azure_name},
                _("Reload the page and check the versions."),
            )
        require_approval("group.adopt_name", {"group": str(current.pk), "versions": shown}, actor=actor)
        before = current.adopted_versions
        KeyGroup.objects.filter(pk=current.pk).update(
            adopted_versions=sorted({*before, *found}), updated_at=now(), lock_version=F("lock_version") + 1
        )
        Observation.objects.filter(pk__in=[row.pk for row in rows]).update(is_accepted=True)
        drift.recount(current)
        record(
            "group.name_adopted",
            actor=actor,
            message=f"Azure key {current.azure_name} adopted for key group {current.name}, with the versions of others",
            subject=subject_of(current),
            data={"changed": {"adopted_versions": [before, sorted({*before, *found})]}},
        )
