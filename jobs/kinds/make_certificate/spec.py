"""Make Certificate: a key in the device, and a certificate for it that a credential can sign in with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cloudcreds.certificates import find_waiting
from cloudcreds.choices import SignIn
from cloudcreds.models import CloudCredential
from jobs.confirmation.forms import FormInput, StartForm
from jobs.confirmation.plan import Plan
from jobs.confirmation.start_target import StartTarget, is_enough
from jobs.engine.creation import NewJob, create_job
from jobs.models import Job
from jobs.planning.requests import credential_of
from jobs.spec import Confirmation, Given, JobSpec, Scope, Step, Wording
from kmes.accounts.rights import Right, check
from kmes.core.actor import Actor
from kmes.core.errors import InputError

KIND = "make_certificate"
# Days; policies of a tenant may ask for less than a year.
LIFETIMES = (
    ("90", gettext_lazy("90 days")),
    ("180", gettext_lazy("180 days")),
    ("365", gettext_lazy("1 year")),
    ("730", gettext_lazy("2 years")),
)
DEFAULT_DAYS = "365"


class CertificateForm(StartForm):
    """Asks how long the certificate is valid."""

    days = forms.ChoiceField(
        label=gettext_lazy("Valid for"),
        choices=LIFETIMES,
        initial=DEFAULT_DAYS,
        help_text=gettext_lazy("A policy of the tenant may limit it."),
    )


def request_certificate(
    *,
    credential: CloudCredential,
    days: int,
    actor: Actor,
    idempotency_key: str = "",
    retry_of: Job | None = None,
) -> Job:
    """Ask for a certificate that the credential can sign in with.

    Raises:
        PermissionRefused: the actor may not manage credentials.
        InputError: such a lifetime is not offered (field ``days``).

    """
    check(actor, Right.CREDENTIAL_MANAGE)
    if str(days) not in dict(LIFETIMES):
        raise InputError(_("There is no such lifetime."), _("Choose one from the list."), field="days")
    new = NewJob(KIND, credential.name, credential=credential, params={"days": days}, retry_of=retry_of)
    return create_job(new, actor=actor, idempotency_key=idempotency_key)


def _plan(target: StartTarget) -> Plan:
    credential = target.the_credential
    waiting = find_waiting(credential)
    warnings = []
    if waiting is not None:
        warnings.append(
            _("The certificate %(thumbprint)s, which waits to be registered, is replaced; its key is destroyed.")
            % {"thumbprint": waiting.thumbprint}
        )
    return Plan(
        title=_("Make a certificate for %(name)s") % {"name": credential.name},
        button=_("Make certificate"),
        back=credential.get_absolute_url(),
        facts=[
            (_("Cloud credential"), credential.name),
            (_("Signs in now with"), str(credential.get_sign_in_display())),
        ],
        effects=[
            _(
                "A worker lets the device make an RSA key of 3,072 bits and a certificate. The key never leaves it in clear."
            ),
            _("Download the certificate on the page of the credential and register it with the application in Entra."),
            _("What the credential signs in with now stays in use until Use certificate is chosen there.")
            if credential.sign_in != SignIn.DEVICE_CERTIFICATE or credential.sign_in_expires_on
            else _("The credential can sign in as soon as it is registered."),
        ],
        warnings=warnings,
    )


def _form(given: FormInput) -> CertificateForm:
    return CertificateForm(given.data)


def _start(target: StartTarget, form: Any, given: Given) -> Job:
    return request_certificate(credential=target.the_credential, days=int(form.cleaned_data["days"]), **given)


def _retry(job: Job, given: Given) -> Job:
    return request_certificate(credential=credential_of(job), days=int(job.params["days"]), retry_of=job, **given)


def _left_by_cancel() -> str:
    return _("A certificate that is not stored yet is dropped with its key.")


MAKE_CERTIFICATE = JobSpec(
    kind=KIND,
    title=gettext_lazy("Make Certificate"),
    right=Right.CREDENTIAL_MANAGE,
    wording=Wording("Making", "Made", "make"),
    counts_keys=False,
    steps=(Step("make_certificate", gettext_lazy("Make key and certificate in the device")),),
    scope=Scope.NO_KEY,
    holds_azure_key=False,
    blocks_group=False,
    pushes_keys=False,
    failpoints=KIND,
    menu=(),
    confirmation=Confirmation(needs=("credential",), is_complete=is_enough, plan=_plan, form=_form, start=_start),
    left_by_cancel=_left_by_cancel,
    retry=_retry,
    follow=None,
    approval=None,
    runner="jobs.kinds.make_certificate.runner.RUNNER",
)
