"""Whether a process of this console asked for a job as it is. Writing to the database is not enough to make one.

A worker checks it each time it takes a job up, before anything else; a job that does not pass is ended. It is
checked as well where a new job is made after an old one: a retry, or the next attempt of a due rotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential
from jobs.engine.signatures import may_ask, message_of_job, message_of_target
from jobs.models import Job, JobTarget
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError, KmesError
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import is_known, is_signed
from logging_reports.choices import Service
from logging_reports.models import LogEntry

REQUESTED = ("job.requested", "job.retried")
# Written in the transaction that ends a job.
ENDED = ("job.finished", "job.failed", "job.refused", "job.not_genuine", "job.cancelled")


class NotGenuine(KmesError):
    """A job, or a key of it, is not as a process of this console asked for it."""

    code = "not_genuine"


def check_request(job: Job) -> frozenset[UUID]:
    """Check that the job is as it was requested, by a process that may. Return the keys it was requested for.

    Raises:
        NotGenuine: it is not.
        ConflictError: what it works on was deleted since.
        RequestKeyError: the public halves can't be read.

    """
    targets = list(job.targets.order_by("ordinal", "pk"))
    requested = [target.key_id for target in targets if not target.request_signature]
    signature = bytes(job.request_signature)
    if not signature:
        raise NotGenuine(
            _(
                "The job carries no signature: it was requested before requests were signed, or its row was written "
                "past the console."
            ),
            _("Request it again, if it was meant."),
            code="not_signed",
        )
    if not is_known(job.request_signer):
        raise NotGenuine(
            _("The job is signed by “%(signer)s”, of whom no key is accepted here.") % {"signer": job.request_signer},
            _(
                "Find out why: was a key removed, or the row written past the console? If it was meant, request it again."
            ),
        )
    if not _is_as_requested(job, requested, signature):
        _refuse_deleted(job, requested, signature)
        raise NotGenuine(
            _("The job is not as it was requested: its signature does not hold."),
            _("Find out who writes to the database. If the job was meant, request it again."),
        )
    if not may_ask(job.request_signer, job):
        raise NotGenuine(
            _("The process “%(process)s” may not request jobs with the trigger “%(trigger)s”.")
            % {"process": job.request_signer, "trigger": job.trigger},
            _("Find out what runs in that process."),
        )
    for target in targets:
        if target.request_signature:
            check_target(target)
    return frozenset(requested)


def is_genuine(job: Job) -> bool:
    """Return whether the job is as it was requested.

    Raises:
        RequestKeyError: the public halves can't be read.

    """
    try:
        check_request(job)
    except (NotGenuine, ConflictError):
        return False
    return True


def check_target(target: JobTarget) -> None:
    """Check that a key was added to its job by the worker.

    Raises:
        NotGenuine: it was not.
        RequestKeyError: the public halves can't be read.

    """
    if not is_signed(message_of_target(target), bytes(target.request_signature), Signer.WORKER):
        raise NotGenuine(
            _("The job was not requested for the key “%(key)s”.") % {"key": target.key.name},
            _("Find out who writes to the database. If the job was meant, request it again."),
        )


def check_not_ended(job: Job) -> None:
    """Check that the job never ended: the signature of one that did still holds.

    Raises:
        NotGenuine: the log says that it ended.

    """
    if LogEntry.objects.filter(service=Service.AUDIT, job_id=job.pk, event__in=ENDED).exists():
        raise NotGenuine(
            _("The job ended before, as the log says, and was put back into the queue."),
            _("Find out who writes to the database. If the job was meant, request it again."),
        )


def _is_as_requested(
    job: Job, key_ids: Sequence[UUID], signature: bytes, *, group_id: object = None, credential_id: object = None
) -> bool:
    try:
        message = message_of_job(job, key_ids, group_id=group_id, credential_id=credential_id)
    except ValueError:
        return False
    return is_signed(message, signature, job.request_signer)


def _refuse_deleted(job: Job, key_ids: Sequence[UUID], signature: bytes) -> None:
    """Tell a genuine job whose key group or credential was deleted from one that was changed: no reason for an alarm.

    Raises:
        ConflictError: it is such a job.

    """
    row = LogEntry.objects.filter(service=Service.AUDIT, job_id=job.pk, event__in=REQUESTED).first()
    if row is None:
        return
    lost_group = row.group_id if job.group_id is None else ""
    lost_credential = row.credential_id if job.credential_id is None else ""
    is_gone = (lost_group and not KeyGroup.objects.filter(pk=lost_group).exists()) or (
        lost_credential and not CloudCredential.objects.filter(pk=lost_credential).exists()
    )
    # The log kept the ids that deleting took out of the row.
    if is_gone and _is_as_requested(
        job, key_ids, signature, group_id=lost_group or None, credential_id=lost_credential or None
    ):
        raise ConflictError(_("What the job was to work on was deleted."))
