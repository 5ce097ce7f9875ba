"""Worlds in which everything goes wrong by the dice, with the real job code and a clock that can jump.

A world has one vault in memory, one key to push, and a seed. The vault fails a third of all changing
calls in seven ways, some of them with the effect landing up to 90 s later; workers crash between
steps; messages get lost and doubled; listings lag. The same seed gives the same world.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kmes.core.errors import KmesError

FAIL, CRASH, LOSS, DOUBLE, LAG = 0.32, 0.04, 0.02, 0.07, 0.10
WAYS = ("429", "refused", "5xx before", "5xx after", "reset before", "reset after", "timeout")
LIMIT = timedelta(hours=4)
SCAN = timedelta(seconds=15)
LANDING_SECONDS = 90
READ_TIMEOUT = 30


class Crash(BaseException):
    """A worker's sudden end; nothing in the product can catch it."""


@dataclass
class Version:
    """One version of a key in the vault."""

    id: str
    spki: bytes
    tags: dict
    enabled: bool
    made_at: datetime


@dataclass
class SimVault:
    """A vault in memory, with the dice of its world."""

    dice: random.Random
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    keys: dict[str, list[Version]] = field(default_factory=dict)
    deleted: dict[str, list[Version]] = field(default_factory=dict)
    landing: list = field(default_factory=list)
    material: dict[bytes, bytes] = field(default_factory=dict)
    quiet: bool = False

    # --- time --------------------------------------------------------------------------------
    def sleep(self, seconds):
        """Let time pass; what was under way lands when its time has come."""
        self.now += timedelta(seconds=seconds)
        due = sorted((at, number) for number, (at, _effect) in enumerate(self.landing) if at <= self.now)
        for _at, number in due:
            # Nobody waits for these any more, so nobody hears that one found nothing to do.
            with contextlib.suppress(KmesError):
                self.landing[number][1]()
        self.landing = [entry for entry in self.landing if entry[0] > self.now]

    # --- calls -------------------------------------------------------------------------------
    def change(self, effect):
        """Make a changing call: it succeeds, or fails in one of the ways."""
        from cloudcreds.azure.errors import AzureError, AzureErrorKind

        self.sleep(self.dice.uniform(0.05, 0.5))
        if self.quiet or self.dice.random() >= FAIL:
            return effect()
        way = self.dice.choice(WAYS)
        if way == "429":
            raise AzureError(AzureErrorKind.THROTTLED, "Throttled.", retry_after=self.dice.choice([None, 1, 10]))
        if way == "refused":
            raise AzureError(AzureErrorKind.UNREACHABLE, "Refused.")
        if way.endswith("after"):
            effect()
        if way == "timeout":
            at = self.now + timedelta(seconds=self.dice.uniform(0, LANDING_SECONDS))
            self.landing.append((at, effect))
            self.sleep(READ_TIMEOUT)
        raise AzureError(AzureErrorKind.UNKNOWN_OUTCOME, f"Unknown: {way}.")

    def look(self):
        """Make a reading call; the SDK's own retries make these rarely fail."""
        from cloudcreds.azure.errors import AzureError, AzureErrorKind

        self.sleep(self.dice.uniform(0.05, 0.3))
        if not self.quiet and self.dice.random() < FAIL**3:
            raise AzureError(AzureErrorKind.SERVER_ERROR, "Azure answered with an error of its own (HTTP 503).")

    def add(self, name, spki, tags, *, enabled=True):
        """Make a version."""
        version = Version(f"{self.dice.getrandbits(128):032x}", spki, tags, enabled, self.now)
        self.keys.setdefault(name, []).append(version)
        return version


class SimGateway:
    """The gateway's protocol over the vault in memory, with the real patience."""

    def __init__(self, vault):
        from cloudcreds.azure.patience import Patience

        self.vault = vault
        self.patience = Patience(sleep=vault.sleep)

    def _change(self, effect):
        return self.patience.call(lambda: self.vault.change(effect))

    def get_token(self):
        """Sign in."""
        self.vault.look()

    def _kek(self, name):
        from cloudcreds.azure.types import KekPublicKey

        version = self.vault.keys[name][-1].id
        return KekPublicKey(
            f"https://sim/keys/{name}/{version}", name, version, 1 << 2047, 65537, "Recoverable+Purgeable", 90
        )

    def create_kek(self, name, bits, *, expires_on, tags):
        """Make a KEK."""
        self._change(lambda: self.vault.add(name, b"", tags))
        return self._kek(name)

    def read_kek(self, name):
        """Look for a KEK."""
        self.vault.look()
        return self._kek(name) if name in self.vault.keys else None

    def _bundle(self, name, version):
        from cloudcreds.azure.types import VaultKey

        return VaultKey(
            f"https://sim/keys/{name}/{version.id}",
            name,
            version.id,
            "EC-HSM",
            version.spki,
            version.enabled,
            version.made_at,
            None,
            "Recoverable+Purgeable",
            90,
            (),
            version.tags,
        )

    def import_byok(self, name, *, spec, blob, key_ops, enabled, expires_on, tags):
        """Import a key; the blob carries only the name of its material here."""
        text = json.loads(blob)["ciphertext"]
        mark = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        spki = self.vault.material[mark]
        return self._bundle(name, self._change(lambda: self.vault.add(name, spki, tags, enabled=enabled)))

    def get_key(self, name, version=""):
        """Read a version, or the newest."""
        self.vault.look()
        found = [one for one in self.vault.keys.get(name, []) if version in {"", one.id}]
        return self._bundle(name, found[-1]) if found else None

    def list_versions(self, name):
        """List versions; the newest may be missing for some seconds."""
        from cloudcreds.azure.types import VersionInfo

        self.vault.look()
        shown = self.vault.keys.get(name, [])
        if not self.vault.quiet and self.vault.dice.random() < LAG:
            fresh = self.vault.now - timedelta(seconds=5)
            shown = [one for one in shown if one.made_at < fresh]
        return [
            VersionInfo(f"https://sim/keys/{name}/{one.id}", one.id, one.enabled, one.made_at, None, one.tags)
            for one in shown
        ]

    def update_version(self, name, version, *, enabled):
        """Switch a version."""
        (found,) = [one for one in self.vault.keys[name] if one.id == version]
        self._change(lambda: setattr(found, "enabled", enabled))
        return self._bundle(name, found)

    def delete_key(self, name):
        """Delete a key with all its versions."""
        from cloudcreds.azure.errors import AzureError, AzureErrorKind
        from cloudcreds.azure.types import DeletedKey

        def effect():
            if name not in self.vault.keys:
                raise AzureError(AzureErrorKind.NOT_FOUND, "There is no such key.")
            self.vault.deleted[name] = self.vault.keys.pop(name)

        self._change(effect)
        return DeletedKey(name, "recovery", self.vault.now, self.vault.now + timedelta(days=90))

    def get_deleted(self, name):
        """Look for a deleted key."""
        from cloudcreds.azure.types import DeletedKey

        self.vault.look()
        return DeletedKey(name, "recovery", self.vault.now, None) if name in self.vault.deleted else None

    def purge_key(self, name):
        """Purge a deleted key."""
        from cloudcreds.azure.errors import AzureError, AzureErrorKind

        def effect():
            if self.vault.deleted.pop(name, None) is None:
                raise AzureError(AzureErrorKind.NOT_FOUND, "There is no such key.")

        self._change(effect)

    def list_key_names(self, prefix):
        """List live keys by prefix."""
        self.vault.look()
        return [name for name in self.vault.keys if name.startswith(prefix)]


class SimDevice:
    """A device that wraps by giving the material a name."""

    def __init__(self, vault):
        from hsm.services import designated_device

        self.vault, self.serial = vault, designated_device().serial

    def identity(self):
        """Say who it is."""
        return self

    def wrap_for_kek(self, *, wrapped_private, public_spki, spec, kek_modulus, kek_exponent):
        """Name the material."""
        mark = b"mark:" + public_spki[-32:]
        self.vault.material[mark] = public_spki
        return mark


def run_world(seed, make_key, patch):
    """Live through one world; returns what went wrong, in words."""
    from jobs import execution, keks, scans
    from jobs.choices import FINAL_STATES
    from jobs.models import Job

    dice = random.Random(seed)
    vault = SimVault(dice)
    patch(vault, SimGateway(vault), SimDevice(vault), lambda _moment: _maybe_crash(vault))
    job, key = make_key()
    end = vault.now + LIMIT
    messages = [job.pk]
    while vault.now < end:
        for pk in messages:
            for _delivery in range(0 if dice.random() < LOSS else 2 if dice.random() < DOUBLE else 1):
                try:
                    execution.execute(pk, owner=f"worker-{dice.random()}")
                except Crash:
                    continue
        job.refresh_from_db()
        if job.state in FINAL_STATES:
            break
        vault.sleep(SCAN.total_seconds())
        messages = [pk for pk in scans.jobs_to_poke() if pk == job.pk]
    vault.quiet = True
    vault.sleep(LANDING_SECONDS + READ_TIMEOUT)
    keks.sweep()
    return list(_wrong(vault, Job.objects.get(pk=job.pk), key))


def _maybe_crash(vault):
    if not vault.quiet and vault.dice.random() < CRASH:
        raise Crash


def _wrong(vault, job, key):
    from jobs.choices import FINAL_STATES

    versions = [one for one in vault.keys.get(key.group.azure_name, []) if one.spki == bytes(key.public_spki)]
    enabled = [one for one in versions if one.enabled]
    if len(enabled) > 1:
        yield f"{len(enabled)} enabled versions of one key"
    if job.state not in FINAL_STATES:
        yield "not converged in four hours"
    if job.state == "succeeded" and not enabled:
        yield "a success without a version"
    known = key.cloud_versions.filter(state="active").first()
    if job.state == "succeeded" and (known is None or known.azure_version != enabled[-1].id):
        yield "the version known here is not the one in the vault"
    if any(name.startswith("kmes-kek-") for name in [*vault.keys, *vault.deleted]):
        yield "a KEK is left"


def run_naive_world(seed):
    """The same world with a task as one writes it first: acknowledged late, retried on any error."""
    from cloudcreds.azure.errors import AzureError

    vault = SimVault(random.Random(seed))
    messages = 1
    for _attempt in range(40):
        if messages <= 0:
            break
        messages -= 1
        try:
            _maybe_crash(vault)
            vault.change(lambda: vault.add("naive", b"spki", {}))
            _maybe_crash(vault)
        except (AzureError, Crash):
            messages += 1
            continue
        if vault.dice.random() < DOUBLE:
            messages += 1
    vault.quiet = True
    vault.sleep(LANDING_SECONDS + READ_TIMEOUT)
    return len(vault.keys.get("naive", []))
