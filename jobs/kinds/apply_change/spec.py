"""Changes that are made by the web process, not by a worker, as jobs that others approve: one kind for each action.

Such a job is requested where a policy asks for approvals, and waits for them like others. No worker ever takes it up: its
requester applies it (``jobs.approvals.changes``), who is the one to be shown a one-time password.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.choices import JobState
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.spec import Approval, JobSpec, Scope, Step, Text, Wording, leaves_nothing
from kmes.accounts.rights import Right
from kmes.core import language
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import Change, Description, find_operation

_RUNNER = "jobs.kinds.apply_change.runner.RUNNER"


def request_change(*, change: Change, actor: Actor, reason: str) -> Job:
    """Ask for the approval of a change. Return the job that waits, also the one that asks for the same already.

    Raises:
        InputError: there is no reason.
        ConflictError: the policy was ended meanwhile, or the requester has too many open requests.

    """
    operation = find_operation(change.operation)
    with language.of_records():
        subject = operation.describe(change.values).subject
    params = {"operation": change.operation, "values": dict(change.values)}
    for waiting in Job.objects.filter(state=JobState.AWAITING, requested_by=actor.user_id, kind=operation.action):
        if waiting.params == params:
            # A form that was sent twice.
            return waiting
    new = NewJob(operation.action, subject, params=params, **operation.about(change.values))
    with transaction.atomic():
        job = create_job(new, actor=actor, idempotency_key="", reason=reason)
        if job.state == JobState.QUEUED:
            # No worker can do it.
            raise ConflictError(_("No policy asks for approvals any more."), _("Send the form again."))
    return job


def change_of(job: Job) -> Change:
    """Return the change that a job is."""
    return Change(str(job.params["operation"]), job.params["values"])


def describe_change(change: Change) -> Description:
    """Return what a change does.

    Raises:
        ConflictError: what it is about is gone.

    """
    return find_operation(change.operation).describe(change.values)


def _plan(job: Job) -> Plan:
    found = describe_change(change_of(job))
    return Plan(
        title=found.title,
        button=_("Apply change"),
        back=found.back,
        facts=found.facts,
        effects=found.effects,
        warnings=found.warnings,
    )


def _actions(job: Job) -> tuple[str, ...]:
    operation = find_operation(change_of(job).operation)
    if operation.action != job.kind:
        raise ConflictError(_("The change is not of this kind."))
    return (operation.action,)


def _expected(_target: StartTarget) -> tuple[str, ...]:
    return ()


def _spec(kind: str, title: Text, right: Right, label: Text) -> JobSpec:
    return JobSpec(
        kind=kind,
        title=title,
        right=right,
        wording=Wording("Changing", "Changed", "change"),
        counts_keys=False,
        steps=(Step("apply_change", gettext_lazy("Apply the change")),),
        scope=Scope.NO_KEY,
        holds_azure_key=False,
        blocks_group=False,
        pushes_keys=False,
        failpoints="apply_change",
        menu=(),
        confirmation=None,
        left_by_cancel=leaves_nothing,
        retry=None,
        follow=None,
        approval=Approval(label=label, actions=_actions, expected=_expected, plan=_plan, is_applied_by_requester=True),
        runner=_RUNNER,
    )


CHANGES = (
    _spec(
        "change_users",
        gettext_lazy("Change a user"),
        Right.USER_MANAGE,
        gettext_lazy("Add users, change their roles, reset passwords and second factors, set up company sign-on"),
    ),
    _spec("change_roles", gettext_lazy("Change a role"), Right.ROLE_MANAGE, gettext_lazy("Add and change roles")),
    _spec(
        "change_credentials",
        gettext_lazy("Change a cloud credential"),
        Right.CREDENTIAL_MANAGE,
        gettext_lazy("Add cloud credentials, change their tenant, client or address"),
    ),
    _spec(
        "change_device",
        gettext_lazy("Designate a device"),
        Right.DEVICE_MANAGE,
        gettext_lazy("Designate the device that pushes key material"),
    ),
    _spec(
        "change_options",
        gettext_lazy("Change retention and limits"),
        Right.CONFIGURATION_MANAGE,
        gettext_lazy("Change retention and limits"),
    ),
    _spec(
        "change_forwarding",
        gettext_lazy("Change log forwarding"),
        Right.LOG_FORWARD,
        gettext_lazy("Add, change and delete log destinations"),
    ),
    _spec(
        "change_destinations",
        gettext_lazy("Change where keys go"),
        Right.GROUP_MANAGE,
        gettext_lazy("Add key groups, change their vault, credential or Azure key name, adopt Azure keys"),
    ),
    _spec(
        "resume_restored",
        gettext_lazy("Resume rotations after a restore"),
        Right.KEY_ROTATE,
        gettext_lazy("Resume rotations after a restore"),
    ),
    _spec("change_dual_login", gettext_lazy("Change dual login"), Right.USER_MANAGE, gettext_lazy("Change dual login")),
)
CHANGE_KINDS = frozenset(spec.kind for spec in CHANGES)
