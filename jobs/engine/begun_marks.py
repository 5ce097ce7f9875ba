"""The worker's mark on a job that others approve: it made its first change, so the plan no longer matches the rows.

After that the plan is not compared again. The mark is signed, because anyone who can write to the database could add
a row.
"""

from __future__ import annotations

import base64
import binascii
from functools import partial

from django.db import transaction

from jobs.models import Job
from jobs.spec import registry
from kmes.core.request_keys import Signer
from kmes.core.request_signatures import encode, is_signed, sign

BEGUN = "kmes approved job begun"
# A member of a job's ``run_notes``.
_NOTE = "begun"


def mark_begun(job: Job) -> None:
    """Mark a job that policies can be about, once, in the transaction of its first change.

    Raises:
        RequestKeyError: the worker's key can't be read.

    """
    spec = registry.find(job.kind)
    if spec is None or spec.approval is None or _NOTE in job.run_notes:
        return
    mark = base64.b64encode(sign(_message_of(job), Signer.WORKER)).decode()
    notes = {**job.run_notes, _NOTE: mark}
    Job.objects.filter(pk=job.pk).update(run_notes=notes)
    # Not before: the transaction may roll back.
    transaction.on_commit(partial(setattr, job, "run_notes", notes))


def has_begun(job: Job) -> bool:
    """Return whether the worker marked the job.

    Raises:
        RequestKeyError: the public halves can't be read.

    """
    try:
        mark = base64.b64decode(str(job.run_notes.get(_NOTE, "")), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        return False
    return is_signed(_message_of(job), mark, Signer.WORKER)


def _message_of(job: Job) -> bytes:
    return encode(BEGUN, {"job": str(job.pk)})
