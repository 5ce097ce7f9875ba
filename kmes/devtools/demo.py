"""The main job shown end to end: from signing in to a signature that the vault makes with our key.

Everything goes through the console's pages, as a person would do it; the proof is asked of the
vault by a client that shares nothing with the product. Ends 0 only when every key is proven.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kmes.devtools.console_client import ConsoleClient, PageError
from kmes.devtools.temporary_instance import CLIENT, CLIENT_SECRET, TENANT, TemporaryInstance, UnexpectedResult
from kmes.devtools.vault_client import VaultClient, VaultError, decode

MESSAGE = b"Signed in the vault by a key that was made here."
VERSIONS = 2
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Subject:
    """One key group of the demo."""

    name: str
    key_type: str
    key_spec: str
    algorithm: str


SUBJECTS = (
    Subject("payments", "RSA", "RSA-2048", "RS256"),
    Subject("signatures", "ECC", "P-256", "ES256"),
)


class StepPrinter:
    """Says what is done, with the seconds since the start before it."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one step."""
        print(f"[{self.seconds:5.1f} s] {text}", flush=True)

    def quote(self, lines: list[str]) -> None:
        """Print what the console itself said."""
        for line in lines:
            print(f"            {line}", flush=True)


class Demo:
    """The main job on one temporary installation."""

    def __init__(self, temporary: TemporaryInstance, printer: StepPrinter) -> None:
        self.temporary = temporary
        self.printer = printer
        self.console = ConsoleClient(temporary.instance.url)
        self.vault = VaultClient(temporary.vault_url(), ca_file=temporary.ca_file)

    def run(self) -> None:
        """Do it all.

        Raises UnexpectedResult, PageError or VaultError at the first thing that is not as it must be.
        """
        self.printer.say("Sign in as admin1")
        self.console.sign_in("admin1", self.temporary.password)
        credential = add_credential(self.console, self.temporary)
        self.printer.say("Cloud credential “Contoso” recorded; its secret was sealed on arrival")
        self._job("List the key vaults it can see", f"/jobs/start/list_vaults/?credential={credential}")
        authority = self.temporary.instance.stand_in_url
        self.vault.sign_in(authority, tenant=TENANT, client=CLIENT, secret=CLIENT_SECRET)
        proven = 0
        for subject in SUBJECTS:
            group = self._make_and_push(subject, credential)
            proven += self._prove(subject, group)
        self._check_leftovers()
        self.printer.say(f"Done: {proven} keys proven by signatures made in the vault")

    def _make_and_push(self, subject: Subject, credential: str) -> str:
        group = add_group(
            self.console,
            name=subject.name,
            credential=credential,
            vault="kv-premium",
            key_type=subject.key_type,
            key_spec=subject.key_spec,
        )
        self.printer.say(f"Key group “{subject.name}” made for {subject.key_spec}")
        start = "/jobs/start/{}/?group=" + group
        self._job("Create a key in the HSM", start.format("create"), {"name": f"{subject.name}-1"})
        self._job("Synchronize it to Azure Key Vault", start.format("synchronize"))
        self._job("Force a rotation", start.format("rotate"))
        return group

    def _job(self, what: str, path: str, values: dict[str, str] | None = None) -> None:
        code = self.console.run_job(path, values)
        self.printer.say(f"{what}: job {code}")
        self.printer.quote(self.console.job_log(code))

    def _prove(self, subject: Subject, group: str) -> int:
        """Let the vault sign with every version, and verify by the public keys that the console shows."""
        page = self.console.open(f"/keys/?group={group}")
        key_ids = sorted(set(re.findall(rf"/keys/({_ID})/", " ".join(page.links()))))
        found = [load_pem_public_key(self.console.open(f"/keys/{each}/public/").text.encode()) for each in key_ids]
        ours = [key for key in found if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)]
        versions = [each["kid"] for each in self.vault.versions(subject.name)]
        if len(versions) != VERSIONS or len(ours) != VERSIONS:
            message = (
                f"{subject.name}: {len(versions)} versions in the vault and {len(ours)} keys here, not {VERSIONS}."
            )
            raise UnexpectedResult(message)
        digest = hashlib.sha256(MESSAGE).digest()
        for kid in versions:
            public = self.vault.call("GET", kid.removeprefix(self.vault.url))["key"]
            key = next((each for each in ours if is_same(each, public)), None)
            if key is None:
                message = f"{kid} has a public key that the console doesn't know."
                raise UnexpectedResult(message)
            verify(key, self.vault.sign(kid, subject.algorithm, digest), digest)
            ours.remove(key)
            self.printer.say(f"{subject.algorithm} signature by version {kid.rpartition('/')[2]} is valid")
        return len(versions)

    def _check_leftovers(self) -> None:
        left = [
            item["kid"]
            for path in ("/keys", "/deletedkeys")
            for item in self.vault.call("GET", path)["value"]
            if "/kmes-kek-" in item["kid"]
        ]
        if left:
            message = f"Ephemeral keys were left in the vault: {', '.join(left)}."
            raise UnexpectedResult(message)
        self.printer.say("No ephemeral key is left in the vault")


def add_credential(console: ConsoleClient, temporary: TemporaryInstance) -> str:
    """Record the stand-in's client by the Add page; returns the credential's id."""
    values = {
        "name": "Contoso",
        "cloud": "custom",
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "secret": CLIENT_SECRET,
        "authority_url": temporary.instance.stand_in_url,
        "arm_url": temporary.instance.stand_in_url,
    }
    page = console.submit(console.open("/cloud-credentials/add/"), values)
    return _id_of(page.url + " " + " ".join(console.open("/cloud-credentials/").links()), "cloud-credentials")


def add_group(console: ConsoleClient, *, name: str, credential: str, vault: str, key_type: str, key_spec: str) -> str:
    """Make a key group by the dialog's second step; returns the group's id."""
    page = console.open("/keys/groups/add/?key_kind=asymmetric&storage=hsm")
    values = {
        "name": name,
        "credential": credential,
        "key_type": key_type,
        "key_spec": key_spec,
        "usage": ["sign"],
        "vault": page.form_with("key_spec").choice("vault", vault),
        "azure_name": name,
    }
    answer = console.submit(page, values, expect=("name", "key_spec"))
    match = re.search(rf"group=({_ID})", answer.url)
    if match is None:
        message = f"The key group {name} was not made: {answer.words()[:800]}"
        raise PageError(message)
    return match[1]


def _id_of(text: str, place: str) -> str:
    match = re.search(rf"/{place}/({_ID})/", text)
    if match is None:
        message = f"No page below /{place}/ can be found."
        raise PageError(message)
    return match[1]


def is_same(key: PublicKey, jwk: dict[str, Any]) -> bool:
    """Say whether a key is the one in a JSON Web Key."""
    numbers = key.public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return "n" in jwk and numbers.n == int.from_bytes(decode(jwk["n"]))
    return "x" in jwk and (numbers.x, numbers.y) == tuple(int.from_bytes(decode(jwk[name])) for name in "xy")


def verify(key: PublicKey, signature: bytes, digest: bytes) -> None:
    """Verify a signature over a SHA-256 digest (RS256 and ES256 of RFC 7518, section 3).

    Raises UnexpectedResult when it is not valid.
    """
    algorithm = Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, padding.PKCS1v15(), algorithm)
        else:
            half = len(signature) // 2
            both = (int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
            key.verify(encode_dss_signature(*both), digest, ec.ECDSA(algorithm))
    except InvalidSignature as error:
        message = "A signature made in the vault does not verify with the public key kept here."
        raise UnexpectedResult(message) from error


def main() -> int:
    """Show the main job; returns the exit code."""
    printer = StepPrinter()
    printer.say("Start a temporary installation: Redis, stand-in for Azure, web, worker, beat, reports")
    try:
        with TemporaryInstance("demo") as temporary:
            printer.say(f"The console answers at {temporary.instance.url}")
            Demo(temporary, printer).run()
    except (UnexpectedResult, PageError, VaultError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    printer.say("Everything stopped, the temporary folder removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
