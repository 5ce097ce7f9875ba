"""The only writer of vaults' circuits: they keep jobs from a vault that does not answer.

After several calls in a row without an answer the circuit opens: no job for the vault starts until a pause is over,
then one job at a time tries it. Each failure makes the pause longer, an answer closes the circuit. A vault whose call
has lasted long counts as slow for a while, so that its jobs don't take every worker.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from cloudcreds.models import CloudCredential, KeyVault, VaultCircuit
from cloudcreds.provider.errors import CloudErrorKind
from kmes.core.clock import now

# Pauses of an open circuit, in seconds; the last one repeats.
PAUSES = (5, 15, 60, 300, 900)
# A job that tries the vault has so many seconds before another may.
PROBE_SECONDS = 120
SLOW_FOR_SECONDS = 15
# The vault, or the way to it, gave no answer of its own. A change without an answer has an unknown outcome.
NO_ANSWER = frozenset(
    {
        CloudErrorKind.UNREACHABLE,
        CloudErrorKind.UNKNOWN_OUTCOME,
        CloudErrorKind.SERVER_ERROR,
        CloudErrorKind.SIGN_IN_UNAVAILABLE,
        CloudErrorKind.PROXY_REFUSED,
    }
)
_IS_TROUBLED = Q(failures__gt=0) | Q(retry_at__isnull=False) | Q(slow_until__isnull=False)


def is_troubled(vault: KeyVault) -> bool:
    """Return whether the vault did not answer lately, or answered slowly."""
    return VaultCircuit.objects.filter(_IS_TROUBLED, vault=vault).exists()


def record_failure(vault: KeyVault, *, why: str) -> None:
    """Record a call without an answer; open the circuit after several in a row, or make its pause longer."""
    moment = now()
    with transaction.atomic():
        circuit = _lock(vault.pk)
        circuit.failures += 1
        circuit.last_error = why
        if circuit.failures >= settings.KMES_CIRCUIT_FAILURES:
            circuit.opened_at = circuit.opened_at or moment
            if circuit.retry_at is None or circuit.retry_at <= moment:
                circuit.retry_at = moment + timedelta(seconds=PAUSES[min(circuit.pauses, len(PAUSES) - 1)])
                circuit.pauses += 1
            circuit.probe_job_id, circuit.probe_until = None, None
        circuit.save()


def record_answer(vault: KeyVault) -> datetime | None:
    """Close the vault's circuit: it answered. Return until when it would have been paused; None when it was not."""
    troubled = VaultCircuit.objects.filter(_IS_TROUBLED, vault=vault)
    paused_until = troubled.values_list("retry_at", flat=True).first()
    troubled.update(
        slow_until=None,
        failures=0,
        pauses=0,
        opened_at=None,
        retry_at=None,
        last_error="",
        probe_job_id=None,
        probe_until=None,
    )
    return paused_until


def record_slow(vault: KeyVault) -> None:
    """Record that a call to the vault has lasted long."""
    until = now() + timedelta(seconds=SLOW_FOR_SECONDS)
    VaultCircuit.objects.update_or_create(vault=vault, defaults={"slow_until": until})


def record_slow_credential(credential_id: UUID) -> None:
    """Record that a call that concerns no vault has lasted long: sign-in, or Resource Manager."""
    until = now() + timedelta(seconds=SLOW_FOR_SECONDS)
    CloudCredential.objects.filter(pk=credential_id).update(slow_until=until)


def find_pause(vault: KeyVault, *, job_id: UUID) -> datetime | None:
    """Return until when a job must leave the vault alone; None when it may reach it, which may make it the one that tries it."""
    circuit = VaultCircuit.objects.filter(vault=vault, retry_at__isnull=False).first()
    if circuit is None or circuit.retry_at is None:
        return None
    if circuit.retry_at <= now() and begin_probe(vault.pk, job_id=job_id):
        return None
    return circuit.retry_at


def is_paused() -> Q:
    """Return the condition of a vault that is left alone until its pause is over."""
    return Q(circuit__retry_at__gt=now())


def begin_probe(vault_id: UUID, *, job_id: UUID) -> bool:
    """Let this job try a vault whose pause is over, unless another one does. Return whether it may."""
    free = Q(probe_until__isnull=True) | Q(probe_until__lt=now()) | Q(probe_job_id=job_id)
    ready = VaultCircuit.objects.filter(free, vault_id=vault_id, retry_at__lte=now())
    return bool(ready.update(probe_job_id=job_id, probe_until=now() + timedelta(seconds=PROBE_SECONDS)))


def end_probe(*, job_id: UUID) -> None:
    """Let another job try the vault that this one tried without a result."""
    VaultCircuit.objects.filter(probe_job_id=job_id).update(probe_job_id=None, probe_until=None)


def end_pause(vault: KeyVault) -> datetime | None:
    """Let the vault be tried at once. Return until when it would have been paused; None when it is not."""
    with transaction.atomic():
        circuit = _lock(vault.pk)
        former = circuit.retry_at
        if former is not None:
            circuit.retry_at, circuit.probe_job_id, circuit.probe_until = now(), None, None
            circuit.save(update_fields=["retry_at", "probe_job_id", "probe_until"])
    return former


def _lock(vault_id: UUID) -> VaultCircuit:
    VaultCircuit.objects.get_or_create(vault_id=vault_id)
    return VaultCircuit.objects.select_for_update().get(vault_id=vault_id)
