"""Credentials, the device, options and log destinations under a policy, over HTTP: who requests a change applies it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.urls import reverse

from cloudcreds.models import CloudCredential
from hsm.models import HsmDevice
from kmes.core.actor import Actor
from kmes.core.options import value
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogEntry
from tests.cloudcreds.builders import OTHER, SECRET, make_device, typed
from tests.jobs.approving import REASON, request_of, set_policy
from tests.jobs.pages.browsing import pages, people, static_root
from tests.jobs.pages.requesting import approve, asked, second, text

__all__ = ["pages", "people", "second", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)

DESTINATION = {
    "name": "siem", "transport": "syslog", "row_format": "rfc5424", "host": "siem.example.com", "port": "",
    "services": ["audit", "device"], "lowest_severity": "info", "events": "", "start": "now", "is_enabled": "on",
}  # fmt: skip


@pytest.fixture
def policy(people, second):
    return lambda action: set_policy(action, actor=Actor.from_user(people["admin"]))


@pytest.fixture
def device(db):
    return make_device(rsa.generate_private_key(65537, 2048))


def test_a_credential_is_added_with_a_secret_that_is_entered_after_the_approval(pages, second, policy, device):
    policy("change_credentials")
    address = "/cloud-credentials/add/"
    assert "Others have to approve this first" in text(pages.get(address))
    refused = pages.post(address, typed())
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    job = asked(pages.post(address, typed(approval_reason=REASON)), "change_credentials")
    waiting = text(pages.get(f"{address}?approved={job.code}"))
    assert "Others have to approve this first" in waiting
    assert SECRET not in repr((job.params, request_of(job).plan))
    assert OTHER not in text(second.get(f"/approvals/{job.code}/"))
    approve(second, job)

    form = pages.post(f"/approvals/{job.code}/apply/").url
    assert form == f"{address}?approved={job.code}"
    shown = text(pages.get(form))
    assert 'value="Contoso"' in shown
    assert "Others have approved the requested values" in shown
    assert "Others have to approve this first" not in shown
    # Another user gets nothing filled in, and has nothing approved.
    of_other = text(second.get(form))
    assert 'value="Contoso"' not in of_other
    assert "Others have to approve this first" in of_other
    # Another tenant was not approved: it is another request.
    assert pages.post(form, typed(tenant_id=OTHER, approval_reason=REASON)).url != f"/approvals/{job.code}/"
    assert not CloudCredential.objects.exists()
    assert pages.post(form, typed()).status_code == 302
    assert CloudCredential.objects.get().tenant_id != OTHER
    job.refresh_from_db()
    assert job.state == "succeeded"
    # It is used up.
    assert pages.post(form, typed(name="Fabrikam")).status_code == 422
    assert CloudCredential.objects.count() == 1


def test_another_tenant_needs_approval_and_a_new_secret_does_not(pages, second, policy, device):
    pages.post("/cloud-credentials/add/", typed())
    policy("change_credentials")
    credential = CloudCredential.objects.get()
    address = f"/cloud-credentials/{credential.pk}/edit/"

    def changed(**changes):
        version = CloudCredential.objects.get().lock_version
        return typed(lock_version=version, **changes)

    assert pages.post(address, changed(secret="another-secret.of-the~tests_01")).status_code == 302
    sent = changed(tenant_id=OTHER, approval_reason=REASON)
    job = asked(pages.post(address, sent), "change_credentials")
    assert f"→ {OTHER}" in text(second.get(f"/approvals/{job.code}/"))
    approve(second, job)
    # Saved by somebody meanwhile, it is no more what was approved.
    CloudCredential.objects.update(client_id=OTHER)
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 409
    refused = pages.post(f"{address}?approved={job.code}", sent)
    assert refused.status_code == 422
    assert "changed since it was approved" in text(refused)
    CloudCredential.objects.update(client_id=credential.client_id)
    assert pages.post(f"{address}?approved={job.code}", sent).status_code == 302
    assert CloudCredential.objects.get().tenant_id == OTHER


def test_a_device_is_designated_with_approval(pages, second, policy, device):
    other = HsmDevice.objects.create(
        serial="T2", label="Spare", mfk_public_spki=b"x", pmk_kcv="111111", mfk_kcv="222222"
    )
    policy("change_device")
    address = reverse("hsm:designate", args=[other.pk])
    assert "Others have to approve this first" in text(pages.get(address))
    job = asked(pages.post(address, {"approval_reason": REASON}), "change_device")
    assert "000000 → 111111" in text(second.get(f"/approvals/{job.code}/"))
    approve(second, job)
    assert not HsmDevice.objects.get(pk=other.pk).is_designated
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 302
    assert HsmDevice.objects.get(pk=other.pk).is_designated


def test_options_are_changed_with_approval(pages, second, policy):
    policy("change_options")
    page = "/administration/configuration/options/"
    form = {name: value(name) for name in pages.get(page).context["form"].fields}
    sent = {**form, "export_keep_days": 9}
    refused = pages.post(f"{page}save/", sent)
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    job = asked(pages.post(f"{page}save/", {**sent, "approval_reason": REASON}), "change_options")
    approve(second, job)
    assert value("export_keep_days") != 9
    pages.post(f"/approvals/{job.code}/apply/")
    assert value("export_keep_days") == 9
    # What is not changed asks for nothing.
    assert pages.post(f"{page}save/", sent).status_code == 302


def test_log_destinations_are_changed_with_approval(pages, second, policy):
    policy("change_forwarding")

    def go_on(address, sent):
        job = asked(pages.post(address, {**sent, "approval_reason": REASON}), "change_forwarding")
        approve(second, job)
        answer = pages.post(f"/approvals/{job.code}/apply/")
        return pages.post(answer.url, sent) if "approved=" in answer.url else answer

    assert pages.post("/forwarding/add/", DESTINATION).status_code == 422
    go_on("/forwarding/add/", DESTINATION)
    made = ForwardingDestination.objects.get()
    moved = {**DESTINATION, "host": "elsewhere.example.com"}
    go_on(f"/forwarding/{made.pk}/edit/", moved)
    assert ForwardingDestination.objects.get().host == "elsewhere.example.com"
    go_on(f"/forwarding/{made.pk}/delete/", {})
    assert not ForwardingDestination.objects.exists()
    assert LogEntry.objects.filter(event="forwarding.destination_deleted").count() == 1
