"""The part of a comparison that reads what the vault does to the key by itself, and on which HSMs its versions live.

One call per comparison. A right that is missing is no error: the vault's page says that the policy is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import RotationPolicy, VersionInfo
from jobs.engine.run import JobRun
from keygroups import readings
from keygroups.models import KeyGroup
from logging_reports.choices import Severity


def read_key(run: JobRun, gateway: VaultGateway, group: KeyGroup, live: Sequence[VersionInfo]) -> None:
    """Read and record the key's rotation policy and platforms; raise the alarm over a Rotate action."""
    policy, problem = _read_policy(gateway, group)
    with run.write() as tx:
        is_new = readings.record_reading(group, policy, live, problem=problem)
        if policy is None or not policy.rotates:
            return
        text = _(
            "“%(key)s” has a Rotate action in Azure (%(policy)s): Azure would replace the HSM's key by one of its own. "
            "Replace the rotation policy on the vault's page."
        ) % {"key": group.azure_name, "policy": readings.describe(policy)}
        tx.add_message(text, Severity.WARNING)
        if is_new:
            tx.log("azure.rotate_action_found", text)


def _read_policy(gateway: VaultGateway, group: KeyGroup) -> tuple[RotationPolicy | None, str]:
    try:
        with gateway.expecting(CloudErrorKind.PERMISSION):
            return gateway.get_rotation_policy(group.azure_name), ""
    except CloudError as error:
        if error.retryable:
            raise
        return None, str(error)
