"""Prove: a signature made in the vault that is verified with the public key kept here."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.confirmation.forms import plain_form
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning.requests import require_device, require_live
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording, leaves_nothing
from keygroups.choices import LIVE_VERSION_STATES
from keygroups.models import CloudVersion
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor

KIND = "prove"


def request_proof(
    *,
    version: CloudVersion,
    actor: Actor,
    wants_refusal: bool = False,
    idempotency_key: str = "",
    retry_of: Job | None = None,
) -> Job:
    """Ask for a version to be proved; with ``wants_refusal`` the proof is that the vault refuses to sign.

    Raises:
        ConflictError: the vault holds no such version.

    """
    check(actor, Right.KEY_PUSH, version)
    require_device()
    require_live(version)
    new = NewJob(
        KIND,
        version.key.name,
        group=version.group,
        keys=[version.key],
        params={"version_id": str(version.pk), "wants_refusal": wants_refusal},
        retry_of=retry_of,
    )
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    version = target.the_version
    return Plan(
        title=_("Prove %(key)s by a signature") % {"key": version.key.name},
        button=_("Prove key"),
        back=version.key.get_absolute_url(),
        facts=[(_("Azure key name"), version.azure_name), (_("Azure version"), version.azure_version)],
        effects=[
            _("The vault signs a random challenge with this version; the key permission Sign is needed."),
            _("The signature is verified here with the public key kept here. Nothing is changed."),
        ],
        obstacle="" if version.state in LIVE_VERSION_STATES else _("The vault holds no live version of this key"),
    )


def _start(target: StartTarget, _form: Any, given: Given) -> Job:
    return request_proof(version=target.the_version, **given)


def _retry(job: Job, given: Given) -> Job:
    versions = CloudVersion.objects.select_related("key", "group__vault", "group__credential")
    return request_proof(
        version=versions.get(pk=job.params["version_id"]),
        wants_refusal=job.params["wants_refusal"],
        retry_of=job,
        **given,
    )


PROVE = JobSpec(
    kind=KIND,
    title=gettext_lazy("Prove HSM Protected key(s)"),
    right=Right.KEY_PUSH,
    wording=Wording("Proving", "Proved", "prove"),
    counts_keys=True,
    steps=(
        Step("sign_challenge", gettext_lazy("Let the vault sign a challenge")),
        Step("verify_signature", gettext_lazy("Verify the signature here")),
    ),
    scope=Scope.KEYS,
    holds_azure_key=True,
    blocks_group=True,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(needs=("version",), is_complete=is_enough, plan=_plan, form=plain_form, start=_start),
    left_by_cancel=leaves_nothing,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.prove.runner.RUNNER",
)
