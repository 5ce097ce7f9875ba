"""Imports of wrapped keys: announced before they are made, recorded after, a few at a time.

Owns what one import means here: its intent, its call, the comparison of public keys, its record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from jobs.choices import IntentState, TargetState
from jobs.engine.lifecycle import LeaseLost
from jobs.engine.rate_limit import arrived, is_paced
from jobs.engine.run import JobRun
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
from kmes.core.clock import now
from kmes.core.errors import DeviceError, KmesError
from logging_reports.choices import Severity

# How often a window's imports are interrupted to see whether somebody asked to cancel.
LOOK_SECONDS = 0.2


def import_all(run: JobRun, gateway: VaultGateway, group: KeyGroup, batch: list[JobTarget], wrapping: WrapAhead) -> str:
    """Import a batch's keys in order, as they come out of the device. Return the version imported last, "" for none."""
    todo = list(batch)
    progress = Progress(run, group)
    run.begin_with_next("import_key", progress.text())
    size = 1 if is_paced(group.vault) else WINDOW
    newest = ""
    while todo:
        window, todo = todo[:size], todo[size:]
        made, unsent = _import_window(run, gateway, group, window, wrapping, progress)
        newest, todo = made or newest, unsent + todo
    run.end("import_key", progress.text())
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

    Each is announced before it is made, so a crash in between leaves what any crash leaves: pending
    intents, which the next run resolves by looking. What is not made within a second is taken back.

    Returns the version imported last ("" for none), and the keys whose import was taken back.
    """
    run.let_others()
    run.keep_pace(group.vault)
    with run.write():
        intents = announce_all(run, "import", [target.key for target in window])
    waiting = list(zip(window, intents, strict=True))
    began = looked_at = time.monotonic()
    done: list[tuple[JobTarget, Intent, VaultKey]] = []
    refused: list[tuple[JobTarget, Intent]] = []
    try:
        run.checkpoint()
        while waiting and (len(waiting) == len(window) or time.monotonic() < began + WINDOW_SECONDS):
            if time.monotonic() - looked_at > LOOK_SECONDS:
                looked_at = time.monotonic()
                run.checkpoint()
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
    arrived(group.vault)
    _write_results(run, done, refused + waiting, progress)
    return done[-1][2].version if done else "", [target for target, _intent in waiting]


def _take(run: JobRun, wrapping: WrapAhead, target: JobTarget) -> bytes | None:
    """Return a key's blob; None when the device refused this key alone, which fails by itself."""
    try:
        blob = wrapping.take(target)
    except DeviceError as error:
        if not is_about_key(error):
            # It is the wrapping that stops, though imports have begun.
            run.begin_with_next("wrap_key")
            raise
        fail_target(run, target, error)
        return None
    run.log("azure.key_wrapped", f"Key {target.key.name} wrapped under {wrapping.kek_name}", key=target.key)
    return blob


def _write_results(
    run: JobRun,
    done: list[tuple[JobTarget, Intent, VaultKey]],
    unsent: list[tuple[JobTarget, Intent]],
    progress: Progress,
) -> None:
    """Write down what came of a window: imported keys, and announced calls that were not made."""
    with run.write():
        resolve_all([(intent, bundle.kid) for _target, intent, bundle in done], IntentState.OK)
        record_versions(run, [(target.key, bundle) for target, _intent, bundle in done])
        run.settle_all([(target, bundle.kid) for target, _intent, bundle in done], TargetState.DONE)
        run.say_all([SYNCHRONIZING.one_done(target.key.name) for target, _intent, _bundle in done])
        progress.advance(len(done))
        resolve_all([(intent, "") for _target, intent in unsent], IntentState.VOID)


def _import_one(
    run: JobRun, gateway: VaultGateway, group: KeyGroup, target: JobTarget, blob: bytes, intent: Intent
) -> VaultKey | None:
    """Make the announced import. Return the new version; None when this key alone was refused."""
    key = target.key
    try:
        with announced(run, intent):
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
            raise
        fail_target(run, target, error)
        return None
    if bundle.public_spki != bytes(key.public_spki):
        with run.write():
            resolve(intent, IntentState.OK, kid=bundle.kid)
        try:
            gateway.update_version(group.azure_name, bundle.version, enabled=False)
            fate = _("the version was disabled")
        except CloudError as error:
            fate = _("the version could not be disabled (%(why)s)") % {"why": error.what}
        raise KmesError(
            _("The vault's public key of %(kid)s is not the one of key “%(key)s”; %(fate)s.")
            % {"kid": bundle.kid, "key": key.name, "fate": fate},
            _("Run the device's self-test and look into the vault before you try again."),
            code="verify_failed",
        )
    return bundle


def record_versions(run: JobRun, found: Sequence[tuple[Key, VaultKey]]) -> None:
    """Record versions of one group that the vault holds, oldest first. Call inside ``run.write()``."""
    keys = {key.pk: key for key, _bundle in found}
    pushing = CloudVersion.objects.filter(key__in=keys, state=VersionState.PUSHING)
    versions = {version.key_id: version for version in pushing}
    for key in keys.values():
        if key.pk not in versions:
            # Also of a key that was destroyed here after its push was given up: the vault holds it all the same.
            versions[key.pk] = key_lifecycle.begin_push(key=key, is_in_vault=True)
    moment = now()
    key_lifecycle.record_pushed(
        [
            key_lifecycle.Pushed(
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
        run.log(
            "azure.import_verified",
            f"The public key of {bundle.kid} is the one of key {key.name}",
            key=key,
            version=bundle.version,
        )


def fail_target(run: JobRun, target: JobTarget, error: KmesError) -> None:
    """Record that one key of a push failed, and say why."""
    with run.write():
        run.settle(target, TargetState.FAILED, str(error))
        key_lifecycle.fail_push(key=target.key)
        run.say(SYNCHRONIZING.one_failed(target.key.name, str(error)), Severity.ERROR)
