"""The vault in memory of the simulation as an HTTP service: Key Vault's paths, bodies and words, and a token endpoint.

It checks no signatures and no blobs; what it is strict about is when something is said to exist.
"""

from __future__ import annotations

import base64
import json
import random
import re
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.faults.relay.calls import Answer, Call, Part
from tests.faults.relay.damages import JSON_TYPE

TENANT = "11111111-1111-1111-1111-111111111111"
CHALLENGE = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net"'
# Of the readings without a version, so many lag.
LAG = 0.1
LEVEL = {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}


class Refused(Exception):
    """An error as Key Vault words it."""

    def __init__(self, status, code, message, inner=""):
        super().__init__(message)
        error = {"code": code, "message": message, **({"innererror": {"code": inner}} if inner else {})}
        self.answer = _json({"error": error}, status)


class WireVault:
    """Answers calls out of a ``SimVault``. ``origin`` is its address."""

    def __init__(self, vault, origin):
        self.vault, self.origin = vault, origin
        self.tokens = []

    def answer(self, call: Call) -> Answer:
        """Carry a call out."""
        if call.part == Part.DISCOVERY:
            return self._discovery(call)
        if call.part == Part.TOKEN:
            self.tokens.append(f"token-{self.vault.dice.getrandbits(256):064x}")
            return _json({"token_type": "Bearer", "expires_in": 3599, "access_token": self.tokens[-1]})
        if call.header("Authorization").removeprefix("Bearer ") not in self.tokens:
            refused = Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.").answer
            return refused.with_headers({"WWW-Authenticate": CHALLENGE})
        try:
            return self._vault_answer(call)
        except Refused as refused:
            return refused.answer

    def _discovery(self, call):
        base = self.origin + call.path.partition("/v2.0/")[0]
        return _json(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "issuer": f"{base}/v2.0",
            }
        )

    def _vault_answer(self, call):
        for method, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, call.path)
            if method == call.method and found:
                body = json.loads(call.body) if call.body else {}
                value = handler(self, body, *found.groups())
                return Answer(204, "No Content") if value is None else _json(value)
        raise Refused(404, "NotFound", "No such operation.")

    # --- operations ------------------------------------------------------------------------------
    def create(self, body, name):
        """Make a KEK."""
        self._refuse_deleted(name)
        version = self.vault.add(name, b"", body.get("tags") or {})
        version.bits, version.exp = body.get("key_size", 2048), (body.get("attributes") or {}).get("exp")
        version.operations = body.get("key_ops") or []
        return self._bundle(name, version)

    def import_key(self, body, name):
        """Import a key: the blob carries the name of its material."""
        self._refuse_deleted(name)
        ciphertext = json.loads(_decoded(body["key"]["key_hsm"]))["ciphertext"]
        attributes = body.get("attributes") or {}
        spki = self.vault.material[_decoded(ciphertext)]
        version = self.vault.add(name, spki, body.get("tags") or {}, enabled=attributes.get("enabled", True))
        version.exp, version.operations = attributes.get("exp"), body["key"].get("key_ops") or []
        return self._bundle(name, version)

    def read(self, _body, name, version=""):
        """Read a version, or the newest, which may be the one before for some time."""
        found = self._find(name, version)
        shown = [] if version else self._shown(name)
        return self._bundle(name, shown[-1] if shown else found)

    def update(self, body, name, version):
        """Set attributes of a version."""
        found = self._find(name, version)
        attributes = body.get("attributes") or {}
        found.enabled = attributes.get("enabled", found.enabled)
        found.exp = attributes.get("exp", found.exp)
        found.tags = body.get("tags", found.tags)
        found.operations = body.get("key_ops", found.operations)
        found.updated_at = self.vault.now
        return self._bundle(name, found)

    def list_versions(self, _body, name):
        """List versions by their id, as the service does; a key that doesn't exist has none."""
        rows = sorted(self._shown(name), key=lambda version: version.id)
        items = [
            {"kid": self._kid(name, one), "attributes": self._attributes(one), "tags": dict(one.tags)} for one in rows
        ]
        return {"value": items, "nextLink": None}

    def read_rotation_policy(self, _body, name):
        """Read the key's rotation policy: nobody sets one in these worlds, so it is Azure's own."""
        self._find(name, "")
        notify = {"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}
        return {"lifetimeActions": [notify], "attributes": None}

    def list_keys(self, _body):
        """List live keys."""
        names = sorted(self.vault.keys)
        return {
            "value": [{"kid": f"{self.origin}/keys/{name}", "attributes": LEVEL} for name in names],
            "nextLink": None,
        }

    def delete(self, _body, name):
        """Delete a key with all its versions."""
        self._find(name, "")
        self.vault.deleted[name] = self.vault.keys.pop(name)
        self.vault.tell(f"{name} is deleted")
        return self._deleted(name)

    def read_deleted(self, _body, name):
        """Read a deleted key."""
        return self._deleted(name)

    def recover(self, _body, name):
        """Recover a deleted key."""
        self._deleted(name)
        self.vault.keys[name] = self.vault.deleted.pop(name)
        return self._bundle(name, self.vault.keys[name][-1])

    def purge(self, _body, name):
        """Purge a deleted key."""
        self._deleted(name)
        del self.vault.deleted[name]
        self.vault.tell(f"{name} is purged")

    def _shown(self, name):
        """Return what a reading without a version shows: now and then as it was, or with a row twice."""
        found = list(self.vault.keys.get(name, []))
        # Dice of their own: those of the world decide what else happens.
        dice = random.Random(f"lag {name} {self.vault.now}")
        if self.vault.quiet or dice.random() >= LAG:
            return found
        if dice.random() < 0.3:
            return [*found, *found[:1]]
        before = self.vault.now - timedelta(seconds=dice.choice([5, 60]))
        return [version for version in found if version.made_at < before]

    # --- parts of bodies -------------------------------------------------------------------------
    def _refuse_deleted(self, name):
        if name in self.vault.deleted:
            text = f"Key {name} is currently in a deleted but recoverable state, and its name cannot be reused."
            raise Refused(409, "Conflict", text, "ObjectIsDeletedButRecoverable")

    def _find(self, name, version):
        found = [one for one in self.vault.keys.get(name, []) if version in {"", one.id}]
        if not found:
            raise Refused(404, "KeyNotFound", f"A key with (name/id) {name} was not found in this key vault.")
        return found[-1]

    def _deleted(self, name):
        if name not in self.vault.deleted:
            raise Refused(404, "KeyNotFound", f"Deleted Key not found: {name}")
        now = self.vault.now
        dates = {"deletedDate": _seconds(now), "scheduledPurgeDate": _seconds(now + timedelta(days=90))}
        bundle = self._bundle(name, self.vault.deleted[name][-1])
        return {"recoveryId": f"{self.origin}/deletedkeys/{name}", **dates, **bundle}

    def _kid(self, name, version):
        return f"{self.origin}/keys/{name}/{version.id}"

    def _attributes(self, version):
        made = _seconds(version.made_at)
        updated = _seconds(getattr(version, "updated_at", version.made_at))
        found = {"enabled": version.enabled, "created": made, "updated": updated, **LEVEL}
        ends = getattr(version, "exp", None)
        return {**found, **({"exp": ends} if ends else {})}

    def _bundle(self, name, version):
        operations = getattr(version, "operations", [])
        key = {"kid": self._kid(name, version), "key_ops": operations}
        if version.spki:
            numbers = load_der_public_key(version.spki).public_numbers()
            key |= {"kty": "EC-HSM", "crv": "P-256", "x": _encoded(numbers.x, 32), "y": _encoded(numbers.y, 32)}
        else:
            bits = getattr(version, "bits", 2048)
            key |= {"kty": "RSA-HSM", "n": _encoded(1 << (bits - 1) | 1, bits // 8), "e": "AQAB"}
        return {"key": key, "attributes": self._attributes(version), "tags": dict(version.tags)}


ONE = r"/keys/([0-9a-zA-Z-]+)"
GONE = r"/deletedkeys/([0-9a-zA-Z-]+)"
ROUTES = (
    ("POST", ONE + "/create", WireVault.create),
    ("PUT", ONE, WireVault.import_key),
    ("GET", ONE + "/versions", WireVault.list_versions),
    ("GET", ONE + "/rotationpolicy", WireVault.read_rotation_policy),
    ("GET", "/keys", WireVault.list_keys),
    ("GET", ONE + "/([0-9a-f]{32})", WireVault.read),
    ("GET", ONE, WireVault.read),
    ("PATCH", ONE + "/([0-9a-f]{32})", WireVault.update),
    ("DELETE", ONE, WireVault.delete),
    ("GET", GONE, WireVault.read_deleted),
    ("POST", GONE + "/recover", WireVault.recover),
    ("DELETE", GONE, WireVault.purge),
)


def _json(value, status=200):
    return Answer(status, "", (("Content-Type", JSON_TYPE), ("x-ms-request-id", "1")), json.dumps(value).encode())


def _seconds(moment):
    return int(moment.timestamp())


def _encoded(number, length):
    return base64.urlsafe_b64encode(number.to_bytes(length)).rstrip(b"=").decode()


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
