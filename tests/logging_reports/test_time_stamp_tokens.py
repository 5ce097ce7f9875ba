"""What is a time stamp of RFC 3161 and what is none: the certificates of an answer, its signature, its bits."""

from __future__ import annotations

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from logging_reports.time_stamps import TimeStampError, _Response, load_certificates, new_query, read_time_stamp
from tests.logging_reports.stamping_authority import Holder, new_authority

STAMPED = b"what is stamped"


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """An authority and a genuine answer of it."""
    made = new_authority(tmp_path_factory.mktemp("authority"))
    query = new_query(STAMPED)
    return made, query, made.reply(query.content)


def read(token, reply, stamped=STAMPED):
    return read_time_stamp(reply, stamped, trusted=load_certificates(token[0].ca_file), nonce=token[1].nonce)


def test_the_certificates_of_an_answer_may_stand_in_any_order(token):
    first, second = (each.dump() for each in _Response.load(token[2])["time_stamp_token"]["content"]["certificates"])
    other = token[2].replace(first + second, second + first)
    assert other != token[2]
    for reply in (token[2], other):
        assert read(token, reply).authority == "CN=Authority of the tests"


def swap_certificate(reply: bytes, old: Holder, new: x509.Certificate) -> bytes:
    content = _Response.load(reply)
    signed = content["time_stamp_token"]["content"]
    kept = [each for each in signed["certificates"] if each.dump() != old.certificate.public_bytes(Encoding.DER)]
    signed["certificates"] = cms.CertificateSet([*kept, cms.CertificateChoices.load(new.public_bytes(Encoding.DER))])
    return content.dump()


def reissued(authority, **changes) -> x509.Certificate:
    """The signer's certificate once more, with its name, number and key, but for another use."""
    old, changes = (
        authority.signer.certificate,
        {"usage": [ExtendedKeyUsageOID.TIME_STAMPING], "critical": True, **changes},
    )
    builder = (
        x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if changes["usage"]:
        builder = builder.add_extension(x509.ExtendedKeyUsage(changes["usage"]), critical=changes["critical"])
    return builder.sign(authority.intermediate.key, hashes.SHA256())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"usage": []}, "not for time stamps"),
        ({"critical": False}, "critically"),
        ({"usage": [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH]}, "not for time stamps alone"),
        ({"usage": [ExtendedKeyUsageOID.SERVER_AUTH]}, "not for time stamps alone"),
        ({}, "names another certificate"),
    ],
)
def test_a_certificate_for_something_else_or_another_one_of_the_same_name_is_refused(changes, words, token):
    made = token[0]
    with pytest.raises(TimeStampError, match=words):
        read(token, swap_certificate(token[2], made.signer, reissued(made, **changes)))


def test_an_answer_without_its_signers_certificate_or_with_two_of_it_is_refused(token):
    made = token[0]
    both = swap_certificate(token[2], made.root, reissued(made))
    none = swap_certificate(token[2], made.signer, made.root.certificate)
    for reply in (both, none):
        with pytest.raises(TimeStampError, match="the one certificate of its signer"):
            read(token, reply)


def test_no_changed_bit_changes_what_a_time_stamp_says(token):
    genuine = read(token, token[2])
    for position in range(0, len(token[2]), 11):
        changed = bytearray(token[2])
        changed[position] ^= 1 << (position % 8)
        try:
            assert read(token, bytes(changed)) == genuine
        except TimeStampError:
            continue
