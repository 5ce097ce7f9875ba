"""Worlds in which everything goes wrong by the dice, with the real job code and a clock that can jump.

A world has one vault in memory, one key group, a user who pushes, rotates, disables, deletes, recovers,
purges, destroys and cancels, and a seed. The vault fails a third of all changing calls in seven ways,
some of them with the effect landing up to 90 s later; workers crash between steps, or stand still while
others go on; messages get lost and doubled; listings lag. The same seed gives the same world.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudcreds.provider import send_deadline
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.types import DeletedKey, KekPublicKey, RotationPolicy, VaultKey, VersionInfo
from hsm.services import designated_device
from hsm.types import MarkedKey
from kmes.core.errors import KmesError

FAIL, CRASH, LOSS, DOUBLE, LAG, STALL, ACT = 0.32, 0.04, 0.02, 0.07, 0.10, 0.03, 0.02
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
    # Told of each moment at which a worker may crash or stand still.
    moment: Callable[[str], None] = lambda _name: None

    story: list[str] = field(default_factory=list)

    def tell(self, text):
        """Keep what happened, for whoever looks into a world that broke."""
        self.story.append(f"{self.now:%H:%M:%S} {text}")

    # --- time --------------------------------------------------------------------------------
    def sleep(self, seconds):
        """Let time pass; what was under way lands when its time has come."""
        end = self.now + timedelta(seconds=seconds)
        while due := [entry for entry in self.landing if entry[0] <= end]:
            first = min(due, key=lambda entry: entry[0])
            self.landing.remove(first)
            self.now = max(self.now, first[0])
            # Nobody waits for these any more, so nobody hears that one found nothing to do.
            try:
                first[1]()
            except KmesError as error:
                self.tell(f"what was under way finds nothing to do: {error}")
        self.now = max(self.now, end)

    # --- calls -------------------------------------------------------------------------------
    def change(self, effect):
        """Make a changing call: it succeeds, or fails in one of the ways."""
        self.sleep(self.dice.uniform(0.05, 0.5))
        self.moment("azure.sending")
        send_deadline.check("PUT")
        if self.quiet or self.dice.random() >= FAIL:
            return effect()
        way = self.dice.choice(WAYS)
        if way == "429":
            raise CloudError(CloudErrorKind.THROTTLED, "Throttled.", retry_after=self.dice.choice([None, 1, 10]))
        if way == "refused":
            raise CloudError(CloudErrorKind.UNREACHABLE, "Refused.")
        if way.endswith("after"):
            effect()
        if way == "timeout":
            at = self.now + timedelta(seconds=self.dice.uniform(0, LANDING_SECONDS))
            self.landing.append((at, effect))
            self.tell(f"a request is under way until {at:%H:%M:%S}")
            self.sleep(READ_TIMEOUT)
        raise CloudError(CloudErrorKind.UNKNOWN_OUTCOME, f"Unknown: {way}.")

    def look(self):
        """Make a reading call; the SDK's own retries make these rarely fail."""
        self.sleep(self.dice.uniform(0.05, 0.3))
        if not self.quiet and self.dice.random() < FAIL**3:
            raise CloudError(CloudErrorKind.SERVER_ERROR, "Azure answered with an error of its own (HTTP 503).")

    def add(self, name, spki, tags, *, enabled=True):
        """Make a version."""
        version = Version(f"{self.dice.getrandbits(128):032x}", spki, tags, enabled, self.now)
        self.tell(f"{name} gets a version with {tags.get('kmes-key', '')[-6:]}")
        self.keys.setdefault(name, []).append(version)
        return version


class SimGateway:
    """The gateway's protocol over the vault in memory, with the real back-off."""

    def __init__(self, vault, backoff):
        self.vault, self.backoff = vault, backoff
        backoff.sleep = vault.sleep

    def _change(self, effect):
        return self.backoff.call(lambda: self.vault.change(effect), mutating=True)

    def _add(self, name, spki, tags, *, enabled=True):
        """Make a version, unless a deleted key has the name."""
        if name in self.vault.deleted:
            raise CloudError(CloudErrorKind.SOFT_DELETED, "The name is taken by a deleted key.")
        return self.vault.add(name, spki, tags, enabled=enabled)

    def get_token(self):
        """Sign in."""
        self.vault.look()

    def _kek(self, name):
        version = self.vault.keys[name][-1].id
        return KekPublicKey(
            f"https://sim/keys/{name}/{version}", name, version, 1 << 2047, 65537, "Recoverable+Purgeable", 90
        )

    def create_kek(self, name, bits, *, expires_on, tags):
        """Make a KEK."""
        self._change(lambda: self._add(name, b"", tags))
        return self._kek(name)

    def read_kek(self, name, bits):
        """Look for a KEK."""
        self.vault.look()
        return self._kek(name) if name in self.vault.keys else None

    def _bundle(self, name, version):
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

    def build_transfer_blob(self, kek, ciphertext):
        """Name the material in the blob."""
        return ciphertext

    def import_key(self, name, *, spec, blob, key_ops, enabled, expires_on, tags):
        """Import a key; the blob carries only the name of its material here."""
        spki = self.vault.material[blob]
        return self._bundle(name, self._change(lambda: self._add(name, spki, tags, enabled=enabled)))

    def get_key(self, name, version=""):
        """Read a version, or the newest."""
        self.vault.look()
        found = [one for one in self.vault.keys.get(name, []) if version in {"", one.id}]
        return self._bundle(name, found[-1]) if found else None

    def list_versions(self, name):
        """List versions; the newest may be missing for some seconds."""
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

        def effect():
            found = [one for one in self.vault.keys.get(name, []) if one.id == version]
            if not found:
                raise CloudError(CloudErrorKind.NOT_FOUND, "There is no such version.")
            found[0].enabled = enabled
            return found[0]

        return self._bundle(name, self._change(effect))

    def delete_key(self, name):
        """Delete a key with all its versions."""

        def effect():
            if name not in self.vault.keys:
                raise CloudError(CloudErrorKind.NOT_FOUND, "There is no such key.")
            self.vault.deleted[name] = self.vault.keys.pop(name)
            self.vault.tell(f"{name} is deleted")

        self._change(effect)
        return DeletedKey(name, "recovery", self.vault.now, self.vault.now + timedelta(days=90))

    def get_rotation_policy(self, name):
        """Nobody sets a policy in these worlds: a live key has Azure's own."""
        self.vault.look()
        return RotationPolicy(notify_before_expiry="P30D") if self.vault.keys.get(name) else None

    def clock_difference(self):
        """Both go by the world's clock."""
        return

    def expecting(self, *_kinds):
        """Refusals leave no rows here."""
        return nullcontext()

    def get_deleted(self, name):
        """Look for a deleted key."""
        self.vault.look()
        if name not in self.vault.deleted:
            return None
        return DeletedKey(name, "recovery", self.vault.now, self.vault.now + timedelta(days=90))

    def recover_key(self, name):
        """Recover a deleted key with all its versions."""

        def effect():
            if name not in self.vault.deleted:
                raise CloudError(CloudErrorKind.NOT_FOUND, "There is no such key.")
            self.vault.keys[name] = self.vault.deleted.pop(name)

        self._change(effect)

    def purge_key(self, name):
        """Purge a deleted key."""

        def effect():
            if self.vault.deleted.pop(name, None) is None:
                raise CloudError(CloudErrorKind.NOT_FOUND, "There is no such key.")
            self.vault.tell(f"{name} is purged")

        self._change(effect)

    def list_key_names(self, prefix):
        """List live keys by prefix."""
        self.vault.look()
        return [name for name in self.vault.keys if name.startswith(prefix)]


def make_spki(dice):
    """Make a public key; the dice make it the same in each run of a world."""
    private = ec.derive_private_key(dice.getrandbits(255) + 1, ec.SECP256R1())
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class SimDevice:
    """A device that wraps by giving the material a name."""

    def __init__(self, vault):
        self.vault, self.serial = vault, designated_device().serial

    def identity(self):
        """Say who it is."""
        return self

    def generate(self, _spec, *, key_id, group_id):
        """Make a key that pretends to be in the device."""
        return MarkedKey(make_spki(self.vault.dice), b"sim", b"sim")

    def check_marks(self, claims):
        """Find every mark good: no world of these changes rows behind the console's back."""
        return [True] * len(claims)

    def mark(self, texts):
        """Mark every row alike."""
        return [b"mark"] * len(texts)

    def wrap_for_kek(self, key, _destination, *, kek_modulus, kek_exponent):
        """Name the material."""
        name = b"name:" + key.facts.public_spki[-32:]
        self.vault.material[name] = key.facts.public_spki
        return name


def _maybe_crash(vault):
    if not vault.quiet and vault.dice.random() < CRASH:
        raise Crash


def run_naive_world(seed):
    """The same world with a task as one writes it first: acknowledged late, retried on any error."""
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
        except (CloudError, Crash):
            messages += 1
            continue
        if vault.dice.random() < DOUBLE:
            messages += 1
    vault.quiet = True
    vault.sleep(LANDING_SECONDS + READ_TIMEOUT)
    return len(vault.keys.get("naive", []))
