"""Retry: a new job, linked to one that failed, for what that one left undone."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Q
from django.utils.translation import gettext as _

from cloudcreds.models import KeyVault
from jobs import inquiries, services
from jobs.choices import JobKind, JobState, TargetState
from jobs.models import Job
from jobs.proofs import request_proof
from keygroups.models import CloudVersion, Key, KeyGroup
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

RETRYABLE_STATES = frozenset({JobState.FAILED, JobState.PARTLY_FAILED, JobState.CANCELLED})


def request_retry(*, job: Job, actor: Actor, idempotency_key: str = "") -> Job:
    """Make the job that does what ``job`` left undone; what it did is not done again.

    Raises:
        ConflictError: the job is not over, or what it was about no longer exists or can't be retried.

    """
    if job.state not in RETRYABLE_STATES:
        raise ConflictError(_("Only a failed or cancelled job can be retried."), _("Reload the page."))
    retry = _RETRIES.get(JobKind(job.kind))
    if retry is None:
        raise ConflictError(_("This kind of job is not retried by hand."), _("Start anew what it belonged to."))
    return retry(job, actor, idempotency_key)


def _undone(job: Job) -> list[Key]:
    undone = job.targets.exclude(state=TargetState.DONE).select_related("key__group__vault")
    if not undone and job.targets.exists():
        raise ConflictError(
            _("Each key of the job was done; what failed came after."),
            _("Read the job's error; there is nothing left to retry."),
        )
    return [target.key for target in undone]


def _group(job: Job) -> KeyGroup:
    if job.group is None:
        raise ConflictError(_("The key group no longer exists."))
    return job.group


def _synchronize(job: Job, actor: Actor, key: str) -> Job:
    return services.request_synchronize(keys=_undone(job), actor=actor, idempotency_key=key, retry_of=job)


def _destroy(job: Job, actor: Actor, key: str) -> Job:
    return services.request_destroy(keys=_undone(job), actor=actor, idempotency_key=key, retry_of=job)


def _create(job: Job, actor: Actor, key: str) -> Job:
    group = _group(job)
    names = [name for name in job.params["names"] if not group.keys.filter(name__iexact=name).exists()]
    return services.request_create_keys(group=group, names=names, actor=actor, idempotency_key=key, retry_of=job)


def _set_enabled(job: Job, actor: Actor, key: str) -> Job:
    version = CloudVersion.objects.get(pk=job.params["version_id"])
    return services.request_set_enabled(
        version=version, enabled=job.params["enabled"], actor=actor, idempotency_key=key, retry_of=job
    )


def _repair(job: Job, actor: Actor, key: str) -> Job:
    rows = _group(job).observations.select_related("group__credential", "group__vault", "version__key")
    undone = Q(version__key__in=[key.pk for key in _undone(job)]) | Q(azure_version__in=job.params["strangers"])
    return services.request_repair(
        observations=list(rows.filter(undone)), actor=actor, idempotency_key=key, retry_of=job
    )


def _connection(job: Job, actor: Actor, key: str) -> Job:
    if job.credential is None:
        raise ConflictError(_("The cloud credential no longer exists."))
    if job.kind == JobKind.LIST_VAULTS:
        return inquiries.request_vault_list(credential=job.credential, actor=actor, idempotency_key=key, retry_of=job)
    vault_id = job.params.get("vault_id")
    vault = KeyVault.objects.filter(pk=vault_id).first() if vault_id else None
    return inquiries.request_connection_test(
        credential=job.credential, vault=vault, actor=actor, idempotency_key=key, retry_of=job
    )


def _prove(job: Job, actor: Actor, key: str) -> Job:
    version = CloudVersion.objects.select_related("key", "group__vault", "group__credential").get(
        pk=job.params["version_id"]
    )
    return request_proof(
        version=version, wants_refusal=job.params["wants_refusal"], actor=actor, idempotency_key=key, retry_of=job
    )


def _self_test(job: Job, actor: Actor, key: str) -> Job:
    return inquiries.request_self_test(actor=actor, idempotency_key=key, retry_of=job)


def _on_group(request: Callable[..., Job]) -> Callable[[Job, Actor, str], Job]:
    """Retry a kind of job whose request takes the group and nothing else."""
    return lambda job, actor, key: request(group=_group(job), actor=actor, idempotency_key=key, retry_of=job)


def _on_whole_key(request: Callable[..., Job]) -> Callable[[Job, Actor, str], Job]:
    """The same, with what was to follow the job."""
    return lambda job, actor, key: request(
        group=_group(job), actor=actor, idempotency_key=key, retry_of=job, then=job.params.get("then", ())
    )


_RETRIES: dict[JobKind, Callable[[Job, Actor, str], Job]] = {
    JobKind.CREATE: _create,
    JobKind.SYNCHRONIZE: _synchronize,
    JobKind.ROTATE: _on_group(services.request_rotation),
    JobKind.SET_ENABLED: _set_enabled,
    JobKind.CLOUD_DELETE: _on_whole_key(services.request_cloud_delete),
    JobKind.CLOUD_RECOVER: _on_group(services.request_cloud_recover),
    JobKind.CLOUD_PURGE: _on_whole_key(services.request_cloud_purge),
    JobKind.DESTROY: _destroy,
    JobKind.CHECK_DRIFT: _on_group(inquiries.request_check_drift),
    JobKind.REPAIR: _repair,
    JobKind.TEST_CONNECTION: _connection,
    JobKind.LIST_VAULTS: _connection,
    JobKind.SELF_TEST: _self_test,
    JobKind.PROVE: _prove,
}
