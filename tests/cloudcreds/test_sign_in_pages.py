"""The pages about the ways to sign in: the form of each, what the credential's page shows, download and use."""

from __future__ import annotations

import pytest
from cryptography import x509
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import reverse

from cloudcreds import certificates
from cloudcreds.models import CloudCredential
from hsm.types import DeviceCertificate
from tests.cloudcreds.builders import CLIENT, typed
from tests.cloudcreds.certificates import PASSWORD, key_pem_of, make_certificate, make_key, pem_of, pfx_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(client, people):
    client.force_login(people["admin"])
    return client


def add(pages, **changes):
    return pages.post(reverse("cloudcreds:add"), typed(**{"secret": "", **changes}))


def file(content=None):
    return SimpleUploadedFile("client.pfx", pfx_file() if content is None else content)


def by_certificate(pages, **changes):
    return add(
        pages, **{"sign_in": "certificate", "certificate_file": file(), "certificate_password": PASSWORD, **changes}
    )


def thumbprint(number=1):
    return certificates.read_facts(pem_of(make_certificate(number))).thumbprint


def keep(credential, number, admin):
    made = DeviceCertificate(pem=pem_of(make_certificate(number)), wrapped_private=b"wrapped")
    with transaction.atomic():
        return certificates.keep_made_within(credential, made, actor=admin)


def test_the_form_names_each_way_with_its_own_fields(pages, device_row, settings):
    settings.KMES_FEDERATED_TOKEN_FILE = "/var/run/secrets/token"
    text = pages.get(reverse("cloudcreds:add")).content.decode()
    for way in ("secret", "certificate", "device_certificate", "federation", "managed_identity"):
        assert f'name="sign_in" value="{way}"' in text
        assert f'data-way="{way}"' in text
    assert "/var/run/secrets/token" in text
    assert 'enctype="multipart/form-data"' in text
    # What another way asks for is not in the way of the chosen one.
    part = text.partition('data-way="certificate"')[2].partition("data-way=")[0]
    assert 'name="certificate_file"' in part
    assert 'name="secret"' not in part


def test_an_uploaded_certificate_is_shown_by_thumbprint_and_validity(pages, device_row):
    assert by_certificate(pages).status_code == 302
    credential = CloudCredential.objects.get()
    text = pages.get(credential.get_absolute_url()).content.decode()
    assert thumbprint() in text
    assert f"{make_certificate().not_valid_after_utc:%Y-%m-%d}" in text
    assert "Certificate, uploaded with its private key" in text
    assert "Client Secret</dt>" not in text
    assert "PRIVATE" not in text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"certificate_file": ""}, "certificate_file"),
        ({"certificate_file": file(b"nonsense")}, "certificate_file"),
        ({"certificate_password": "wrong-password"}, "certificate_password"),
    ],
)
def test_a_refused_file_says_why_at_its_field_and_nothing_typed_comes_back(changes, field, pages, device_row):
    answer = by_certificate(pages, **changes)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in text
    assert "wrong-password" not in text
    assert PASSWORD not in text
    assert not CloudCredential.objects.exists()


def test_fields_of_other_ways_are_ignored(pages, device_row):
    noise = {"secret": "two words", "secret_id": "x", "sign_in_expires_on": "2001-01-01"}
    ways = {"certificate_file": file(b"nonsense"), "certificate_password": "x"}
    assert by_certificate(pages, **noise).status_code == 302
    assert add(pages, name="Third", sign_in="device_certificate", **noise).status_code == 302
    assert CloudCredential.objects.get(name="Third").sign_in_expires_on is None
    assert add(pages, name="Other", secret="abc~DEF.8Q-xyz", **ways).status_code == 302
    assert CloudCredential.objects.get(name="Other").sign_in == "secret"


def test_the_host_itself_needs_no_client_id(pages, device_row):
    assert add(pages, sign_in="managed_identity", client_id="").status_code == 302
    text = pages.get(CloudCredential.objects.get().get_absolute_url()).content.decode()
    assert "own managed identity" in text
    assert "does not expire" in text


def test_no_form_chooses_which_file_is_sent(pages, device_row, settings):
    settings.KMES_FEDERATED_TOKEN_FILE = "/run/token"
    assert add(pages, sign_in="federation", token_file="/etc/shadow").status_code == 302
    credential = CloudCredential.objects.get()
    assert "/etc/shadow" not in str(vars(credential))
    assert "/run/token" in pages.get(credential.get_absolute_url()).content.decode()


def test_federation_is_refused_where_no_file_is_named(pages, device_row, settings):
    settings.KMES_FEDERATED_TOKEN_FILE = ""
    answer = add(pages, sign_in="federation")
    assert answer.status_code == 422
    assert "names no token file" in answer.content.decode().partition('id="id_sign_in_error"')[2]


def test_a_new_credential_with_a_key_in_the_device_goes_on_to_make_it(pages, device_row):
    answer = add(pages, sign_in="device_certificate")
    credential = CloudCredential.objects.get()
    assert answer.url == f"/jobs/start/make_certificate/?credential={credential.pk}"
    text = pages.get(credential.get_absolute_url()).content.decode()
    assert "No certificate yet" in text
    assert "no certificate yet" in text


def test_the_certificate_is_downloaded_without_its_key_by_whoever_may_look(client, people, credential, admin):
    row = keep(credential, 1, admin)
    client.force_login(people["auditor"])
    answer = client.get(reverse("cloudcreds:certificate", args=[credential.pk, row.pk]))
    assert answer["Content-Disposition"].startswith('attachment; filename="contoso-')
    assert x509.load_pem_x509_certificate(answer.content) == make_certificate()
    assert key_pem_of(make_key()) not in answer.content.decode()
    other = reverse("cloudcreds:certificate", args=[row.pk, row.pk])
    assert client.get(other).status_code == 404


def test_a_waiting_certificate_is_taken_into_use_by_a_confirmed_post(pages, credential, admin):
    keep(credential, 1, admin)
    address = reverse("cloudcreds:use_certificate", args=[credential.pk])
    assert address in pages.get(credential.get_absolute_url()).content.decode()
    text = pages.get(address).content.decode()
    assert thumbprint() in text
    assert "Client secret" in text
    credential.refresh_from_db()
    assert credential.sign_in == "secret"
    assert pages.post(address, {"thumbprint": thumbprint(2)}).status_code == 422
    assert pages.post(address, {"thumbprint": thumbprint()}).url == credential.get_absolute_url()
    credential.refresh_from_db()
    assert credential.sign_in == "device_certificate"
    assert pages.get(address).status_code == 404


@pytest.mark.parametrize("role", ["auditor", "custodian"])
def test_who_may_not_manage_credentials_takes_none_into_use(role, client, people, credential, admin):
    keep(credential, 1, admin)
    client.force_login(people[role])
    address = reverse("cloudcreds:use_certificate", args=[credential.pk])
    assert client.post(address, {"thumbprint": thumbprint()}).status_code == 403
    assert address not in client.get(credential.get_absolute_url()).content.decode()


def test_an_edit_keeps_the_way_and_says_how_to_change_to_a_key_in_the_device(pages, device_row, admin):
    by_certificate(pages)
    credential = CloudCredential.objects.get()
    address = reverse("cloudcreds:edit", args=[credential.pk])
    text = pages.get(address).content.decode()
    assert 'value="certificate"' in text.partition(" checked")[0].rpartition("<input")[2]
    assert "Leave empty to keep the certificate in use" in text
    edited = typed(name="Renamed", secret="", sign_in="certificate", lock_version=1)
    assert pages.post(address, edited).status_code == 302
    answer = pages.post(address, typed(secret="", sign_in="device_certificate", lock_version=2))
    assert answer.status_code == 422
    assert "has to be registered in Entra" in answer.content.decode().partition('id="id_sign_in_error"')[2]


def test_the_list_shows_the_way_beside_its_expiry(pages, device_row):
    by_certificate(pages)
    text = pages.get(reverse("cloudcreds:list")).content.decode()
    assert "Certificate <span" in text
    assert CLIENT[:8] in text
