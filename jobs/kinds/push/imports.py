"""Imports wrapped keys, a window at a time: announced before they are made, recorded after.

Owns all of one import: its intent, its call, the comparison of public keys, its record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from cloudcreds.rate_limit import confirm, limit_of
from jobs.choices import IntentOperation, IntentState, TargetState
from jobs.engine.cancellation import stop_if_requested
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.run import JobRun
from jobs.engine.steps import begin_deferred, end_deferred
from jobs.engine.transaction import RunTransaction
from jobs.engine.turns import wait_for_rate_limit, yield_to_waiting
from jobs.engine.undone import tell_failure
from jobs.journal.intents import announce_all, announced, resolve, resolve_all
from jobs.kinds.push.batches import WINDOW, WINDOW_SECONDS, Progress
from jobs.kinds.push.steps import SYNCHRONIZING
from jobs.kinds.push.wrap import WrapAhead, is_about_key
from jobs.models import Intent, JobTarget
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import VersionState
from keygroups.fields import own_tags
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.rotation_schedule import expiry
from keygroups.version_moves import Pushed
from kmes.core.clock import now
from kmes.core.errors import DeviceError, KmesError

# How often the imports of a window pause to check for a cancel request.
CANCEL_CHECK_SECONDS = 0.2


def import_all(run: JobRun, gateway: VaultGateway, group: KeyGroup, batch: list[JobTarget], wrapping: WrapAhead) -> str:
    """Import a batch's keys in order, as they come out of the device. Return the version imported last, "" for none."""
    todo = list(batch)
    progress = Progress(run, group)
    begin_deferred(run, "import_key", progress.text())
    size = 1 if limit_of(group.vault) else WINDOW
    newest = ""
    while todo:
        window, todo = todo[:size], todo[size:]
        made, unsent = _import_window(run, gateway, group, window, wrapping, progress)
        newest, todo = made or newest, unsent + todo
    end_deferred(run, "import_key", progress.text())
    return newest


def _import_window(
    run: JobRun,
    gateway: VaultGateway,
    group: KeyGroup,
    window: list[JobTarget],
    wrapping: WrapAhead,
    progress: Progress,
) -> tuple[str, list[JobTarget]]:
    """Announce some imports in one transaction, make them in order, and write their results in another.

    Each is announced before it is made, so a crash in between leaves pending intents, which the next run
    resolves by looking. Imports that are not made within a second are withdrawn.

    Returns the version imported last ("" for none), and the targets whose import was withdrawn.
    """
    yield_to_waiting(run)
    wait_for_rate_limit(run, group.vault)
    with run.write() as tx:
        intents = announce_all(tx, IntentOperation.IMPORT, [target.key for target in window])
    waiting = list(zip(window, intents, strict=True))
    began = checked_at = time.monotonic()
    done: list[tuple[JobTarget, Intent, VaultKey]] = []
    refused: list[tuple[JobTarget, Intent]] = []
    try:
        stop_if_requested(run)
        while waiting and (len(waiting) == len(window) or time.monotonic() < began + WINDOW_SECONDS):
            if time.monotonic() - checked_at > CANCEL_CHECK_SECONDS:
                checked_at = time.monotonic()
                stop_if_requested(run)
            target, intent = waiting[0]
            blob = _take(run, wrapping, target)
            waiting.pop(0)
            if blob is None:
                refused.append((target, intent))
                continue
            bundle = _import_one(run, gateway, group, target, blob, intent)
            if bundle is not None:
                done.append((target, intent, bundle))
    except LeaseLost:
        raise
    except Exception:
        _write_results(run, done, refused + waiting, progress)
        raise
    confirm(group.vault)
    _write_results(run, done, refused + waiting, progress)
    return done[-1][2].version if done else "", [target for target, _intent in waiting]


def _take(run: JobRun, wrapping: WrapAhead, target: JobTarget) -> bytes | None:
    """Return a key's blob; None when the device refused this key only, which then has failed."""
    try:
        blob = wrapping.take(target)
    except DeviceError as error:
        if not is_about_key(error):
            # The device failed, though imports have begun: show that the wrapping stops.
            begin_deferred(run, "wrap_key")
            run.tried.add(target.pk)
            raise
        fail_target(run, target, error)
        return None
    run.log_deferred("azure.key_wrapped", f"Key {target.key.name} wrapped under {wrapping.kek_name}", key=target.key)
    return blob


def _write_results(
    run: JobRun,
    done: list[tuple[JobTarget, Intent, VaultKey]],
    unsent: list[tuple[JobTarget, Intent]],
    progress: Progress,
) -> None:
    """Record the results of a window: imported keys, and announced calls that were not made."""
    with run.write() as tx:
        resolve_all(tx, [(intent, bundle.kid) for _target, intent, bundle in done], IntentState.OK)
        record_versions(tx, [(target.key, bundle) for target, _intent, bundle in done])
        tx.record_results([(target, bundle.kid) for target, _intent, bundle in done], TargetState.DONE)
        tx.add_messages([SYNCHRONIZING.one_done(target.key.name) for target, _intent, _bundle in done])
        progress.advance(tx, len(done))
        resolve_all(tx, [(intent, "") for _target, intent in unsent], IntentState.VOID)


def _import_one(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, target: JobTarget, blob: bytes, intent: Intent
) -> VaultKey | None:
    """Make the announced import. Return the new version; None when only this key was refused."""
    key = target.key
    try:
        with announced(run, intent), run.calls_about(key):
            bundle = gateway.import_key(
                group.azure_name,
                spec=key.spec,
                blob=blob,
                key_ops=group.azure_operations,
                enabled=group.enabled_on_push,
                expires_on=expiry(now(), group.valid_for, group.valid_unit) if group.valid_for else None,
                tags={
                    **group.tags,
                    "kmes-key": str(key.pk),
                    "kmes-spki": key.thumbprint,
                    "kmes-job": run.job.code,
                    "kmes-app": "kmes",
                },
            )
    except CloudError as error:
        if not error.is_about_one_key:
            run.tried.add(target.pk)
            raise
        fail_target(run, target, error)
        return None
    if bundle.public_spki != bytes(key.public_spki):
        with run.write() as tx:
            resolve(tx, intent, IntentState.OK, kid=bundle.kid)
        try:
            with run.calls_about(key):
                gateway.update_version(group.azure_name, bundle.version, enabled=False)
            fate = _("the version was disabled")
        except CloudError as error:
            fate = _("the version could not be disabled (%(why)s)") % {"why": error.what}
        run.tried.add(target.pk)
        raise KmesError(
            _("The vault's public key of %(kid)s is not the one of key “%(key)s”; %(fate)s.")
            % {"kid": bundle.kid, "key": key.name, "fate": fate},
            _("Run the device's self-test and check the vault before you try again."),
            code="verify_failed",
        )
    return bundle


def record_versions(tx: RunTransaction, found: Sequence[tuple[Key, VaultKey]]) -> None:
    """Record versions of one group that the vault holds, oldest first."""
    keys = {key.pk: key for key, _bundle in found}
    pushing = CloudVersion.objects.filter(key__in=keys, state=VersionState.PUSHING)
    versions = {version.key_id: version for version in pushing}
    for key in keys.values():
        if key.pk not in versions:
            # Even for a key destroyed here after its push was abandoned: the vault holds it.
            versions[key.pk] = key_lifecycle.begin_push(key=key, is_in_vault=True)
    moment = now()
    key_lifecycle.record_pushed(
        [
            Pushed(
                versions[key.pk],
                bundle.version,
                bundle.kid,
                moment,
                bundle.enabled,
                bundle.expires_on,
                bundle.key_ops,
                own_tags(bundle.tags),
            )
            for key, bundle in found
        ]
    )
    for key, bundle in found:
        tx.log(
            "azure.import_verified",
            f"The public key of {bundle.kid} is the one of key {key.name}",
            key=key,
            version=bundle.version,
        )


def fail_target(run: JobRun, target: JobTarget, error: KmesError) -> None:
    """Record that one key of a push failed, and why."""
    with run.write() as tx:
        tx.record_result(target, TargetState.FAILED, str(error))
        key_lifecycle.fail_push(key=target.key)
        tell_failure(tx, run, [target.key.name], str(error), wording=SYNCHRONIZING)
