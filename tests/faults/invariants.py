"""What must be true after any accident, told by an observer of its own.

It asks the vault through the SDK, the device through PKCS#11 and the database by its rows; a job's
own word about itself is compared, never trusted. Numbers are those of the fault design: I1 to I11.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from azure.core.exceptions import ResourceNotFoundError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import rsa as rsa_module

from hsm.destination_marks import Use
from hsm.device import get_device
from hsm.mark_checks import check_keys
from jobs.choices import FINAL_STATES
from jobs.journal import kek_ledger
from jobs.models import EphemeralKek, Intent, Job, JobTarget
from keygroups.marks import facts_of_key
from keygroups.models import CloudVersion, Key, KeyGroup, RotationSlot
from keygroups.verification import verify_group
from logging_reports.choices import Service
from logging_reports.models import LogEntry
from logging_reports.verification import verify_service
from tests.faults.operations import NAME

FORMAT = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "P-256K": ec.SECP256K1()}


def thumbprint(jwk):
    """SHA-256 of a vault key's public half."""
    if jwk.x:
        curve = CURVES[getattr(jwk.crv, "value", jwk.crv)]
        public = ec.EllipticCurvePublicNumbers(int.from_bytes(jwk.x), int.from_bytes(jwk.y), curve).public_key()
    else:
        public = rsa.RSAPublicNumbers(int.from_bytes(jwk.e), int.from_bytes(jwk.n)).public_key()
    return hashlib.sha256(public.public_bytes(*FORMAT)).hexdigest()


def in_the_vault(vault):
    """The live versions under the group's name: version -> (thumbprint, enabled), oldest first."""
    found = []
    try:
        for item in vault.client.list_properties_of_key_versions(NAME):
            bundle = vault.client.get_key(NAME, item.version)
            found.append((item.created_on, item.version, thumbprint(bundle.key), bool(item.enabled)))
    except ResourceNotFoundError:
        return {}
    return {version: (print_, enabled) for _at, version, print_, enabled in sorted(found)}


def broken(world, *, strangers=0):
    """Return a sentence for each invariant that does not hold. ``strangers``: versions others pushed."""
    versions = in_the_vault(world.vault)
    found = [
        *_one_version_per_key(versions, strangers),
        *_known_here_as_there(world, versions),
        *_announced(versions),
        *_one_at_a_time(),
        *_at_rest(),
        *_rotations(),
        *_nothing_lost(),
        *_no_kek(world),
        *_log(versions),
    ]
    states = dict(Job.objects.values_list("code", "state"))
    return [f"{sentence} (jobs: {states})" for sentence in found]


def _one_version_per_key(versions, strangers):
    doubles = LogEntry.objects.filter(event="azure.duplicate_version").count()
    counted = Counter(print_ for print_, _enabled in versions.values())
    enabled = Counter(print_ for print_, on in versions.values() if on)
    ours = dict(Key.objects.values_list("thumbprint", "name"))
    for print_, count in counted.items():
        if print_ not in ours:
            strangers -= 1
        elif count > 1 + doubles or enabled[print_] > 1:
            yield f"I1 key {ours[print_]} stands {count} times in the vault, {enabled[print_]} of them enabled"
    if strangers < 0:
        yield "I1 the vault holds a version that nobody made"
    if strangers > 0:
        yield "I10 a version that somebody else made is gone"


def _known_here_as_there(world, versions):
    known = {}
    for row in CloudVersion.objects.select_related("key"):
        if row.state in {"active", "superseded", "disabled"}:
            known[row.azure_version] = row
            there = versions.get(row.azure_version)
            if there is None:
                yield f"I2 {row.key.name} is {row.state} here and not in the vault"
            elif there != (row.key.thumbprint, row.enabled):
                yield f"I2 {row.key.name} differs from the vault: {there} {row.enabled}"
        if row.state == "pushing":
            yield f"I2 {row.key.name} is said to be on its way, for ever"

    ours = set(Key.objects.values_list("thumbprint", flat=True))
    for version, (print_, _enabled) in versions.items():
        if print_ in ours and version not in known:
            yield f"I2 version {version} is ours in the vault and not known here"
    group = KeyGroup.objects.get(pk=world.group.pk)
    if versions and known and group.cloud_state != "live":
        yield f"I2 the group is {group.cloud_state} here and live in the vault"
    if not versions and group.cloud_state == "live":
        yield "I2 the group is live here and not in the vault"


def _announced(versions):
    for print_, _enabled in versions.values():
        key = Key.objects.filter(thumbprint=print_).first()
        if key is not None and not Intent.objects.filter(key=key, operation="import").exists():
            yield f"I3 {key.name} got into the vault unannounced"


def _one_at_a_time():
    known = list(Intent.objects.filter(state__in=["ok", "refused"]))
    for first in known:
        for second in known:
            same_run = (first.job_id, first.fence) == (second.job_id, second.fence)
            same_key = first.azure_lock == second.azure_lock
            if same_key and not same_run and first.sent_at < second.sent_at < first.resolved_at:
                yield f"I5 {second} was called while {first} of another run was under way"


def _at_rest():
    for job in Job.objects.exclude(state__in=FINAL_STATES):
        yield f"I4 {job} {job.kind} stays {job.state}: {job.waiting_for}"
    for job in Job.objects.filter(state="failed", error_what=""):
        yield f"I4 {job} failed without a word"
    for target in JobTarget.objects.filter(state="pending", job__state__in=FINAL_STATES):
        yield f"I4 {target} stays pending in a job that has ended"
    for intent in Intent.objects.filter(state__in=["pending", "unknown"]):
        yield f"I9 the call {intent} is {intent.state} for ever"


def _rotations():
    ended = {
        "succeeded": "succeeded",
        "warned": "succeeded",
        "partly_failed": "failed",
        "failed": "failed",
        "cancelled": "cancelled",
    }

    served = Counter(RotationSlot.objects.exclude(job_id=None).values_list("group", "due_at"))
    for (_group, due_at), count in served.items():
        if count > 1:
            yield f"I6 the rotation due at {due_at} was served {count} times"
    for slot in RotationSlot.objects.select_related("group"):
        job = Job.objects.filter(pk=slot.job_id).first()
        if job is None and slot.state not in {"missed", "refused"}:
            yield f"I6 the rotation due at {slot.due_at} has no job"
        if job is not None and slot.state != ended.get(job.state, "pending"):
            yield f"I6 the rotation due at {slot.due_at} is {slot.state} and its job {job.state}"
        if job is not None and job.state in {"succeeded", "warned"} and slot.group.last_rotated_at is None:
            yield "I6 a rotation succeeded and the group does not know"


def _nothing_lost():
    kek = rsa_module.generate_private_key(65537, 2048).public_key().public_numbers()
    for key in Key.objects.filter(state="present"):
        try:
            (found,) = check_keys(get_device(), [(key.name, facts_of_key(key), bytes(key.mark))])
            _group, destination = verify_group(key.group, Use())
            get_device().wrap_for_kek(found, destination, kek_modulus=kek.n, kek_exponent=kek.e)
        except Exception as error:  # noqa: BLE001 - whatever it is, the key can't be used
            yield f"I7 key {key.name} is lost: {error}"


def _no_kek(world):
    refused = EphemeralKek.objects.filter(state="gone", note__in=[kek_ledger.PURGE_REFUSED, kek_ledger.PURGE_NOT_TRIED])
    left_to_azure = set(refused.values_list("name", flat=True)) if world.has_refused_purge else set()
    for name in world.vault.keks():
        if name not in left_to_azure or not world.vault.is_deleted(name):
            yield f"I8 {name} is left in the vault"
    for row in EphemeralKek.objects.exclude(state="gone"):
        yield f"I8 the ledger still holds {row} as {row.state}"


def _log(versions):
    for service in Service:
        verdict = verify_service(service)
        if not verdict.is_intact:
            yield f"I9 the chain of {service} is broken: {verdict.first_break}"
    told = set(LogEntry.objects.filter(service="azure").values_list("version", flat=True))
    ours = set(Key.objects.values_list("thumbprint", flat=True))
    for version, (print_, _enabled) in versions.items():
        if print_ in ours and version not in told:
            yield f"I9 no row of the log tells of version {version}"
