"""Device self-test: a worker lets its device prove that it works. Touches no key."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from kmes.accounts.rights import Right, check
from kmes.core import language
from kmes.core.actor import Actor

KIND = "self_test"


def request_self_test(*, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None) -> Job:
    """Ask for the device's self-test to be run by a worker."""
    check(actor, Right.DEVICE_MANAGE)
    new = NewJob(KIND, language.recorded(gettext_lazy("device")), retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(_target: StartTarget) -> Plan:
    return Plan(
        title=_("Run self-test"),
        button=_("Run self-test"),
        back=reverse("hsm:device"),
        effects=[
            _("A worker has the device make random numbers, compute known answers, sign, and wrap a temporary key."),
            _("No key of yours is touched."),
        ],
    )


def _start(_target: StartTarget, _form: Any, given: Given) -> Job:
    return request_self_test(**given)


def _retry(job: Job, given: Given) -> Job:
    return request_self_test(retry_of=job, **given)


SELF_TEST = JobSpec(
    kind=KIND,
    title=gettext_lazy("Device self-test"),
    right=Right.DEVICE_MANAGE,
    wording=Wording("Testing", "Tested", "test"),
    counts_keys=False,
    steps=(Step("self_test", gettext_lazy("Run the self-test")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(needs=(), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_nothing,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.self_test.runner.RUNNER",
)
