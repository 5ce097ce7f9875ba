"""The steps of a self-certification in their order: what each tries, when it applies, which job does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

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


@dataclass(frozen=True)
class Run:
    """What a step's job is asked with."""

    certification: Certification
    group: KeyGroup
    actor: Actor
    idempotency_key: str


def _applies(_group: KeyGroup) -> str:
    return ""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        why_not: says why the step does not apply to the group as it is now; "" when it does.
        is_cleanup: whether it is done also after a failure.
        forgives: the key permission without which the step is "not proven" instead of failed.

    """

    name: str
    title: str | Promise
    proves: str | Promise
    start: Callable[[Run], Job]
    why_not: Callable[[KeyGroup], str] = _applies
    is_cleanup: bool = False
    forgives: bool = False


# --- Which job -------------------------------------------------------------------------------
def newest_version(group: KeyGroup) -> CloudVersion:
    """Return the version pushed last.

    Raises:
        ConflictError: none was pushed.

    """
    pushed = group.cloud_versions.exclude(azure_version="").select_related("key", "group__vault", "group__credential")
    version = pushed.order_by("-pushed_at").first()
    if version is None:
        raise ConflictError(_now("The vault holds no version of the key group."))
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
        version=newest_version(run.group), enabled=enabled, actor=run.actor, idempotency_key=run.idempotency_key
    )


def _delete(run: Run) -> Job:
    return request_cloud_delete(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key)


def _recover(run: Run) -> Job:
    return request_cloud_recover(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key)


def _purge(run: Run) -> Job:
    return request_cloud_purge(group=run.group, actor=run.actor, idempotency_key=run.idempotency_key)


def _destroy(run: Run) -> Job:
    keys = list(run.group.keys.filter(state=KeyState.PRESENT))
    return request_destroy(keys=keys, actor=run.actor, idempotency_key=run.idempotency_key)


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
        return _now("The vault has no soft-delete: what is deleted is gone.")
    return ""


def _not_live(group: KeyGroup) -> str:
    return "" if group.cloud_state == GroupCloudState.LIVE else _now("The vault holds no live key of this run.")


def _not_purgeable(group: KeyGroup) -> str:
    if group.vault.is_purge_protected:
        return _now("The vault has purge protection: Azure purges by itself when the retention ends.")
    if group.cloud_state != GroupCloudState.SOFT_DELETED:
        return _now("The vault holds no deleted key of this run.")
    return ""


def _no_keys(group: KeyGroup) -> str:
    return "" if group.keys.filter(state=KeyState.PRESENT).exists() else _now("No key of this run is left here.")


STEPS: tuple[Step, ...] = (
    Step("create", _("Create a key"), _("The HSM makes keys."), _create),
    Step("push", _("Push it"), _("The vault takes the wrapped key, and its public half is ours."), _push),
    Step(
        "prove",
        _("Verify by a signature"),
        _("The vault has the very private half that was made in the HSM."),
        _prove(),
        forgives=True,
    ),
    Step("rotate", _("Rotate"), _("A new key becomes the active version."), _rotate),
    Step(
        "prove_rotated",
        _("Verify the new version"),
        _("The active version is the new key, and works."),
        _prove(),
        forgives=True,
    ),
    Step("disable", _("Disable the version"), _("A version can be taken out of use."), _switch(enabled=False)),
    Step(
        "prove_disabled",
        _("Verify that it is refused"),
        _("The vault refuses every use of a disabled version."),
        _prove(wants_refusal=True),
        forgives=True,
    ),
    Step("enable", _("Enable it again"), _("A version can be put back into use."), _switch(enabled=True)),
    Step("delete", _("Delete the Azure key"), _("The key can be withdrawn; the keys here stay."), _delete),
    Step("recover", _("Recover it"), _("A deletion can be undone."), _recover, _not_recoverable, forgives=True),
    Step(
        "prove_recovered",
        _("Verify after the recovery"),
        _("The recovered version works."),
        _prove(),
        _not_live,
        forgives=True,
    ),
    Step("remove", _("Clean up: delete"), _("Nothing live stays in the vault."), _delete, _not_live, is_cleanup=True),
    Step(
        "purge",
        _("Clean up: purge"),
        _("Nothing of it stays in the vault, where that is allowed."),
        _purge,
        _not_purgeable,
        is_cleanup=True,
        forgives=True,
    ),
    Step(
        "destroy",
        _("Clean up: destroy here"),
        _("The throw-away key material here is erased."),
        _destroy,
        _no_keys,
        is_cleanup=True,
    ),
    Step(
        "report",
        _("Look once more, and sign the report"),
        _("What is left is known, and the report can't be changed unseen."),
        _sign_report,
        is_cleanup=True,
    ),
)
BY_NAME = {step.name: step for step in STEPS}
