"""The self-certification pages: who may begin, what they show and ask again, what can be downloaded when."""

from __future__ import annotations

import pytest
from django.urls import reverse

from hsm.models import HsmDevice
from jobs.certifications.models import Certification
from jobs.certifications.services import request_certification
from kmes.core.actor import Actor
from tests.jobs.pages.browsing import FRAGMENT, ROLES, body, group, pages, people, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
BEGIN = "/certifications/new/"


@pytest.fixture
def device(db):
    """A designated device's row; no page asks the device."""
    return HsmDevice.objects.create(
        serial="S1", label="KMES", mfk_public_spki=b"x", pmk_kcv="AAAAAA", mfk_kcv="BBBBBB", is_designated=True
    )


@pytest.fixture
def vault(group, settings):
    group.credential.cloud = "public"
    group.credential.save()
    group.vault.url = "https://kv-one.vault.azure.net"
    group.vault.save()
    return group.vault


@pytest.fixture
def run(vault, device, people):
    return request_certification(vault=vault, key_spec="P-256", actor=Actor.from_user(people["admin"]))


def test_only_administrators_may_begin(client, people, vault, device):
    for role in ROLES:
        client.force_login(people[role])
        wanted = 200 if role == "admin" else 403
        assert client.get(BEGIN).status_code == wanted, role
        assert client.get("/certifications/").status_code == 200
        if role != "admin":
            assert client.post(BEGIN, {"vault": vault.pk, "key_spec": "P-256"}).status_code == 403
    assert not Certification.objects.exists()


def test_the_form_names_every_step_and_offers_no_standard_vault(pages, vault, device):
    text = body(pages.get(BEGIN, **FRAGMENT))
    assert "<html" not in text
    assert "Verify by a signature" in text
    assert "Clean up: purge" in text
    vault.tier = "standard"
    vault.save()
    assert "No vault is known" in body(pages.get(BEGIN))


def test_a_doubled_submit_begins_one_run(pages, vault, device):
    token = "0b3c9f5e-5ad8-4a0c-9a86-a5d6ad5b2a11"
    sent = {"vault": vault.pk, "key_spec": "P-256", "idempotency_key": token}
    first = pages.post(BEGIN, sent)
    assert first.status_code == 302
    assert pages.post(BEGIN, sent).url == first.url
    assert Certification.objects.count() == 1


def test_a_second_run_in_the_vault_is_refused_with_the_first_ones_number(pages, vault, run):
    answer = pages.post(BEGIN, {"vault": vault.pk, "key_spec": "P-256"})
    assert answer.status_code == 422
    assert str(run) in body(answer)


def test_the_page_asks_again_only_while_the_run_goes_on(pages, run):
    address = run.get_absolute_url()
    text = body(pages.get(address))
    live = reverse("certifications:live", args=[run.code])
    assert f'hx-get="{live}?seen=' in text
    digest = text.partition(f"{live}?seen=")[2].partition('"')[0]
    assert pages.get(live, {"seen": digest}).status_code == 204
    run.steps.filter(name="create").update(state="failed", detail="The device is away.")
    assert "The device is away." in body(pages.get(live, {"seen": digest}))
    Certification.objects.update(state="failed")
    assert "hx-get" not in body(pages.get(live))


@pytest.mark.parametrize("text", ["{run}", "{code}", "kv", "the-admin"])
def test_a_run_is_found_by_number_vault_and_name(text, pages, run):
    text = text.format(run=run, code=run.code.lower())
    assert run.get_absolute_url() in body(pages.get("/certifications/", {"q": text}))
    nothing = body(pages.get("/certifications/", {"q": f"no {text}"}))
    assert "No run matches" in nothing
    assert run.get_absolute_url() not in nothing


def test_nothing_can_be_downloaded_before_the_report_is_signed(pages, run):
    for name in ("report.json", "report.sig", "signer.pem"):
        assert pages.get(f"{run.get_absolute_url()}{name}").status_code == 404


def test_the_pages_cost_few_queries(pages, run, django_assert_max_num_queries):
    for address in ("/certifications/", BEGIN, run.get_absolute_url()):
        with django_assert_max_num_queries(12):
            assert pages.get(address).status_code == 200


def test_an_unknown_run_is_not_found(pages):
    assert pages.get("/certifications/NOSUCH/").status_code == 404
