"""Checks the evidence of an approval, as its page sends it, without database and Django.

``python -m jobs.approvals.offline FILE.json [--signers public.json]`` needs only Python, the package ``cryptography``
and three files of this repository (docs/approvals.md#check-the-evidence). It computes the digest of the plan anew,
checks each signature of a passkey, and prints the fingerprint of each public key. These are compared with an export of
the Audit log, which is checked by itself (``logging_reports.offline``). With the file of public keys
(``KMES_REQUEST_SIGNERS_FILE``) the signatures of the web process are checked, too. Exit status: 0 each decision is signed,
and all signatures hold, 1 something was changed, 2 the file could not be read, or nothing proves a decision in it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kmes.core.canonical_json import encode
from kmes.core.passkey_proofs import ProofError, check

HOLDS, CHANGED, COULD_NOT_CHECK = 0, 1, 2
FORMAT = "kmes approval evidence 1"
PLAN, DECISION, STATEMENT = "kmes approval plan", "kmes approval decision", "kmes approval statement"


@dataclass
class Findings:
    """What was found to hold, what nobody signed, and the faults, as sentences."""

    proven: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.faults:
            return CHANGED
        return COULD_NOT_CHECK if self.unproven or not self.proven else HOLDS


def verify(evidence: Mapping[str, Any], *, signers: Sequence[str] = ()) -> Findings:
    """Check evidence, and the web process's signatures where its public keys (hex) are given.

    Raises:
        KeyError, TypeError, ValueError: it is no evidence.

    """
    digest = hashlib.sha256(encode(PLAN, evidence["plan"])).hexdigest()
    if evidence["format"] != FORMAT:
        message = f"format {evidence['format']}"
        raise ValueError(message)
    found = Findings(faults=[] if digest == evidence["digest"] else ["the plan is not the one of the digest"])
    for decision in evidence["decisions"]:
        name = f"{decision['verdict']} by {decision['user_name']} (user {decision['user']})"
        if decision["digest"] != digest:
            found.faults.append(f"{name}: on another plan")
        elif signers and not _is_of_web(decision, signers):
            found.faults.append(f"{name}: not as the web process recorded it")
        elif not decision["proof"]:
            by_whom = "signed by the web process, by no passkey" if signers else "not signed by a passkey"
            (found.proven if signers else found.unproven).append(f"{name}: {by_whom}")
        else:
            try:
                found.proven.append(f"{name}: signed by the passkey with the public key sha256:{_key_of(decision)}")
            except ProofError as error:
                found.faults.append(f"{name}: {error}")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; refuse a name that stands twice, because readers differ in which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name stands twice"
        raise ValueError(message)
    return found


def _visible(text: str) -> str:
    """Return a text of the file as it may be printed: none of its characters moves the cursor or turns the line."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _key_of(decision: Mapping[str, Any]) -> str:
    signed = {name: decision[name] for name in ("job", "digest", "user", "verdict", "reason")}
    return check(decision["proof"], statement=hashlib.sha256(encode(STATEMENT, signed)).hexdigest())


def _is_of_web(decision: Mapping[str, Any], signers: Sequence[str]) -> bool:
    covered = {name: value for name, value in decision.items() if name != "signature" and (name != "proof" or value)}
    message, signature = encode(DECISION, covered), base64.b64decode(decision["signature"])
    for signer in signers:
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the file that the command line names, and print the result."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.approvals.offline", description="Check the evidence of an approval."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--signers", type=Path, help="the file of public keys that KMES_REQUEST_SIGNERS_FILE names")
    given = parser.parse_args(arguments)
    try:
        signers = json.loads(given.signers.read_bytes())["web"] if given.signers else ()
        found = verify(json.loads(given.file.read_bytes(), object_pairs_hook=_without_doubles), signers=signers)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        sys.stderr.write(f"could not check: {error!r}\n")
        return COULD_NOT_CHECK
    lines = [
        *found.proven,
        *(f"NOT PROVEN {each}" for each in found.unproven),
        *(f"FAULT {each}" for each in found.faults),
    ]
    sys.stdout.writelines(f"{_visible(each)}\n" for each in lines or ["NOT PROVEN: the file holds no decision"])
    return found.status


if __name__ == "__main__":
    sys.exit(main())
