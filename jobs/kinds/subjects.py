"""What a job is about: its key group or its credential, which may have been removed since it was requested."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.models import CloudCredential
from jobs.engine.run import JobRun
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError


def group_of(run: JobRun) -> KeyGroup:
    """Return the key group of a job on one group.

    Raises:
        ConflictError: it no longer exists.

    """
    if run.job.group is None:
        raise ConflictError(_("The key group no longer exists."))
    return run.job.group


def credential_of(run: JobRun) -> CloudCredential:
    """Return the credential of a job on one credential.

    Raises:
        ConflictError: it no longer exists.

    """
    if run.job.credential is None:
        raise ConflictError(_("The cloud credential no longer exists."))
    return run.job.credential
