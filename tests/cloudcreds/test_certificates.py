"""Certificates of credentials: sealed as they arrive, exchanged with a log row, never two in use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.db import IntegrityError, transaction

from cloudcreds import certificates, services
from cloudcreds.azure.sign_in.certificate_files import read_certificate_file
from cloudcreds.models import CloudCredential, SignInCertificate
from cloudcreds.seals import context_of_key, context_of_secret
from cloudcreds.selectors import describe_sign_in_expiry, list_credentials
from hsm.sealing import unseal
from hsm.types import DeviceCertificate
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, DeviceError, InputError, PermissionRefused
from kmes.core.secret_types import SecretText
from logging_reports.models import LogEntry
from tests.cloudcreds.builders import SECRET, values
from tests.cloudcreds.certificates import PASSWORD, key_pem_of, make_certificate, make_key, pem_of, pfx_file
from tests.cloudcreds.test_services import every_text_in_the_database

pytestmark = pytest.mark.django_db
OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def upload(number=1, **changes):
    file = read_certificate_file(pfx_file(number, **changes), password=SecretText(PASSWORD))
    return values(sign_in="certificate", certificate=file)


@pytest.fixture
def by_certificate(device_row, admin):
    """A credential that signs in with an uploaded certificate."""
    return services.create_credential(values=upload(), actor=admin)


def made(number):
    """A certificate as the device hands it over."""
    return DeviceCertificate(pem=pem_of(make_certificate(number)), wrapped_private=b"wrapped %d" % number)


def keep(credential, number, admin):
    with transaction.atomic():
        return certificates.keep_made_within(credential, made(number), actor=admin)


def thumbprint(number, **changes):
    return certificates.read_facts(pem_of(make_certificate(number, **changes))).thumbprint


def in_use(credential):
    return [str(row) for row in credential.certificates.filter(is_in_use=True)]


def changes():
    rows = LogEntry.objects.filter(event="credential.certificate_changed").order_by("sequence")
    return [(row.data["old_thumbprint"], row.data["new_thumbprint"]) for row in rows]


# --- Uploaded --------------------------------------------------------------------------------
def test_an_uploaded_key_opens_with_the_mfk_for_its_own_row_only(by_certificate, mfk):
    row = by_certificate.certificates.get()
    texts = every_text_in_the_database()
    for line in (*key_pem_of(make_key()).splitlines()[1:-1], PASSWORD):
        assert line not in texts

    def decrypt(wrapped):
        return mfk.decrypt(wrapped, OAEP)

    assert unseal(bytes(row.sealed_key), aad=context_of_key(row), decrypt=decrypt).reveal() == key_pem_of(make_key())
    with pytest.raises(DeviceError):
        unseal(bytes(row.sealed_key), aad=context_of_secret(by_certificate), decrypt=decrypt)


def test_its_expiry_is_that_of_the_certificate(by_certificate):
    assert by_certificate.sign_in_expires_on == make_certificate().not_valid_after_utc.date()
    assert by_certificate.sealed_secret == b""
    assert describe_sign_in_expiry(by_certificate).text.startswith("expires in")


def test_a_certificate_that_ends_soon_is_found_by_the_filter(device_row, admin, by_certificate):
    assert not list_credentials(show="expiring").exists()
    services.create_credential(values=replace(upload(days=20), name="Soon"), actor=admin)
    assert [each.name for each in list_credentials(show="expiring")] == ["Soon"]


def test_another_certificate_replaces_the_first_and_the_row_names_both(by_certificate, admin):
    services.update_credential(credential=by_certificate, values=upload(2, days=50), lock_version=1, actor=admin)
    assert changes() == [(thumbprint(1), thumbprint(2, days=50))]
    by_certificate.refresh_from_db()
    assert in_use(by_certificate) == [thumbprint(2, days=50)]
    assert by_certificate.sign_in_expires_on == make_certificate(2, days=50).not_valid_after_utc.date()
    assert SignInCertificate.objects.count() == 1


def test_an_edit_without_a_file_keeps_the_certificate(by_certificate, admin):
    renamed = replace(upload(), name="Other", certificate=None)
    after = services.update_credential(credential=by_certificate, values=renamed, lock_version=1, actor=admin)
    assert (after.name, after.sign_in_expires_on) == ("Other", by_certificate.sign_in_expires_on)
    assert in_use(by_certificate) == [thumbprint(1)]
    assert changes() == []


def test_a_way_to_sign_in_needs_what_it_signs_in_with(credential, admin):
    for way, field in (("certificate", "certificate_file"), ("device_certificate", "sign_in")):
        with pytest.raises(InputError) as refusal:
            services.update_credential(credential=credential, values=values(sign_in=way), lock_version=1, actor=admin)
        assert refusal.value.field == field
    credential.refresh_from_db()
    assert credential.sign_in == "secret"


def test_the_secret_goes_when_a_certificate_takes_its_place_and_the_other_way_round(credential, admin):
    services.update_credential(credential=credential, values=upload(), lock_version=1, actor=admin)
    credential.refresh_from_db()
    assert (bytes(credential.sealed_secret), credential.secret_set_at, credential.sign_in) == (b"", None, "certificate")
    services.update_credential(credential=credential, values=values(secret=SECRET), lock_version=2, actor=admin)
    credential.refresh_from_db()
    assert (credential.sign_in, credential.sign_in_expires_on) == ("secret", None)
    assert not credential.certificates.exists()
    assert changes() == [("", thumbprint(1)), (thumbprint(1), "")]


def test_without_secret_or_certificate_nothing_is_kept_that_could_be_stolen(credential, admin, settings):
    settings.KMES_FEDERATED_TOKEN_FILE = "/run/token"
    for number, way in enumerate(("federation", "managed_identity"), start=1):
        services.update_credential(credential=credential, values=values(sign_in=way), lock_version=number, actor=admin)
        credential.refresh_from_db()
        assert (bytes(credential.sealed_secret), credential.sign_in_expires_on) == (b"", None)
        assert describe_sign_in_expiry(credential).text == "does not expire"


# --- Made in the device ----------------------------------------------------------------------
def test_the_first_certificate_of_a_new_credential_is_in_use_at_once(device_row, admin):
    credential = services.create_credential(values=values(sign_in="device_certificate"), actor=admin)
    assert describe_sign_in_expiry(credential).text == "no certificate yet"
    keep(credential, 1, admin)
    credential.refresh_from_db()
    assert in_use(credential) == [thumbprint(1)]
    assert credential.sign_in_expires_on == make_certificate(1).not_valid_after_utc.date()


def test_a_further_one_waits_and_the_present_sign_in_goes_on(credential, admin):
    keep(credential, 1, admin)
    keep(credential, 2, admin)
    credential.refresh_from_db()
    assert (credential.sign_in, in_use(credential)) == ("secret", [])
    assert certificates.find_waiting(credential).thumbprint == thumbprint(2)
    assert bytes(credential.sealed_secret)


def test_taking_it_into_use_removes_what_was_used_before_and_voids_the_test(credential, admin):
    CloudCredential.objects.update(last_test_ok=True)
    keep(credential, 1, admin)
    certificates.use_waiting(credential=credential, thumbprint=thumbprint(1), actor=admin)
    keep(credential, 2, admin)
    certificates.use_waiting(credential=credential, thumbprint=thumbprint(2), actor=admin)
    credential.refresh_from_db()
    assert (credential.sign_in, credential.last_test_ok, bytes(credential.sealed_secret)) == (
        "device_certificate", None, b"",
    )  # fmt: skip
    assert in_use(credential) == [thumbprint(2)]
    assert changes() == [("", thumbprint(1)), (thumbprint(1), thumbprint(2))]
    assert LogEntry.objects.get(event="credential.updated").data["changed"] == {
        "sign_in": ["secret", "device_certificate"]
    }


def test_a_certificate_that_was_replaced_meanwhile_is_not_taken_into_use(credential, admin):
    keep(credential, 1, admin)
    keep(credential, 2, admin)
    with pytest.raises(ConflictError):
        certificates.use_waiting(credential=credential, thumbprint=thumbprint(1), actor=admin)
    credential.refresh_from_db()
    assert credential.sign_in == "secret"


def test_whoever_may_not_manage_credentials_takes_none_into_use(credential, admin, people):
    keep(credential, 1, admin)
    with pytest.raises(PermissionRefused):
        certificates.use_waiting(
            credential=credential, thumbprint=thumbprint(1), actor=Actor.from_user(people["auditor"])
        )


# --- The database ----------------------------------------------------------------------------
def row_of(credential, number, **columns):
    return SignInCertificate(credential=credential, **vars(certificates.read_facts(made(number).pem)), **columns)


def test_the_database_keeps_two_from_being_in_use(by_certificate):
    with pytest.raises(IntegrityError), transaction.atomic():
        row_of(by_certificate, 2, is_in_use=True, wrapped_key=b"w").save()


@pytest.mark.parametrize("columns", [{}, {"wrapped_key": b"w", "sealed_key": b"s"}])
def test_the_database_wants_each_key_sealed_or_wrapped(credential, columns):
    with pytest.raises(IntegrityError), transaction.atomic():
        row_of(credential, 2, is_in_use=False, **columns).save()


def test_deleting_a_credential_takes_its_certificates_along(by_certificate, admin):
    services.delete_credential(credential=by_certificate, actor=admin)
    assert not SignInCertificate.objects.exists()
