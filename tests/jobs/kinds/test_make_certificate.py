"""Make Certificate: the key is made in the device, and the credential signs in with it once it is registered."""

from __future__ import annotations

import pytest
from cryptography import x509

from cloudcreds import certificates
from cloudcreds.models import CloudCredential, SignInCertificate
from jobs.kinds.make_certificate.spec import request_certificate
from jobs.models import Job
from kmes.core.actor import Actor
from kmes.core.errors import InputError, PermissionRefused
from logging_reports.models import LogEntry
from tests.jobs.builders import messages, work
from tests.people import make_people

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_certificate_waits_with_its_key_wrapped_and_the_log_tells_of_it(credential, admin):
    job = work(request_certificate(credential=credential, days=90, actor=admin))
    assert job.state == "succeeded", job.error_what
    row = certificates.find_waiting(credential)
    certificate = x509.load_pem_x509_certificate(row.pem.encode())
    assert certificate.subject.rfc4514_string() == "CN=Contoso"
    assert (row.not_after - certificate.not_valid_before_utc).days == 90
    stored = SignInCertificate.objects.get()
    assert bytes(stored.wrapped_key)
    assert bytes(stored.sealed_key) == b""
    assert any(row.thumbprint in line for line in messages(job))
    logged = LogEntry.objects.get(event="credential.certificate_made")
    assert (logged.data["thumbprint"], logged.actor_name) == (row.thumbprint, "ada")
    assert LogEntry.objects.get(event="device.key_generated").job_id == job.pk


def test_a_credential_that_is_deleted_meanwhile_ends_the_job_with_a_sentence(credential, admin):
    job = request_certificate(credential=credential, days=90, actor=admin)
    CloudCredential.objects.filter(pk=credential.pk).delete()
    ended = work(job)
    assert ended.state == "failed"
    assert "was deleted" in ended.error_what


def test_only_the_lifetimes_of_the_list_are_made(credential, admin):
    with pytest.raises(InputError) as refusal:
        request_certificate(credential=credential, days=36500, actor=admin)
    assert refusal.value.field == "days"


def test_it_is_asked_for_from_the_credentials_menu_and_confirmed(client, credential, admin):
    people = make_people("b")
    client.force_login(people["admin"])
    address = f"/jobs/start/make_certificate/?credential={credential.pk}"
    assert address.replace("&", "&amp;") in client.get(f"/cloud-credentials/{credential.pk}/actions/").content.decode()
    assert "RSA key of 3,072 bits" in client.get(address).content.decode()
    client.post(address, {"days": "180"})
    job = Job.objects.get(kind="make_certificate")
    assert (job.params, job.credential_id) == ({"days": 180}, credential.pk)
    client.force_login(people["auditor"])
    assert client.post(address, {"days": "180"}).status_code == 403


def test_a_person_without_the_right_can_not_request_it(credential):
    with pytest.raises(PermissionRefused):
        request_certificate(credential=credential, days=90, actor=Actor.from_user(make_people("c")["custodian"]))
