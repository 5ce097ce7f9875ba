"""Time stamps of RFC 3161 over checkpoints: the query to an authority, and the check of its answer.

What is stamped is an anchor file, byte by byte (``Anchor.to_file``), so ``openssl ts -verify -data`` takes the same
file. Reads no database and needs no Django, like ``anchors``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

SHA256_OID = "2.16.840.1.101.3.4.2.1"


class _Response(core.Sequence):  # type: ignore[misc]
    """TimeStampResp of RFC 3161, section 2.4.2: asn1crypto's own does not know that a refusal has no token."""

    # A list, because asn1crypto prepares its items in place.
    _fields = [("status", tsp.PKIStatusInfo), ("time_stamp_token", cms.ContentInfo, {"optional": True})]


class TimeStampError(ValueError):
    """An answer is no time stamp of what was asked for; the message says why."""


@dataclass(frozen=True)
class Query:
    """A query as it is sent (DER), and the nonce that the answer must repeat."""

    content: bytes
    nonce: int


@dataclass(frozen=True)
class TimeStamp:
    """What a time stamp says: the authority's time, its policy (dotted OID), and the subject of its certificate."""

    at: datetime
    policy: str
    authority: str


def new_query(stamped: bytes) -> Query:
    """Return a query for a time stamp over the SHA-256 of some bytes, with a nonce and the wish for certificates."""
    query = TimestampRequestBuilder().data(stamped).hash_algorithm(HashAlgorithm.SHA256).build()
    if query.nonce is None:
        raise TimeStampError("the query has no nonce")
    return Query(query.as_bytes(), query.nonce)


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file: the authority's root, and intermediate ones that it does not send.

    Raises:
        TimeStampError: the file can't be read or holds none.

    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TimeStampError(f"the certificates of the authority in {path} can't be read: {error}") from error


def read_time_stamp(
    response: bytes,
    stamped: bytes,
    *,
    trusted: Sequence[x509.Certificate],
    nonce: int | None = None,
    policy: str = "",
) -> TimeStamp:
    """Check an answer of an authority and return what it says.

    Checked are the status, the hash of ``stamped``, the nonce and the policy if given, the signature, the chain of the
    signer's certificate to a trusted one at the time of the stamp, and that the certificate is for time stamps alone.

    Raises:
        TimeStampError: something of it does not hold.

    """
    try:
        answer, signed = _parse(response)
        _check_token(answer, stamped, nonce=nonce, policy=policy)
        signer = _find_signer(signed)
        _check_purpose(signer)
        _check_binding(signed, signer)
        VerifierBuilder(roots=list(trusted)).build().verify(answer, hashlib.sha256(stamped).digest())
    except VerificationError as error:
        found = re.search(r"Verify error: ([\w ,-]+)", str(error))
        reason = found[1] if found else "wrong signature"
        raise TimeStampError(f"the signature does not hold under the authority's certificates: {reason}") from error
    except TimeStampError:
        raise
    # Both libraries raise whatever reading a strange structure raises.
    except Exception as error:
        raise TimeStampError(f"the answer is no time stamp ({type(error).__name__})") from error
    token = answer.tst_info
    return TimeStamp(token.gen_time, token.policy.dotted_string, signer.subject.rfc4514_string())


def _parse(response: bytes) -> tuple[TimeStampResponse, Any]:
    """Return an answer as both libraries read it, with its certificates sorted.

    RFC 5652 lets them stand in any order; ``rfc3161_client`` takes them in the order of DER only. No signature covers
    their order.
    """
    content = _Response.load(response, strict=True)
    status = content["status"]["status"].native
    # PKIStatus of RFC 3161, section 2.4.2; "granted with modifications" would not be what was asked for.
    if status != "granted":
        words = "; ".join(filter(None, content["status"]["status_string"].native or ()))
        raise TimeStampError(f"the authority did not grant it: {status} {words}".strip())
    signed = content["time_stamp_token"]["content"]
    signed["certificates"] = cms.CertificateSet(sorted(signed["certificates"], key=lambda each: each.dump()))
    return decode_timestamp_response(content.dump()), signed


def _check_token(answer: TimeStampResponse, stamped: bytes, *, nonce: int | None, policy: str) -> None:
    token = answer.tst_info
    if token.message_imprint.hash_algorithm.dotted_string != SHA256_OID:
        raise TimeStampError("the time stamp names another kind of hash than was asked for")
    if token.message_imprint.message != hashlib.sha256(stamped).digest():
        raise TimeStampError("the time stamp is of something else: its hash is another one")
    if nonce is not None and token.nonce != nonce:
        raise TimeStampError("the time stamp answers another query: its nonce is another one")
    if policy and token.policy.dotted_string != policy:
        raise TimeStampError(f"the time stamp is of the policy {token.policy.dotted_string}, not of {policy}")


def _find_signer(signed: Any) -> x509.Certificate:
    infos = list(signed["signer_infos"])
    if len(infos) != 1:
        raise TimeStampError("the answer does not have one signer")
    wanted = infos[0]["sid"].chosen
    found = [
        each.chosen
        for each in signed["certificates"]
        if each.chosen.issuer == wanted["issuer"] and each.chosen.serial_number == wanted["serial_number"].native
    ]
    # Of two with one name and number, one could be checked and the other have signed.
    if len(found) != 1:
        raise TimeStampError("the answer does not hold the one certificate of its signer")
    return x509.load_der_x509_certificate(found[0].dump())


def _check_purpose(signer: x509.Certificate) -> None:
    """Check that a certificate is for time stamps, and for nothing else (RFC 3161, section 2.3)."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound as error:
        raise TimeStampError("the signer's certificate is not for time stamps") from error
    if not usage.critical or list(usage.value) != [x509.ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimeStampError("the signer's certificate is not for time stamps alone, or does not say so critically")


def _check_binding(signed: Any, signer: x509.Certificate) -> None:
    """Check that the signed attributes name the signer's certificate (RFC 3161, section 2.4.1; RFC 5816)."""
    content = signer.public_bytes(Encoding.DER)
    for attribute in signed["signer_infos"][0]["signed_attrs"]:
        name = attribute["type"].native
        if name in {"signing_certificate", "signing_certificate_v2"}:
            first = attribute["values"][0]["certs"][0]
            kind = first["hash_algorithm"]["algorithm"].native if name.endswith("_v2") else "sha1"
            if first["cert_hash"].native != hashlib.new(kind, content).digest():
                raise TimeStampError("the signature names another certificate than the signer's")
            return
    raise TimeStampError("the signature does not name the signer's certificate")
