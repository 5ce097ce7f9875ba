"""Refuses a push that a policy of the vault would refuse, before anything is made in the vault."""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds import vaults
from cloudcreds.provider.errors import CloudError
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from keygroups.models import KeyGroup
from keygroups.vault_rules import why_refused
from kmes.core.errors import ConflictError


def refuse_denied(run: JobRun, group: KeyGroup) -> None:
    """Refuse to push a group whose keys the vault's policies deny.

    What is known of policies may be old. So they are read again before a refusal, and only then.

    Raises:
        ConflictError: a policy denies the keys (code ``denied_by_policy``).
        CloudError: the policies were to be read again, and the vault's cloud is out of order for now.

    """
    if not why_refused(group):
        return
    _read_again(run, group)
    why = why_refused(group)
    if why:
        raise ConflictError(
            _("The vault's policies deny the keys of “%(group)s”: %(why)s")
            % {"group": group.name, "why": " ".join(why)},
            _("Nothing was made in the vault. The vault's page shows its policies."),
            code="denied_by_policy",
        )


def _read_again(run: JobRun, group: KeyGroup) -> None:
    """Read the policies once more; what can't be read leaves the decision to the vault."""
    try:
        listed = gateway_for(run, group.vault).list_vaults()
    except CloudError as error:
        if error.retryable:
            raise
        listed = None
    own = group.vault.url.rstrip("/").lower()
    info = next((one for one in listed.vaults if one.url.rstrip("/").lower() == own), None) if listed else None
    with run.write():
        if info is None or info.setup is None:
            vaults.forget_policies(group.vault)
        else:
            vaults.record_listed(group.vault.credential, info)
    group.vault.refresh_from_db(fields=["policies", "kek_bits", "kek_days"])
