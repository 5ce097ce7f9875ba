"""Which job does each check of a self-certification, and when the check applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.certifications.models import Certification
from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.prove.spec import request_proof
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.sign_report.spec import request_signed_report
from jobs.kinds.synchronize.spec import keys_to_synchronize, request_synchronize
from jobs.models import Job
from keygroups.choices import GroupCloudState, KeyState
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KEY_NAME = "first"
# How the idempotency keys of the jobs begin that do a step.
STEP_KEY = "certify:"
# What policies can have others approve of these steps.
APPROVED_ACTIONS = ("set_enabled", "cloud_delete", "cloud_purge", "destroy")


@dataclass(frozen=True)
class Run:
    """What a step's job is asked with."""

    certification: Certification
    group: KeyGroup
    actor: Actor
    idempotency_key: str

    @property
    def reason(self) -> str:
        """Return why a step is to be done, for those who have to approve it."""
        return _("A step of %(run)s, on a throw-away key.") % {"run": self.certification}


def _applies(_group: KeyGroup) -> str:
    return ""


@dataclass(frozen=True)
class Work:
    """What does a check.

    Attributes:
        start: asks for the job.
        why_not: says why the check does not apply to the group as it is now; "" when it does.

    """

    start: Callable[[Run], Job]
    why_not: Callable[[KeyGroup], str]


# --- Which job -------------------------------------------------------------------------------
def newest_version(group: KeyGroup) -> CloudVersion:
    """Return the version pushed last.

    Raises:
        ConflictError: none was pushed.

    """
    pushed = group.cloud_versions.exclude(azure_version="").select_related("key", "group__vault", "group__credential")
    version = pushed.order_by("-pushed_at").first()
    if version is None:
        raise ConflictError(_("The vault holds no version of the key group."))
    return version


def _create(run: Run) -> Job:
    return request_create_keys(group=run.group, names=[KEY_NAME], actor=run.actor, idempotency_key=run.idempotency_key)


def _push(run: Run) -> Job:
    keys = keys_to_synchronize(run.group)
    return request_synchronize(keys=keys, actor=run.actor, idempotency_key=run.idempotency_key)


def _rotate(run: Run) -> Job:
    return request_rotation(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key)


def _prove(*, wants_refusal: bool = False) -> Callable[[Run], Job]:
    return lambda run: request_proof(
        version=newest_version(run.group),
        wants_refusal=wants_refusal,
        actor=run.actor,
        idempotency_key=run.idempotency_key,
    )


def _switch(*, enabled: bool) -> Callable[[Run], Job]:
    return lambda run: request_set_enabled(
        version=newest_version(run.group),
        enabled=enabled,
        actor=run.actor,
        idempotency_key=run.idempotency_key,
        reason=run.reason,
    )


def _delete(run: Run) -> Job:
    return request_cloud_delete(
        group=run.group, actor=run.actor, idempotency_key=run.idempotency_key, reason=run.reason
    )


def _recover(run: Run) -> Job:
    return request_cloud_recover(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key)


def _purge(run: Run) -> Job:
    return request_cloud_purge(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key, reason=run.reason)


def _destroy(run: Run) -> Job:
    keys = list(run.group.keys.filter(state=KeyState.PRESENT))
    return request_destroy(keys=keys, actor=run.actor, idempotency_key=run.idempotency_key, reason=run.reason)


def _sign_report(run: Run) -> Job:
    return request_signed_report(
        certification_id=run.certification.pk,
        number=str(run.certification),
        group=run.group,
        actor=run.actor,
        idempotency_key=run.idempotency_key,
    )


# --- When it applies -------------------------------------------------------------------------
def _not_recoverable(group: KeyGroup) -> str:
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("The vault has no soft-delete: what is deleted is gone.")
    return ""


def _not_live(group: KeyGroup) -> str:
    return "" if group.cloud_state == GroupCloudState.LIVE else _("The vault holds no live key of this run.")


def _not_purgeable(group: KeyGroup) -> str:
    if group.vault.is_purge_protected:
        return _("The vault has purge protection: Azure purges by itself when the retention ends.")
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _("The vault holds no deleted key of this run.")
    return ""


def _no_keys(group: KeyGroup) -> str:
    return "" if group.keys.filter(state=KeyState.PRESENT).exists() else _("No key of this run is left here.")


WORK: dict[str, Work] = {
    "create": Work(_create, _applies),
    "push": Work(_push, _applies),
    "prove": Work(_prove(), _applies),
    "rotate": Work(_rotate, _applies),
    "prove_rotated": Work(_prove(), _applies),
    "disable": Work(_switch(enabled=False), _applies),
    "prove_disabled": Work(_prove(wants_refusal=True), _applies),
    "enable": Work(_switch(enabled=True), _applies),
    "delete": Work(_delete, _applies),
    "recover": Work(_recover, _not_recoverable),
    "prove_recovered": Work(_prove(), _not_live),
    "remove": Work(_delete, _not_live),
    "purge": Work(_purge, _not_purgeable),
    "destroy": Work(_destroy, _no_keys),
    "report": Work(_sign_report, _applies),
}
