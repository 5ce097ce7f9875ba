"""The way of keys into the vault, shared by synchronize and rotate. The order is the safety.

1. preflight      ask the vault what it holds; adopt versions that are ours already
2. create_kek     ledger row, then an RSA-HSM key in the vault that may only import
3. wrap_key       in the device: key under one-time AES key under KEK; blobs stay in memory
4. import_key     per key: intent row, commit, PUT, result row
5. verify_import  the vault's public key is ours; the newest version is the one imported last
6. record_version
7. discard_kek    delete, and purge where the vault soft-deletes

A crash after 1 leaves nothing; after 2 a KEK on the ledger; after 3 the same; inside 4 a pending
intent, which the next run resolves by looking (adopt) or by waiting out the quarantine (import
again); after 5 or 6 a KEK; after 7 nothing. Each run begins with 1 again.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.azure.byok import build_transfer_blob
from cloudcreds.azure.errors import AzureError, AzureErrorKind
from cloudcreds.azure.gateway import KeyVaultGateway
from cloudcreds.azure.types import KekPublicKey, VaultKey, VersionInfo
from hsm.services import designated_device
from jobs.choices import IntentState, KekState, StepState, TargetState
from jobs.context import JobRun, WaitUntil
from jobs.intents import announce_all, announced, is_fresh, open_intents, resolve, wait_for_quarantine
from jobs.keks import discard_kek, obtain_kek
from jobs.lifecycle import LeaseLost
from jobs.models import EphemeralKek, Intent, JobTarget
from jobs.pace import is_paced
from jobs.runners.batches import WINDOW, Progress, batched
from jobs.wording import WORDING
from keygroups import lifecycle as key_lifecycle
from keygroups.choices import VersionState
from keygroups.models import CloudVersion, Key, KeyGroup
from keygroups.rotation import expiry
from kmes.core.clock import now
from kmes.core.errors import ConflictError, DeviceError, KmesError
from logging_reports.choices import Severity

# What one key's import may be refused for without the next key meeting the same.
SINGLE_KEY_KINDS = frozenset({AzureErrorKind.REFUSED_INPUT})


def push(run: JobRun) -> None:
    """Push the job's pending targets. What it raises ends the job; single failures are on the targets.

    Raises:
        KmesError: the whole job can't go on; the KEK is discarded by then.
        WaitUntil: the job must look again later; the KEK stays for it.

    """
    group = _group(run)
    try:
        _preflight(run, group)
        if run.pending_targets():
            _wrap_and_import(run, group)
    except (WaitUntil, LeaseLost):
        raise
    except KmesError as error:
        if not error.retryable:
            _discard(run)
        raise
    _discard(run)


def discard_job_keks(run: JobRun) -> None:
    """Discard what KEKs a job that ends early has left."""
    _discard(run)


def _group(run: JobRun) -> KeyGroup:
    if run.job.group_id is None:
        raise ConflictError(_("The key group no longer exists."))
    return KeyGroup.objects.select_related("vault__credential").get(pk=run.job.group_id)


# --- 1 -----------------------------------------------------------------------------------------
def _preflight(run: JobRun, group: KeyGroup) -> None:
    with run.step("preflight"):
        _check_device(run)
        gateway = run.gateway(group.vault)
        gateway.get_token()
        versions = gateway.list_versions(group.azure_name)
        if not versions and gateway.get_deleted(group.azure_name) is not None:
            raise ConflictError(
                _("The Azure key “%(key)s” is deleted but recoverable, so its name can't be used.")
                % {"key": group.azure_name},
                _("Recover it (Cloud > Recover) or purge it (Cloud > Purge) first."),
            )
        vault = group.vault
        run.log(
            "azure.vault_looked_up",
            _("Vault %(vault)s: tier %(tier)s, recovery level %(level)s, %(count)d version(s) of %(key)s")
            % {
                "vault": vault.name,
                "tier": vault.get_tier_display(),
                "level": vault.recovery_level or "not known yet",
                "count": len(versions),
                "key": group.azure_name,
            },
        )
        _settle_earlier_calls(run, gateway, group, versions)


def _check_device(run: JobRun) -> None:
    """Refuse a device other than the designated one (KMES.md, "Push")."""
    here, chosen = run.device().identity(), designated_device()
    if here.serial != chosen.serial:
        raise DeviceError(
            _("This worker's device (%(here)s) is not the designated one (%(chosen)s).")
            % {"here": here.serial, "chosen": chosen.serial},
            _("Designate it in Administration > Configuration > HSM Protected Key Options, or start a worker there."),
            code="not_designated",
        )


def _settle_earlier_calls(run: JobRun, gateway: KeyVaultGateway, group: KeyGroup, versions: list[VersionInfo]) -> None:
    """Adopt what earlier runs brought into the vault; wait while a lost call may still land."""
    intents = open_intents(run)
    known = set(group.cloud_versions.exclude(azure_version="").values_list("azure_version", flat=True))
    strangers = [version for version in versions if version.version not in known]
    for key in _keys_to_find(run, intents):
        found = _find_ours(gateway, group, strangers, key)
        if found:
            _adopt(run, gateway, group, key, found, intents)
    still_open = [intent for intent in intents if intent.state in {IntentState.PENDING, IntentState.UNKNOWN}]
    wait_for_quarantine(still_open)
    if still_open:
        with run.write():
            for intent in still_open:
                resolve(intent, IntentState.VOID)


def _keys_to_find(run: JobRun, intents: list[Intent]) -> list[Key]:
    """Return the keys that may be in the vault without a record here, in the order of their import."""
    keys = {intent.key_id: intent.key for intent in intents if intent.key is not None}
    keys.update({target.key_id: target.key for target in run.pending_targets()})
    return [key for key in keys.values() if key is not None]


def _find_ours(gateway: KeyVaultGateway, group: KeyGroup, strangers: list[VersionInfo], key: Key) -> list[VaultKey]:
    """Return the unrecorded versions that hold this key, oldest first; the public key decides."""
    found = []
    for version in strangers:
        tag = version.tags.get("kmes-key", "")
        if tag and tag != str(key.pk):
            continue
        bundle = gateway.get_key(group.azure_name, version.version)
        if bundle is not None and bundle.public_spki == bytes(key.public_spki):
            found.append(bundle)
    return found


def _adopt(
    run: JobRun, gateway: KeyVaultGateway, group: KeyGroup, key: Key, found: list[VaultKey], intents: list[Intent]
) -> None:
    """Record a version the vault got from an earlier run; disable older doubles of it."""
    *doubles, newest = found
    for double in doubles:
        gateway.update_version(group.azure_name, double.version, enabled=False)
    mine = [intent for intent in intents if intent.key_id == key.pk]
    with run.write():
        for double in doubles:
            run.log(
                "azure.duplicate_version",
                _("%(kid)s holds key %(key)s a second time; it was disabled") % {"kid": double.kid, "key": key.name},
                key=key,
                version=double.version,
            )
        for intent in mine:
            resolve(intent, IntentState.ADOPTED, kid=newest.kid)
        _record(run, key, newest)
        run.say(_("Found HSM protected key %(key)s in the vault already") % {"key": key.name})


# --- 2 to 6 ------------------------------------------------------------------------------------
def _wrap_and_import(run: JobRun, group: KeyGroup) -> None:
    gateway = run.gateway(group.vault)
    with run.step("create_kek"):
        __, kek = obtain_kek(run, group.vault, group.spec.kek_bits)
    newest = ""
    for batch in batched(run.pending_targets()):
        with run.step("wrap_key"):
            blobs = _wrap(run, kek, batch)
        newest = _import_all(run, gateway, group, batch, blobs) or newest
    with run.write():
        run.begin("verify_import")
    if newest:
        _verify_current(run, gateway, group, newest)
    with run.write():
        run.end("verify_import")
        run.begin("record_version")
        run.end("record_version")


def _wrap(run: JobRun, kek: KekPublicKey, batch: list[JobTarget]) -> dict[int, bytes]:
    """Wrap the keys of a batch; one that the device refuses fails alone."""
    device, blobs = run.device(), {}
    for target in batch:
        key = target.key
        try:
            ciphertext = device.wrap_for_kek(
                wrapped_private=bytes(key.wrapped_private),
                public_spki=bytes(key.public_spki),
                spec=key.spec,
                kek_modulus=kek.modulus,
                kek_exponent=kek.exponent,
            )
        except DeviceError as error:
            if error.code != "wrapped_key_mismatch":
                raise
            _fail_target(run, target, error)
            continue
        blobs[target.pk] = build_transfer_blob(kek.kid, ciphertext)
        run.log(
            "azure.key_wrapped",
            _("Key %(key)s wrapped under %(kek)s") % {"key": key.name, "kek": kek.name},
            key=key,
        )
    return blobs


def _import_all(
    run: JobRun, gateway: KeyVaultGateway, group: KeyGroup, batch: list[JobTarget], blobs: dict[int, bytes]
) -> str:
    """Import the keys of a batch in order. Return the version imported last, "" for none."""
    todo = [target for target in batch if target.pk in blobs]
    progress = Progress(run)
    with run.write():
        run.begin("import_key", progress.text())
    size = 1 if is_paced(group.vault) else WINDOW
    newest = ""
    while todo:
        window, todo = todo[:size], todo[size:]
        made, unsent = _import_window(run, gateway, group, window, blobs, progress)
        newest, todo = made or newest, unsent + todo
    with run.write():
        run.end("import_key", progress.text())
    return newest


def _import_window(
    run: JobRun,
    gateway: KeyVaultGateway,
    group: KeyGroup,
    window: list[JobTarget],
    blobs: dict[int, bytes],
    progress: Progress,
) -> tuple[str, list[JobTarget]]:
    """Announce some imports in one transaction, make them in order, and write their results in another.

    Each is announced before it is made, so a crash in between leaves what any crash leaves: pending
    intents, which the next run resolves by looking. Where the vault is so slow that an announcement
    would grow old, the rest of the window is taken back.

    Returns the version imported last ("" for none), and the keys whose import was taken back.
    """
    run.let_others()
    run.keep_pace(group.vault)
    with run.write():
        intents = announce_all(run, "import", [target.key for target in window])
    waiting = list(zip(window, intents, strict=True))
    done: list[tuple[JobTarget, Intent, VaultKey]] = []
    try:
        while waiting and is_fresh(waiting[0][1]):
            run.checkpoint()
            target, intent = waiting.pop(0)
            bundle = _import_one(run, gateway, group, target, blobs.pop(target.pk), intent)
            if bundle is not None:
                done.append((target, intent, bundle))
    except LeaseLost:
        raise
    except Exception:
        _write_results(run, done, waiting, progress)
        raise
    _write_results(run, done, waiting, progress)
    return done[-1][2].version if done else "", [target for target, _intent in waiting]


def _write_results(
    run: JobRun,
    done: list[tuple[JobTarget, Intent, VaultKey]],
    unsent: list[tuple[JobTarget, Intent]],
    progress: Progress,
) -> None:
    """Write down what came of a window: imported keys, and announced calls that were not made."""
    with run.write():
        pushing = CloudVersion.objects.filter(
            key__in=[target.key_id for target, _intent, _bundle in done], state=VersionState.PUSHING
        )
        versions = {version.key_id: version for version in pushing}
        for target, intent, bundle in done:
            resolve(intent, IntentState.OK, kid=bundle.kid)
            _record(run, target.key, bundle, target=target, version=versions.get(target.key_id))
            run.say(WORDING["synchronize"].one_done(target.key.name))
            progress.advance()
        for _target, intent in unsent:
            resolve(intent, IntentState.VOID)


def _import_one(
    run: JobRun, gateway: KeyVaultGateway, group: KeyGroup, target: JobTarget, blob: bytes, intent: Intent
) -> VaultKey | None:
    """Make the announced import. Return the new version; None when this key alone was refused."""
    key = target.key
    try:
        with announced(run, intent):
            bundle = gateway.import_byok(
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
    except AzureError as error:
        if error.kind not in SINGLE_KEY_KINDS:
            raise
        _fail_target(run, target, error)
        return None
    if bundle.public_spki != bytes(key.public_spki):
        with run.write():
            resolve(intent, IntentState.OK, kid=bundle.kid)
        gateway.update_version(group.azure_name, bundle.version, enabled=False)
        raise KmesError(
            _("The vault's public key of %(kid)s is not the one of key “%(key)s”; the version was disabled.")
            % {"kid": bundle.kid, "key": key.name},
            _("Run the device's self-test and look into the vault before you try again."),
            code="verify_failed",
        )
    return bundle


def _record(
    run: JobRun, key: Key, bundle: VaultKey, *, target: JobTarget | None = None, version: CloudVersion | None = None
) -> None:
    """Record a version that the vault holds. Call inside ``run.write()``."""
    version = version or CloudVersion.objects.filter(key=key, state=VersionState.PUSHING).first()
    if version is None:
        version = key_lifecycle.begin_push(key=key)
    key_lifecycle.record_pushed(
        version=version,
        azure_version=bundle.version,
        kid=bundle.kid,
        pushed_at=now(),
        enabled=bundle.enabled,
        expires_at=bundle.expires_on,
    )
    for mine in [target] if target else run.job.targets.filter(key=key, state=TargetState.PENDING):
        run.settle(mine, TargetState.DONE, bundle.kid)
    run.log(
        "azure.import_verified",
        _("The public key of %(kid)s is the one of key %(key)s") % {"kid": bundle.kid, "key": key.name},
        key=key,
        version=bundle.version,
    )


def _verify_current(run: JobRun, gateway: KeyVaultGateway, group: KeyGroup, newest: str) -> None:
    """Check that the vault's current version is the one imported last."""
    current = gateway.get_key(group.azure_name)
    if current is not None and current.version == newest:
        return
    found = current.kid if current else _("nothing")
    with run.write():
        run.log("azure.drift_found", _("The vault's current version is %(found)s") % {"found": found})
    raise ConflictError(
        _("Somebody else changed “%(key)s” meanwhile: the vault's current version is %(found)s.")
        % {"key": group.azure_name, "found": found},
        _("Run Cloud > Check Drift, and force a rotation to make a key of yours the current one."),
    )


def _fail_target(run: JobRun, target: JobTarget, error: KmesError) -> None:
    with run.write():
        run.settle(target, TargetState.FAILED, str(error))
        key_lifecycle.fail_push(key=target.key)
        run.say(WORDING["synchronize"].one_failed(target.key.name, str(error)), Severity.ERROR)


# --- 7 -----------------------------------------------------------------------------------------
def _discard(run: JobRun) -> None:
    """Discard the job's KEKs; what can't be discarded now is left to the sweep, and said."""
    run.may_cancel = False
    rows = list(
        EphemeralKek.objects.filter(job=run.job).exclude(state=KekState.GONE).select_related("vault__credential")
    )
    if not rows:
        return
    with run.write():
        run.begin("discard_kek")
    left = [note for row in rows if (note := discard_kek(run.gateway(row.vault), row))]
    with run.write():
        run.end("discard_kek", "; ".join(left), StepState.DONE)
        for note in left:
            run.say(_("The ephemeral key is left to the sweep: %(note)s") % {"note": note}, Severity.WARNING)
