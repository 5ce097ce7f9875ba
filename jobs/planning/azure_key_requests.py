"""What the requests of delete, recover and purge share: they work on a whole Azure key, with what is known of it frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.confirmation.plan import names_of
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from keygroups.choices import STORED_VERSION_STATES, GroupCloudState
from keygroups.models import Key, KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError


def request_on_azure_key(
    kind: str,
    group: KeyGroup,
    right: Right,
    wanted: GroupCloudState,
    *,
    actor: Actor,
    idempotency_key: str,
    retry_of: Job | None,
    follows: Job | None = None,
    part_of: Job | None = None,
    then: Sequence[dict[str, Any]] = (),
    reason: str = "",
) -> Job:
    """Ask for a job on the whole Azure key; the versions known now are its precondition.

    Raises:
        ConflictError: the Azure key is not in the state ``wanted``.

    """
    check(actor, right, group)
    group.refresh_from_db(fields=["cloud_state"])
    if group.cloud_state != wanted:
        raise ConflictError(
            _("The Azure key “%(key)s” is: %(state)s.")
            % {"key": group.azure_name, "state": group.get_cloud_state_display()},
            _("This action needs it to be: %(wanted)s.") % {"wanted": wanted.label},
        )
    new = NewJob(
        kind,
        group.azure_name,
        group=group,
        params={"versions": _known_versions(group), **({"then": list(then)} if then else {})},
        retry_of=retry_of,
        follows=follows,
        part_of=part_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key, reason=reason)


def _known_versions(group: KeyGroup) -> list[str]:
    """Return the Azure version ids last known, sorted: what a deletion may take with it."""
    return sorted(group.cloud_versions.filter(state__in=STORED_VERSION_STATES).values_list("azure_version", flat=True))


def describe_links(job: Job) -> list[str]:
    """Return what the jobs that follow this one do to the Azure key and the keys here."""
    sentences = []
    for link in job.params.get("then", ()):
        if "keys" not in link:
            sentences.append(_("Then the deleted Azure key is purged: nobody can recover it."))
            continue
        keys = list(Key.objects.filter(pk__in=link["keys"]).order_by("created_at", "name"))
        sentences.append(
            ngettext(
                "Then the private key material of %(count)d key here is destroyed for good: %(names)s.",
                "Then the private key material of %(count)d keys here is destroyed for good: %(names)s.",
                len(keys),
            )
            % {"count": len(keys), "names": names_of(keys, limit=len(keys))}
        )
    return sentences
