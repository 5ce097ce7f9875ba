"""Whether this worker's code can run a job. Other jobs stay queued for a worker that can.

During an upgrade, workers of two releases read one queue. The old one may not know a job's kind, and neither may
work on a schema that isn't its own. Refusing is not failing (docs/decisions/0008-refusing-is-not-failing.md).
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.engine import lifecycle
from jobs.models import Job
from jobs.spec import registry
from kmes.core.schema import Fit, check_fit
from kmes.core.version import VERSION

logger = logging.getLogger(__name__)

_SCHEMA_TEXTS = {
    Fit.BEHIND: gettext_lazy("the database to be migrated to the release of the workers"),
    Fit.AHEAD: gettext_lazy("a worker of the release the database was migrated to"),
}
# Log each job and reason once per process; the scan would repeat it every 15 s.
_logged: set[tuple[UUID, str]] = set()


def is_fit() -> bool:
    """Return whether the database's schema is the one of this code.

    Raises:
        DatabaseError: the database can't be asked.

    """
    return check_fit() == Fit.OK


def can_run(job_id: UUID) -> bool:
    """Return whether this code knows the schema and the job's kind. If not, record on the job what it waits for.

    Raises:
        DatabaseError: the database can't be asked.

    """
    reason = str(_SCHEMA_TEXTS.get(check_fit(), ""))
    if not reason:
        kind = Job.objects.values_list("kind", flat=True).filter(pk=job_id).first()
        if kind is not None and kind not in registry:
            reason = _("a worker that knows jobs of the kind “%(kind)s”") % {"kind": kind}
    if not reason:
        return True
    lifecycle.record_wait(job_id, waiting_for=reason)
    if (job_id, reason) not in _logged:
        _logged.add((job_id, reason))
        logger.warning("release %s leaves job %s in the queue: it waits for %s", VERSION, job_id, reason)
    return False
