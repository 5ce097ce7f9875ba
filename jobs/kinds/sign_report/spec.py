"""Sign report: complete a self-certification's report and sign it in the device. Ends a self-certification."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.spec import JobSpec, Scope, Step, Wording, leaves_nothing
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor

KIND = "sign_report"


def request_signed_report(
    *, certification_id: UUID, number: str, group: KeyGroup, actor: Actor, idempotency_key: str
) -> Job:
    """Ask for the report of a self-certification to be signed."""
    check(actor, Right.DEVICE_MANAGE)
    new = NewJob(KIND, number, group=group, params={"certification_id": str(certification_id)})
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


SIGN_REPORT = JobSpec(
    kind=KIND,
    title=_("Sign report"),
    right=Right.DEVICE_MANAGE,
    wording=Wording("Signing", "Signed", "sign"),
    counts_keys=False,
    steps=(
        Step("look", _("Check what is left in the vault")),
        Step("sign_report", _("Sign the report in the device")),
    ),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=None,
    left_by_cancel=leaves_nothing,
    # A self-certification is begun anew instead.
    retry=None,
    follow=None,
    approval=None,
    runner="jobs.kinds.sign_report.runner.RUNNER",
)
