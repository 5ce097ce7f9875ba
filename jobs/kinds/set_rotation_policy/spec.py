"""Set rotation policy: replace a Rotate action on a BYOK key by Notify, so that Azure makes no key of its own."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan, vault_facts
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning import blockers
from jobs.planning.requests import retry_on_group
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_one_call
from keygroups import readings
from keygroups.choices import GroupCloudState
from keygroups.models import KeyGroup
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError

KIND = "set_rotation_policy"


def request_set_rotation_policy(
    *, group: KeyGroup, actor: Actor, idempotency_key: str = "", retry_of: Job | None = None
) -> Job:
    """Ask for the rotation policy of the group's Azure key to be replaced by one that only notifies.

    Raises:
        ConflictError: the vault has no such key.

    """
    check(actor, Right.KEY_ROTATE, group)
    group.refresh_from_db(fields=["cloud_state"])
    if group.cloud_state != GroupCloudState.LIVE:
        raise ConflictError(
            _("The Azure key “%(key)s” is: %(state)s.")
            % {"key": group.azure_name, "state": group.get_cloud_state_display()},
            _("A rotation policy can be set on a live key only."),
        )
    new = NewJob(KIND, group.azure_name, group=group, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def why_not_replace(group: KeyGroup) -> str:
    """Say why the rotation policy can't be replaced now; "" when it can."""
    if group.cloud_state != GroupCloudState.LIVE:
        return _("The vault has no live key of this name")
    policy = readings.find_policy(group)
    if policy is not None and not policy.rotates:
        return _("The key has no Rotate action, by the last comparison")
    return blockers.busy_text(blockers.situation_of_group(group).open_job)


def _plan(target: StartTarget) -> Plan:
    group = target.the_group
    policy = readings.find_policy(group)
    facts = vault_facts(group)
    if policy is not None:
        facts += [
            (_("Rotation policy, last read"), readings.describe(policy)),
            (_("Rotation policy, wanted"), readings.describe(readings.without_rotation(policy))),
        ]
    return Plan(
        title=_("Replace rotation policy of “%(key)s”") % {"key": group.azure_name},
        button=_("Replace by Notify"),
        back=group.get_absolute_url(),
        facts=facts,
        effects=[
            _("The Rotate action is taken out of the key's rotation policy; Notify stays, or is added at 30 days."),
            _("Azure makes no versions of its own any more. This console rotates the key, with material of the HSM."),
            _("Versions that Azure made already stay; a comparison shows them."),
            _("Scanners report a key without a Rotate action (CIS Azure 8.3.9). For a BYOK key, record an exception."),
        ],
        obstacle=why_not_replace(group),
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_set_rotation_policy(group=target.the_group, **given)


SET_ROTATION_POLICY = JobSpec(
    kind=KIND,
    title=gettext_lazy("Replace rotation policy"),
    right=Right.KEY_ROTATE,
    wording=Wording("Replacing", "Replaced", "replace"),
    counts_keys=False,
    steps=(Step("set_rotation_policy", gettext_lazy("Replace rotation policy")),),
    scope=Scope.NO_KEY,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    # It is started from the vault's page, where the alarm shows.
    menu=(),
    confirmation=Confirmation(needs=("group",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_one_call,
    retry=retry_on_group(request_set_rotation_policy),
    follow=None,
    approval=None,
    runner="jobs.kinds.set_rotation_policy.runner.RUNNER",
)
