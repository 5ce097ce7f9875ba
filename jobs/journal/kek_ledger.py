"""The ledger of ephemeral key-encryption keys: one per job and vault, recorded before it is created.

A KEK that is left behind is useless, because it can only import, and the sweep deletes it within hours. It also expires
by itself: after two hours, or later where a policy of the vault demands that (``cloudcreds.kek_shapes``).

A row is closed only when the vault itself has said that it holds the KEK no more; the answer to a purge alone is not
believed. So that a push does not wait for that, the sweep reads it (``jobs.journal.kek_sweep``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from cloudcreds import vaults
from cloudcreds.kek_shapes import KekShape, first_shape, further_shapes
from cloudcreds.models import KeyVault
from cloudcreds.provider import clocks
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import KekPublicKey
from cloudcreds.rate_limit import confirm
from jobs.choices import KekState
from jobs.engine.gateways import gateway_for
from jobs.engine.interruptions import WaitUntil
from jobs.engine.run import JobRun
from jobs.engine.transaction import RunTransaction
from jobs.engine.turns import wait_for_rate_limit
from jobs.models import EphemeralKek
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.failpoints import failpoint
from logging_reports.choices import Severity
from logging_reports.services import Draft, LoggedChange, Subject

logger = logging.getLogger(__name__)

KEK_PREFIX = "kmes-kek-"
# A KEK nearer to its expiry than this is not used for further keys.
EXPIRY_MARGIN = timedelta(minutes=10)
# Clocks that differ by less count as equal; Azure's stamps have whole seconds.
CLOCK_TOLERANCE = timedelta(seconds=5)
# How long to wait for news of a KEK whose creation has an unknown outcome.
UNKNOWN_KEK_SECONDS = 10
LEFT_TO_AZURE = "left to Azure: purge protection"
# Purge is an optional permission (docs/push.md). It is tried once a day; in between, KEKs are left as they are.
PURGE_REFUSED = "left to Azure: the permission Purge is not granted"
PURGE_NOT_TRIED = "left to Azure: the permission Purge was not granted when last tried"
PURGE_RETRY = timedelta(days=1)
LEFT_NOTES = frozenset({LEFT_TO_AZURE, PURGE_REFUSED, PURGE_NOT_TRIED})


def obtain_kek(run: JobRun, vault: KeyVault, bits: int) -> tuple[EphemeralKek, KekPublicKey]:
    """Return the job's KEK in the vault, of ``bits`` or more, made if need be, with its public key.

    After a crash the ledger's KEK is looked for first, so that a job leaves one at the most. A vault that refuses the
    usual KEK for an unnamed reason, such as a policy, is asked for others.

    Raises:
        CloudError: the vault refused (no Premium tier, no permission…), or its clock is so far ahead that the KEK
            is of no use (kind ``clock_differs``).
        WaitUntil: whether the KEK was made is unknown.

    """
    gateway = gateway_for(run, vault)
    open_rows = EphemeralKek.objects.filter(job=run.job, vault=vault, modulus_bits__gte=bits).exclude(
        state__in=[KekState.DELETED, KekState.DISCARDED, KekState.GONE]
    )
    for row in open_rows.select_related("vault__credential"):
        if is_near_expiry(row):
            discard_kek(gateway, row, store=run.store_with_next, flush=run.flush)
            continue
        public = gateway.read_kek(row.name, row.modulus_bits)
        if public is not None:
            with run.write():
                _mark_live(row, public)
            return row, public
        if row.state == KekState.PLANNED:
            return row, _create(run, gateway, row)
        with run.write():
            # Deleted by an earlier try or by somebody else. It may be recoverable still, so the sweep purges it.
            _mark(row, KekState.DELETED, note="vanished from the vault")
    with run.write() as tx:
        row = _plan(tx, vault, first_shape(vault, bits))
    return row, _create(run, gateway, row)


def is_near_expiry(row: EphemeralKek) -> bool:
    """Return whether a KEK is too old to wrap further keys under it."""
    # The sweep deletes it then, however long the vault would let it live.
    swept_at = row.created_at + timedelta(seconds=settings.KMES_KEK_LIFETIME_SECONDS)
    return min(row.expires_at, swept_at) < now() + EXPIRY_MARGIN


def _plan(tx: RunTransaction, vault: KeyVault, shape: KekShape) -> EphemeralKek:
    job = tx.job
    number = EphemeralKek.objects.filter(job=job, vault=vault).count()
    suffix = f"-{number + 1}" if number else ""
    return EphemeralKek.objects.create(
        job=job,
        vault=vault,
        name=f"{KEK_PREFIX}{job.code.lower()}{suffix}",
        modulus_bits=shape.bits,
        expires_at=now() + shape.lifetime,
    )


def _create(run: JobRun, gateway: VaultGateway, row: EphemeralKek) -> KekPublicKey:
    """Create the KEK of a ledger row; in other shapes where the vault refuses the first for an unnamed reason.

    A refusal has no effect, so the row and its name serve all tries.
    """
    first = _shape_of(row)
    tried: list[KekShape] = []
    for shape in (first, *further_shapes(first)):
        if tried:
            with run.write() as tx:
                _plan_again(tx, row, shape)
        try:
            public = _create_once(run, gateway, row)
        except CloudError as error:
            if error.kind != CloudErrorKind.REFUSED_OTHERWISE:
                raise
            tried.append(shape)
            refusal = error
            continue
        _defer_record(run, row, public, fitted=shape if tried else None)
        _refuse_expired(row, public)
        return public
    raise _refused_in_each_shape(refusal, tried)


def _shape_of(row: EphemeralKek) -> KekShape:
    life = row.expires_at - row.created_at
    is_usual = life < timedelta(seconds=settings.KMES_KEK_LIFETIME_SECONDS) + timedelta(hours=1)
    return KekShape(row.modulus_bits, 0 if is_usual else round(life / timedelta(days=1)))


def _plan_again(tx: RunTransaction, row: EphemeralKek, shape: KekShape) -> None:
    text = _("The vault refused an ephemeral key (%(refused)s); trying another (%(next)s)")
    tx.add_message(text % {"refused": _shape_of(row), "next": shape}, Severity.WARNING)
    row.modulus_bits, row.expires_at = shape.bits, now() + shape.lifetime
    row.save(update_fields=["modulus_bits", "expires_at"])


def _refused_in_each_shape(last: CloudError, tried: list[KekShape]) -> CloudError:
    return CloudError(
        last.kind,
        _("The vault refused the ephemeral key in each shape that was tried: %(shapes)s. %(answer)s")
        % {"shapes": "; ".join(str(shape) for shape in tried), "answer": last.what},
        _(
            "BYOK needs an RSA key of the vault's HSM. %(remedy)s With the role Reader on the vault, List Key Vaults "
            "shows here what they demand."
        )
        % {"remedy": last.remedy},
        request_id=last.request_id,
        http_status=last.http_status,
    )


def _create_once(run: JobRun, gateway: VaultGateway, row: EphemeralKek) -> KekPublicKey:
    wait_for_rate_limit(run, row.vault)
    failpoint("kek.before_create")
    try:
        public = gateway.create_kek(
            row.name, row.modulus_bits, expires_on=row.expires_at, tags={"kmes-job": run.job.code, "kmes-app": "kmes"}
        )
        confirm(row.vault)
        failpoint("kek.after_create")
    except CloudError as error:
        if error.effect_unknown:
            raise WaitUntil(
                _("whether the ephemeral key was made is unknown (%(why)s)") % {"why": error.what},
                seconds=UNKNOWN_KEK_SECONDS,
                counts_as_failure=True,
            ) from error
        if error.kind == CloudErrorKind.NO_HSM_KEYS:
            # The next push, above all a scheduled one, is refused before it asks the vault.
            with run.write():
                vaults.record_standard(row.vault_id)
        raise
    return public


def _defer_record(run: JobRun, row: EphemeralKek, public: KekPublicKey, *, fitted: KekShape | None) -> None:
    """Record a created KEK with the step that follows; ``fitted`` is the shape that others were refused before."""
    seen_at = now()

    def record_created(tx: RunTransaction) -> None:
        vaults.record_shown_by_kek(row.vault_id, public, seen_at=seen_at)
        _mark_live(row, public)
        if fitted is not None:
            vaults.record_kek_shape(row.vault, fitted)
            text = _("The vault accepted an ephemeral key (%(shape)s); the next push begins with it")
            tx.add_message(text % {"shape": fitted})

    # Until then the ledger says planned, and whoever reads that asks the vault.
    run.defer(record_created)
    run.log_deferred("azure.kek_public_read", f"Public key of {public.kid} read", version=public.version)


def _refuse_expired(row: EphemeralKek, public: KekPublicKey) -> None:
    """Check that the vault's clock is not so far ahead that it lets the new KEK expire before its use.

    Raises:
        CloudError: it is (kind ``clock_differs``).

    """
    if public.lifetime is None or public.lifetime >= EXPIRY_MARGIN:
        return
    ahead = row.expires_at - now() - public.lifetime
    if clocks.is_too_large(ahead):
        raise CloudError(
            CloudErrorKind.CLOCK_DIFFERS,
            _("%(difference)s The ephemeral key %(name)s expires there before it can be used.")
            % {"difference": clocks.describe(-ahead, clocks.the_vaults()), "name": row.name},
            clocks.remedy(),
        )


def _mark(row: EphemeralKek, state: KekState, *, kid: str = "", note: str = "") -> None:
    row.state, row.kid, row.note = state, kid or row.kid, note
    # A reader from before the KEK was recorded as live doesn't know its kid, and must not erase it.
    row.save(update_fields=["state", "note", *(["kid"] if kid else [])])


def _mark_live(row: EphemeralKek, public: KekPublicKey) -> None:
    _mark(row, KekState.LIVE, kid=public.kid)
    ends = row.created_at + public.lifetime if public.lifetime else row.expires_at
    if row.expires_at - ends > CLOCK_TOLERANCE:
        # The vault's clock is ahead of ours, so the KEK expires sooner than asked for.
        row.expires_at = ends
        row.save(update_fields=["expires_at"])


# Does a change of the ledger: at once, or for a job with the next transaction of its run. A crash before that leaves a row
# that says too little; the next run, or the sweep, asks the vault again.
Store = Callable[[LoggedChange], None]
# Writes what waits for a job's next transaction: one call that changes the vault is the most that a crash keeps from the log.
Flush = Callable[[], None]


def discard_kek(gateway: VaultGateway, row: EphemeralKek, *, store: Store, flush: Flush) -> str:
    """Delete a KEK, and purge it where the vault allows. Return what went wrong ("" for nothing).

    A KEK that Azure is still deleting is no failure: its row notes that the sweep purges it. Never raises for what
    Azure answers: the ledger keeps the row, and the sweep tries again.
    """
    try:
        discard(gateway, row, store=store, flush=flush)
    except CloudError as error:
        left = note_left(row, error, store=store)
        return "" if error.kind == CloudErrorKind.BEING_DELETED else left
    return ""


def discard(gateway: VaultGateway, row: EphemeralKek, *, store: Store, flush: Flush | None = None) -> None:
    """Do what ``discard_kek`` does.

    Raises:
        CloudError: a call was refused, or got no answer.
        ConflictError: the row names a key that is no KEK of this console.

    """
    if not row.name.startswith(KEK_PREFIX):
        # No release wrote such a row: somebody who writes to the database could have any key deleted by one.
        raise ConflictError(
            _("“%(name)s” is not the name of an ephemeral key, so it is not deleted.") % {"name": row.name}
        )
    was_absent = False
    if row.state in {KekState.PLANNED, KekState.LIVE}:
        row.state, was_absent = _delete(gateway, row)
        row.note = ""
        store(partial(_save, row))
    if row.state == KekState.DELETED:
        if flush:
            flush()
        row.note, is_absent = _purge(gateway, row)
        # Where the vault had it neither alive nor deleted, that is the proof.
        row.state = KekState.GONE if was_absent and is_absent else KekState.DISCARDED
        store(partial(_save_purged, row))


def _save(row: EphemeralKek) -> list[Draft]:
    row.save(update_fields=["state", "note"])
    return []


def _save_purged(row: EphemeralKek) -> list[Draft]:
    left = _tell_left(row, row.note)
    _save(row)
    return left


def note_left(row: EphemeralKek, error: CloudError, *, store: Store) -> str:
    """Record why a KEK could not be discarded, and return it."""
    is_under_way = error.kind == CloudErrorKind.BEING_DELETED
    row.note = _("deleted; it will be purged when Azure has finished deleting it") if is_under_way else str(error)
    store(partial(_save, row))
    return f"{row.name}: {row.note}"


def _delete(gateway: VaultGateway, row: EphemeralKek) -> tuple[KekState, bool]:
    """Delete a KEK. Return its state after that, and whether the vault said that it had none."""
    failpoint("kek.before_delete")
    try:
        deleted = gateway.delete_key(row.name)
        failpoint("kek.after_delete")
    except CloudError as error:
        if error.kind not in {CloudErrorKind.NOT_FOUND, CloudErrorKind.SOFT_DELETED, CloudErrorKind.BEING_DELETED}:
            raise
        # Deleted by an earlier try whose answer was lost, or never made.
        return KekState.DELETED, error.kind == CloudErrorKind.NOT_FOUND
    return KekState.DELETED if deleted.recovery_id else KekState.DISCARDED, False


def _purge(gateway: VaultGateway, row: EphemeralKek) -> tuple[str, bool]:
    """Purge a deleted KEK where that is possible.

    Returns what the ledger notes about it, and whether the vault said that it had no such deleted key.
    """
    if KeyVault.objects.get(pk=row.vault_id).is_purge_protected:
        return LEFT_TO_AZURE, False
    refused_at = _last_purge_refusal(row)
    if refused_at is not None and refused_at > now() - PURGE_RETRY:
        return PURGE_NOT_TRIED, False
    failpoint("kek.before_purge")
    try:
        # A refusal that is known is no error in the log again.
        known = [CloudErrorKind.PERMISSION] if refused_at is not None else []
        with gateway.expecting(*known):
            gateway.purge_key(row.name)
        failpoint("kek.after_purge")
    except CloudError as error:
        if error.kind == CloudErrorKind.PURGE_PROTECTED:
            return LEFT_TO_AZURE, False
        if error.kind == CloudErrorKind.PERMISSION:
            return PURGE_REFUSED, False
        if error.kind != CloudErrorKind.NOT_FOUND:
            raise
        return "", True
    return "", False


def _last_purge_refusal(row: EphemeralKek) -> datetime | None:
    """Return when the last other KEK was made that the vault refused to purge for want of the permission."""
    refused = EphemeralKek.objects.filter(vault=row.vault_id, note=PURGE_REFUSED).exclude(pk=row.pk)
    return refused.order_by("-created_at").values_list("created_at", flat=True).first()


def _tell_left(row: EphemeralKek, note: str) -> list[Draft]:
    """Return what the log tells of a deleted KEK that stays until its retention ends.

    Where it stays for want of a permission, that is told of the first one only.
    """
    if note == LEFT_TO_AZURE:
        why = "the vault has purge protection"
    elif note == PURGE_REFUSED and _last_purge_refusal(row) is None:
        why = "the permission Purge is not granted, which is optional; later KEKs of this vault are left likewise"
    else:
        return []
    vault = KeyVault.objects.select_related("credential").get(pk=row.vault_id)
    told = Draft(
        event="azure.kek_purge_not_needed",
        actor=SYSTEM,
        message=f"{row.name} stays deleted until the retention period ends: {why}",
        subject=Subject(credential=vault.credential.name, vault=vault.name),
        job_id=row.job_id,
        job_code=row.job.code,
    )
    return [told]


def confirm_absence(gateway: VaultGateway, row: EphemeralKek) -> str:
    """Close the row of a KEK if the vault says that it no longer has it. Return what is left ("" for nothing)."""
    if gateway.get_key(row.name) is not None:
        with transaction.atomic():
            _mark(row, KekState.LIVE, note="in the vault although it was discarded")
        return f"{row.name}: {row.note}"
    if row.note not in LEFT_NOTES and gateway.get_deleted(row.name) is not None:
        with transaction.atomic():
            _mark(row, KekState.DELETED, note="among the deleted keys although it was purged")
        return f"{row.name}: {row.note}"
    with transaction.atomic():
        _mark(row, KekState.GONE, note=row.note)
    return ""


def reopen(rows: QuerySet[EphemeralKek]) -> None:
    """Record KEKs as live that were discarded and that their vault holds all the same."""
    rows.update(state=KekState.LIVE, note="arrived after it was discarded", next_sweep_at=None)
