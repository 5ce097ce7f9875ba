"""What the requests of delete, recover and purge share: they work on a whole Azure key, with what is known of it frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from keygroups.choices import STORED_VERSION_STATES, GroupCloudState
from keygroups.models import KeyGroup
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
    then: Sequence[dict[str, Any]] = (),
) -> Job:
    """Ask for a job on the whole Azure key; the versions known now are its precondition.

    Raises:
        ConflictError: the Azure key is not in the state ``wanted``.

    """
    check(actor, right)
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
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _known_versions(group: KeyGroup) -> list[str]:
    """Return the Azure version ids last known, sorted: what a deletion may take with it."""
    return sorted(group.cloud_versions.filter(state__in=STORED_VERSION_STATES).values_list("azure_version", flat=True))
