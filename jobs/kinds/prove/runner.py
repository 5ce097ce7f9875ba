"""Prove: let the vault sign a challenge, and verify that with the public key kept here.

Only the holder of the private half can do so: it shows that the vault has the very key that was made in
the HSM, and that it can be used. Changes nothing, so it is harmless to repeat.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.signatures import algorithm_of, is_signature_of_key
from jobs.choices import TargetState
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.models import Job
from keygroups.models import CloudVersion
from kmes.core.errors import KmesError


def run_prove(run: JobRun) -> None:
    """Prove the job's version, or that the vault refuses to use it.

    Raises:
        KmesError: the signature is not that of the key here (code ``verify_failed``), or the vault signs
            although the version is disabled (code ``not_refused``).

    """
    version = CloudVersion.objects.select_related("group", "vault__credential", "key").get(
        pk=run.job.params["version_id"]
    )
    challenge = f"KMES challenge {run.job.code} {secrets.token_hex(16)}".encode()
    with step(run, "sign_challenge"):
        signature = _sign(run, version, challenge)
    proof = {"kid": version.kid, "challenge": challenge.decode()}
    if run.job.params["wants_refusal"]:
        if signature is not None:
            raise KmesError(
                _("The vault signed with version %(version)s although it is disabled.")
                % {"version": version.azure_version},
                _("Run Cloud > Check Drift: somebody may have enabled it."),
                code="not_refused",
            )
        text = _("The vault refuses to use the disabled version %(version)s") % {"version": version.azure_version}
    else:
        with step(run, "verify_signature"):
            proof |= _verified(version, challenge, signature or b"")
        text = _("Version %(version)s signed; the signature verifies with the public key kept here") % {
            "version": version.azure_version
        }
    with run.write() as tx:
        Job.objects.filter(pk=run.job.pk).update(run_notes={**run.job.run_notes, "proof": proof})
        for target in run.pending_targets():
            tx.record_result(target, TargetState.DONE, text)
        tx.add_message(text)
        tx.log("azure.signature_verified", text, key=version.key, version=version.azure_version)


def _sign(run: JobRun, version: CloudVersion, challenge: bytes) -> bytes | None:
    """Return the vault's signature; None when it refused as it was meant to."""
    wants_refusal = run.job.params["wants_refusal"]
    gateway = gateway_for(run, version.vault)
    gateway.get_token()
    try:
        expected = [CloudErrorKind.KEY_DISABLED] if wants_refusal else []
        with gateway.expecting(*expected), run.calls_about(version.key):
            return gateway.sign(version.azure_name, version.azure_version, spec=version.key.spec, message=challenge)
    except CloudError as error:
        if wants_refusal and error.kind == CloudErrorKind.KEY_DISABLED:
            return None
        raise


def _verified(version: CloudVersion, challenge: bytes, signature: bytes) -> dict[str, str]:
    key = version.key
    if not is_signature_of_key(signature, spec=key.spec, public_spki=bytes(key.public_spki), message=challenge):
        raise KmesError(
            _("The signature of %(kid)s is not one of key “%(key)s”.") % {"kid": version.kid, "key": key.name},
            _("The vault holds another key under this version. Run Cloud > Check Drift, and do not use it."),
            code="verify_failed",
        )
    return {
        "algorithm": algorithm_of(key.spec),
        "signature": urlsafe_b64encode(signature).rstrip(b"=").decode(),
        "thumbprint": key.thumbprint,
    }


RUNNER = Runner(
    run=run_prove,
    clean_up=nothing_to_clean_up,
    abandon_key=nothing_to_abandon,
    log_failure=no_failure_event,
)
