"""What the requests of several kinds share: checks that are made, and names that are given, before a job is created."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cloudcreds.models import CloudCredential
from cloudcreds.vaults import choose_premium, why_not_hsm_keys
from hsm.services import designated_device
from jobs.choices import TargetState
from jobs.engine.approval_places import lying_in
from jobs.engine.approval_policies import DISABLE_CURRENT, requirements_of
from jobs.models import Job
from jobs.spec import Given
from keygroups.choices import LIVE_VERSION_STATES, GroupCloudState, VersionState
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core import language
from kmes.core.errors import ConflictError


def require_device() -> None:
    """Refuse work that needs the HSM while no device is designated.

    Raises:
        DeviceError: none is.

    """
    designated_device()


def require_live(version: CloudVersion) -> None:
    """Refuse work on a version that the vault doesn't hold.

    Raises:
        ConflictError: it doesn't.

    """
    if version.state not in LIVE_VERSION_STATES:
        raise ConflictError(
            _("The vault holds no live version of key “%(key)s”.") % {"key": version.key.name},
            _("Synchronize the key first."),
        )


def refuse_deleted_group(group: KeyGroup) -> None:
    """Refuse work that needs the name of an Azure key that is deleted but recoverable.

    Raises:
        ConflictError: it is.

    """
    if group.cloud_state == GroupCloudState.SOFT_DELETED:
        raise ConflictError(
            _("The Azure key “%(key)s” is deleted but recoverable, so its name can't be used.")
            % {"key": group.azure_name},
            _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
        )


def only_group(keys: Sequence[Key]) -> KeyGroup | None:
    """Return the group that all the keys are of; None when they are of several."""
    return keys[0].group if len({key.group_id for key in keys}) == 1 else None


def subject_of_keys(keys: Sequence[Key]) -> str:
    """Return what a job on these keys is about: the key's name, or how many there are."""
    if len(keys) == 1:
        return keys[0].name
    groups = len({key.group_id for key in keys})
    with language.of_records():
        text = ngettext("%d key", "%d keys", len(keys)) % len(keys)
        return text if groups == 1 else _("%(keys)s in %(count)d key groups") % {"keys": text, "count": groups}


def refuse_standard_vault(group: KeyGroup) -> None:
    """Refuse to push into a vault that holds no HSM keys, before anything is made.

    Raises:
        ConflictError: it is known to be of the Standard tier.

    """
    if reason := why_not_hsm_keys(group.vault):
        raise ConflictError(f"{reason}.", choose_premium(), code="standard_vault")


def refuse_disabled_push(group: KeyGroup) -> None:
    """Refuse a push that would replace a used version by a disabled one, where others have to approve that.

    Raises:
        ConflictError: a policy asks for approvals.
        StrangePolicy: it is not as this console wrote it.

    """
    if group.enabled_on_push or not group.cloud_versions.filter(state=VersionState.ACTIVE).exists():
        return
    if lying_in(requirements_of([DISABLE_CURRENT]), [group.pk], []):
        raise ConflictError(
            _(
                "What is pushed to “%(group)s” arrives disabled and replaces the current version. A policy asks for "
                "approvals before a current version is disabled."
            )
            % {"group": group.name},
            remedy_of_disabled_push(),
            code="needs_approval",
        )


def remedy_of_disabled_push() -> str:
    """Say what helps where such a push was refused."""
    return _("Turn “Enabled on push” on, or disable the current version first, which others approve.")


# --- Retries ---------------------------------------------------------------------------------
def group_of(job: Job) -> KeyGroup:
    """Return the key group of a job that is retried.

    Raises:
        ConflictError: it no longer exists.

    """
    if job.group is None:
        raise ConflictError(_("The key group no longer exists."))
    return job.group


def credential_of(job: Job) -> CloudCredential:
    """Return the cloud credential of a job that is retried.

    Raises:
        ConflictError: it no longer exists.

    """
    if job.credential is None:
        raise ConflictError(_("The cloud credential no longer exists."))
    return job.credential


def undone_keys(job: Job) -> list[Key]:
    """Return the keys that a job left undone.

    Raises:
        ConflictError: there is none.

    """
    undone = job.targets.exclude(state=TargetState.DONE).select_related("key__group__vault")
    if not undone and job.targets.exists():
        raise ConflictError(
            _("Each key of the job was done; what failed came after."),
            _("Read the job's error; there is nothing left to retry."),
        )
    return [target.key for target in undone]


def retry_on_group(request: Callable[..., Job]) -> Callable[[Job, Given], Job]:
    """Return the retry of a kind whose request takes the group and nothing else."""

    def retry(job: Job, given: dict[str, Any]) -> Job:
        return request(group=group_of(job), retry_of=job, **given)

    return retry
