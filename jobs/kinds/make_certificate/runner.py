"""Let the device make a key and a certificate to sign in with, and store them with the credential."""

from __future__ import annotations

from datetime import timedelta

from django.utils.translation import gettext as _

from cloudcreds import certificates
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.kinds.subjects import credential_of


def run_make_certificate(run: JobRun) -> None:
    """Make the certificate. What a lost worker made and did not store is nowhere: the key was in its session only.

    Raises:
        DeviceError: the device can't serve.

    """
    credential = credential_of(run)
    with step(run, "make_certificate"):
        valid_for = timedelta(days=int(run.job.params["days"]))
        made = run.device().make_certificate(common_name=credential.name, valid_for=valid_for)
    with run.write() as tx:
        row = certificates.keep_made_within(credential, made, actor=run.actor)
        tx.log("device.key_generated", f"Key of certificate {row.thumbprint} made in the device")
        tx.add_message(
            _("Certificate %(thumbprint)s is made and valid until %(date)s")
            % {"thumbprint": row.thumbprint, "date": f"{row.not_after:%Y-%m-%d}"}
        )
        tx.add_message(_("Download it on the page of the credential and register it with the application in Entra"))


RUNNER = Runner(
    run=run_make_certificate,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
