"""The Key Group dialog asks Azure for vaults through a job, and what was typed in it stays."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from jobs.models import Job
from kmes.core.clock import now
from kmes.core.right_names import name_right
from tests.jobs.builders import make_vault, save_credential, work

pytestmark = pytest.mark.django_db(transaction=True)
VAULTS = "/keys/groups/vaults/"
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def pages(client, admin):
    """The pages as the administrator sees them."""
    client.force_login(get_user_model().objects.get(pk=admin.user_id))
    return client


def typed(credential, /, **changes):
    return {
        "name": "Payments",
        "credential": str(credential.pk),
        "key_type": "ECC",
        "key_spec": "P-384",
        "usage": ["sign"],
        "rotate_every": "45",
        "rotate_unit": "days",
        "notes": "half written",
        "vault": "",
        "vault_url": "",
        **changes,
    }


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def the_job():
    return Job.objects.get(kind="list_vaults")


def test_the_list_fills_itself_when_the_job_has_asked_azure(pages, credential):
    looking = pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    job = the_job()
    poll = f"{VAULTS}{job.code}/"
    assert "Looking…" in text_of(looking)
    assert f'hx-get="{poll}?seen=looking"' in text_of(looking)
    unchanged = pages.get(f"{poll}?seen=looking&credential={credential.pk}", headers=FRAGMENT)
    assert unchanged.status_code == 204
    assert work(job).state == "succeeded"
    page = text_of(pages.get(f"{poll}?seen=looking&credential={credential.pk}&vault=", headers=FRAGMENT))
    assert "3 vaults found" in page
    assert 'hx-swap-oob="innerHTML:#id_vault"' in page
    for name in ("kv-premium (Premium)", "kv-protected (Premium)", "kv-standard (Standard)"):
        assert f">{name}</option>" in page
    assert "hx-get" not in page


def test_the_vault_that_was_chosen_stays_chosen(pages, credential, azure_stand_in):
    url = azure_stand_in.vault_url("kv-protected").rstrip("/")
    vault = make_vault(credential, url, name="typed")
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    work(the_job())
    page = text_of(pages.get(f"{VAULTS}{the_job().code}/?credential={credential.pk}&vault={vault.pk}"))
    assert f'<option value="{vault.pk}" selected>kv-protected (Premium)</option>' in page


def test_a_second_question_follows_the_first(pages, credential):
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    assert the_job().state == "queued"


def test_without_script_the_dialog_comes_back_as_it_was_left(pages, credential):
    page = text_of(pages.post(VAULTS, typed(credential)))
    job = the_job()
    assert "Looking…" in page
    assert f'formaction="{VAULTS}?job={job.code}"' in page
    work(job)
    page = text_of(pages.post(f"{VAULTS}?job={job.code}", typed(credential)))
    assert "3 vaults found" in page
    assert "kv-premium (Premium)" in page
    # Nothing that was typed is lost, and nothing is marked as wrong before it is sent.
    assert 'value="Payments"' in page
    assert '<option value="P-384" selected>' in page
    assert "half written" in page
    assert re.search(r'name="rotate" (?![^>]*checked)', page)
    assert 'form class="group-form" method="post" action="/keys/groups/add/"' in page
    assert "is-invalid" not in page
    assert len([line for line in the_job().messages.all() if "kv-" in line.text]) == 3


def test_a_group_that_is_edited_is_still_the_one_that_is_saved(pages, group):
    page = text_of(pages.post(f"{VAULTS}?group={group.pk}", typed(group.credential, name="Renamed")))
    assert f'action="/keys/groups/{group.pk}/edit/"' in page
    assert 'value="Renamed"' in page
    assert f"?job={the_job().code}&amp;group={group.pk}" in page


def test_a_failure_says_why_and_what_to_do(pages, credential, azure_stand_in):
    save_credential(credential, client_id="99999999-9999-9999-9999-999999999999")
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    job = work(the_job())
    page = text_of(pages.get(f"{VAULTS}{job.code}/?seen=looking&credential={credential.pk}", headers=FRAGMENT))
    assert job.state == "failed"
    assert "Failed" in page
    assert job.error_remedy
    assert job.error_remedy[:20] in page
    assert "You can type the vault's URL as well." in page.replace("&#x27;", "'")


def test_when_no_worker_answers_it_says_so_once(pages, credential):
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    Job.objects.update(created_at=now() - timedelta(seconds=30))
    poll = f"{VAULTS}{the_job().code}/"
    late = text_of(pages.get(f"{poll}?seen=looking", headers=FRAGMENT))
    assert "No worker has answered yet." in late
    assert pages.get(f"{poll}?seen=late", headers=FRAGMENT).status_code == 204


def test_without_a_credential_it_says_what_to_choose(pages, credential):
    page = text_of(pages.post(VAULTS, typed(credential, credential=""), headers=FRAGMENT))
    assert "No credential is chosen yet." in page
    assert not Job.objects.exists()


DIALOG = "/keys/groups/add/?key_kind=asymmetric&storage=hsm"


@pytest.mark.parametrize("role", ["admin", "custodian"])
def test_whoever_may_make_groups_may_list_vaults(client, credential, role):
    client.force_login(get_user_model().objects.create_user("cleo", role=role))
    assert VAULTS in text_of(client.get(DIALOG))
    assert "Looking…" in text_of(client.post(VAULTS, typed(credential), headers=FRAGMENT))
    assert the_job().actor_name == "cleo"


@pytest.mark.parametrize("role", ["admin", "custodian"])
def test_whoever_may_make_groups_may_list_from_the_credential_s_menu(client, credential, role):
    client.force_login(get_user_model().objects.create_user("cleo", role=role))
    start = f"/jobs/start/list_vaults/?credential={credential.pk}"
    assert start in html.unescape(
        text_of(client.get(reverse("cloudcreds:actions", args=[credential.pk]), headers=FRAGMENT))
    )
    assert client.get(start).status_code == 200
    assert client.post(start).status_code == 302
    assert the_job().actor_name == "cleo"


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_make_groups_is_told_so_on_the_page_and_on_the_post(client, credential, role):
    client.force_login(get_user_model().objects.create_user("olga", role=role))
    start = f"/jobs/start/list_vaults/?credential={credential.pk}"
    for answer, right in (
        (client.get(DIALOG), "group.manage"),
        (client.post(VAULTS, typed(credential), headers=FRAGMENT), "group.manage"),
        (client.get(start), "vault.list"),
        (client.post(start), "vault.list"),
    ):
        assert answer.status_code == 403
        assert f"olga lacks the right “{name_right(right)}”." in text_of(answer)
    assert start not in html.unescape(
        text_of(client.get(reverse("cloudcreds:actions", args=[credential.pk]), headers=FRAGMENT))
    )
    assert not Job.objects.exists()


def test_the_dialog_and_the_poll_cost_few_queries(pages, credential, django_assert_max_num_queries):
    pages.post(VAULTS, typed(credential), headers=FRAGMENT)
    code = the_job().code
    with django_assert_max_num_queries(12):
        pages.post(f"{VAULTS}?job={code}", typed(credential))
    with django_assert_max_num_queries(8):
        pages.get(f"{VAULTS}{code}/?credential={credential.pk}", headers=FRAGMENT)
