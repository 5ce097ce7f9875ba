"""What the signature of a job covers, and which process may ask for what.

A job is signed when it is created, by the process that asks for it, over all that says what is to be done and for
whom. What changes while the job waits and runs is not covered: its state, lease, fence, locks and times, the states
of its targets, and ``run_notes``. A key that a run adds to its job has a signature of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.models import Job, JobTarget
from kmes.core.actor import PEOPLE, Trigger
from kmes.core.errors import PermissionRefused
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, sign

JOB = "kmes job"
TARGET = "kmes job target"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Asks:
    """What a process may ask for."""

    triggers: frozenset[str]
    # Whether it asks for the next job of a chain, or for a part of a job on many key groups.
    may_follow: bool


# Web asks for what a person has just confirmed. The worker asks for what is due, and goes on with what a person began:
# chains, self-certifications, and the parts of a job on many key groups.
_ASKS: dict[str, _Asks] = {
    Signer.WEB: _Asks(frozenset(PEOPLE), may_follow=False),
    Signer.WORKER: _Asks(frozenset(Trigger), may_follow=True),
}
# As whom a process signs. Commands run as the owner of the files, and sign as the process that asks for such jobs.
_SIGNS_AS: dict[str, tuple[Signer, ...]] = {
    "web": (Signer.WEB,),
    "worker": (Signer.WORKER,),
    "manage": (Signer.WEB, Signer.WORKER),
}


def may_ask(signer: str, job: Job) -> bool:
    """Return whether a process may ask for a job: with this trigger, for somebody or nobody, as a follower or not."""
    asks = _ASKS.get(signer)
    if asks is None or job.trigger not in asks.triggers:
        return False
    if (job.trigger in PEOPLE) != (job.requested_by_id is not None):
        return False
    return (job.follows_id is None and job.part_of_id is None) or asks.may_follow


def sign_job(job: Job, key_ids: Sequence[UUID]) -> None:
    """Sign a job that is about to be created for these keys, as the process that this is.

    Raises:
        PermissionRefused: this process may not ask for such a job.
        RequestKeyError: its key can't be read.

    """
    process = settings.KMES_PROCESS
    signer = next((each for each in _SIGNS_AS.get(process, ()) if may_ask(each, job)), None)
    if signer is None:
        raise PermissionRefused(
            _("The process “%(process)s” may not request jobs with the trigger “%(trigger)s”.")
            % {"process": process, "trigger": job.trigger}
        )
    job.request_signer = signer.value
    job.request_signature = sign(message_of_job(job, key_ids), signer)


def message_of_job(
    job: Job, key_ids: Sequence[UUID], *, group_id: object = None, credential_id: object = None
) -> bytes:
    """Return what the signature of a job covers; with other ids of group and credential, where they are given.

    Raises:
        ValueError: the row holds something that no request has.

    """
    return encode(
        JOB,
        {
            "id": str(job.pk),
            "code": job.code,
            "kind": job.kind,
            "subject": job.subject,
            "group": _text(group_id or job.group_id),
            "credential": _text(credential_id or job.credential_id),
            "keys": [str(key_id) for key_id in key_ids],
            "params": job.params,
            "actor": job.actor_name,
            "requested_by": job.requested_by_id,
            "trigger": str(job.trigger),
            "requested_at": (job.created_at - _EPOCH) // timedelta(microseconds=1),
            "retry_of": _text(job.retry_of_id),
            "follows": _text(job.follows_id),
            "signer": job.request_signer,
            # Named where it is set only: signatures of earlier releases stay as they are.
            **({"part_of": _text(job.part_of_id)} if job.part_of_id else {}),
        },
    )


def sign_target(target: JobTarget) -> None:
    """Sign a key that the worker adds to a job that it runs.

    Raises:
        RequestKeyError: the worker's key can't be read.

    """
    target.request_signature = sign(message_of_target(target), Signer.WORKER)


def message_of_target(target: JobTarget) -> bytes:
    """Return what the signature of a key covers that was added to a job."""
    return encode(TARGET, {"job": str(target.job_id), "key": str(target.key_id), "signer": Signer.WORKER.value})


def _text(value: object) -> str | None:
    return None if value is None else str(value)
