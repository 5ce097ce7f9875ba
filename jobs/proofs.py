"""Asking for a proof: a signature made in the vault that is verified with the public key kept here."""

from __future__ import annotations

from django.utils.translation import gettext as _

from hsm.services import designated_device
from jobs.choices import JobKind
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from keygroups.lifecycle import LIVE_STATES
from keygroups.models import CloudVersion
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError


def request_proof(
    *,
    version: CloudVersion,
    actor: Actor,
    wants_refusal: bool = False,
    idempotency_key: str = "",
    retry_of: Job | None = None,
) -> Job:
    """Ask for a version to be proved; with ``wants_refusal`` the proof is that the vault refuses to sign.

    Raises:
        ConflictError: the vault holds no such version.

    """
    check(actor, Right.KEY_PUSH)
    designated_device()
    if version.state not in LIVE_STATES:
        raise ConflictError(
            _("The vault holds no live version of key “%(key)s”.") % {"key": version.key.name},
            _("Synchronize the key first."),
        )
    new = NewJob(
        JobKind.PROVE,
        version.key.name,
        group=version.group,
        keys=[version.key],
        params={"version_id": str(version.pk), "wants_refusal": wants_refusal},
        azure_lock=version.group.azure_lock,
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)
