"""What delete, recover and purge of a whole Azure key share. Azure knows no deletion of one version.

All three are addressed by name, so a late or repeated call could hit a key made meanwhile under the same name.
Each run therefore looks first and compares with the versions that were known when the job was requested. If the
vault differs, it stops and says so. Finding the wanted state is success.
"""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import DeletedKey
from jobs.choices import IntentOperation, IntentState
from jobs.engine.gateways import gateway_for
from jobs.engine.interruptions import WaitUntil
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import announce, announced, resolve, seconds_since
from jobs.kinds.subjects import group_of
from jobs.models import Intent
from keygroups.models import KeyGroup
from kmes.core.errors import ConflictError

# Azure shows a deleted or recovered key only after half a minute or more (docs/azure.md, "Lifecycle").
RECHECK_SECONDS = 10
DELETING_SECONDS = 120
# How long Azure may show a key as deleted after it has accepted its purge.
PURGING_SECONDS = 300


def open_vault(run: JobRun) -> tuple[KeyGroup, VaultGateway]:
    """Return the job's key group and the gateway to its vault, with a token that the vault's tenant accepts."""
    group = group_of(run)
    gateway = gateway_for(run, group.vault)
    gateway.get_token()
    return group, gateway


def find_deleted(gateway: VaultGateway, group: KeyGroup) -> DeletedKey | None:
    """Return the deleted key; None when the vault holds neither it nor a live one.

    Raises:
        WaitUntil: the vault is still deleting it.

    """
    deleted = gateway.get_deleted(group.azure_name)
    if deleted is not None:
        return deleted
    # By our own clock: the vault's may be wrong by hours. A deletion by others was already seen to be over.
    ours = (
        Intent.objects.filter(azure_lock=group.azure_lock, operation=IntentOperation.DELETE)
        .order_by("-sent_at")
        .first()
    )
    if ours is None or seconds_since(ours) >= DELETING_SECONDS:
        return None
    purged = Intent.objects.filter(
        azure_lock=group.azure_lock, operation=IntentOperation.PURGE, state=IntentState.OK, sent_at__gt=ours.sent_at
    )
    if not purged.exists():
        raise _still_deleting()
    return None


def confirm_deleted(gateway: VaultGateway, group: KeyGroup) -> None:
    """Read that the vault has no live key any more: its answer to the deletion alone is not believed.

    Raises:
        WaitUntil: the vault still shows it. The call stays in doubt until the next run has looked.

    """
    if gateway.get_key(group.azure_name) is not None:
        raise WaitUntil(
            _("the vault accepted the deletion and still shows the key"),
            seconds=RECHECK_SECONDS,
            counts_as_failure=True,
        )


def confirm_purged(run: JobRun, gateway: VaultGateway, group: KeyGroup) -> None:
    """Check that the vault no longer has the deleted key: its answer to the purge alone is no proof.

    Raises:
        WaitUntil: the vault still shows it.
        ConflictError: the vault shows it long after it was asked to purge it.

    """
    if gateway.get_deleted(group.azure_name) is None:
        return
    asked = Intent.objects.filter(job=run.job, operation=IntentOperation.PURGE).order_by("sent_at").first()
    if asked is not None and seconds_since(asked) > PURGING_SECONDS:
        raise ConflictError(
            _("The vault accepted the purge of “%(key)s” and still shows it among the deleted keys.")
            % {"key": group.azure_name},
            _("Check the vault's deleted keys in the Azure portal, and retry the job."),
        )
    raise WaitUntil(_("Azure is still purging the key"), seconds=RECHECK_SECONDS)


def call(
    run: JobRun, operation: IntentOperation, act: Callable[[], None], record: Callable[[RunTransaction], None]
) -> None:
    """Make one announced call and record its effect. A key that is gone already counts as done.

    Raises:
        WaitUntil: the vault is still busy with an earlier call.

    """
    with run.write() as tx:
        intent = announce(tx, operation)
    try:
        with announced(run, intent):
            act()
    except CloudError as error:
        if error.kind == CloudErrorKind.BEING_DELETED:
            raise _still_deleting() from error
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
    with run.write() as tx:
        resolve(tx, intent, IntentState.OK)
        record(tx)


def _still_deleting() -> WaitUntil:
    return WaitUntil(_("Azure is still deleting the key"), seconds=RECHECK_SECONDS)
