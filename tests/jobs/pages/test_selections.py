"""Several keys at once: what the menu counts, what the confirmation says, and that it is one job."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from jobs.models import Job
from keygroups.models import CloudVersion, KeyGroup
from tests.jobs.pages.browsing import body, group, make_key, pages, people, static_root
from tests.jobs.pages.test_start_pages import device, form_key, push

__all__ = ["device", "group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
SYNCHRONIZE, DESTROY = "/jobs/start/synchronize/", "/jobs/start/destroy/"


@pytest.fixture
def keys(group):
    return [make_key(group, f"pay-{number}", thumbprint=f"{number:064}") for number in range(1, 5)]


@pytest.fixture
def elsewhere(group):
    """A group in the same vault with a key of its own."""
    other = KeyGroup.objects.create(
        name="orders", key_spec="P-256", credential=group.credential, vault=group.vault, azure_name="orders"
    )
    return make_key(other, "order-1")


def asking(keys, **more):
    return {"ask": "1", "selection": "1", "key": [str(key.pk) for key in keys], **more}


def carried(response) -> dict[str, object]:
    """What the confirmation sends on."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', body(response)):
        found.setdefault(name, []).append(value.replace("&amp;", "&"))
    found.pop("csrfmiddlewaretoken", None)
    found["idempotency_key"] = [form_key(response)]
    return found


def test_the_menu_of_a_selection_counts_it(pages, keys):
    menu = body(pages.post(reverse("keygroups:selection_actions"), asking(keys), HTTP_HX_REQUEST="true"))
    assert "Synchronize 4 keys" in menu
    assert "Delete 4 keys (local)" in menu
    assert f'data-selection-url="{SYNCHRONIZE}"' in menu


def test_who_may_not_destroy_has_no_such_entry(client, people, keys):
    client.force_login(people["operator"])
    menu = body(client.post(reverse("keygroups:selection_actions"), asking(keys), HTTP_HX_REQUEST="true"))
    assert "Synchronize 4 keys" in menu
    assert "Delete" not in menu


def test_asking_about_a_selection_starts_nothing(pages, keys, device):
    page = pages.post(SYNCHRONIZE, asking(keys))
    assert page.status_code == 200
    assert "Synchronize 4 keys" in body(page)
    assert not Job.objects.exists()


def test_a_selection_becomes_one_job_with_a_target_per_key(pages, keys, device):
    sent = carried(pages.post(SYNCHRONIZE, asking(keys[:3])))
    assert pages.post(SYNCHRONIZE, sent).status_code == 302
    job = Job.objects.get()
    assert [target.key.name for target in job.targets.select_related("key")] == ["pay-1", "pay-2", "pay-3"]
    assert pages.post(SYNCHRONIZE, sent).status_code == 302
    assert Job.objects.count() == 1


def test_keys_that_can_not_be_pushed_are_left_out_and_named(pages, keys, device):
    push(keys[0])
    page = pages.post(SYNCHRONIZE, asking(keys))
    assert "Left out: pay-1. Synchronized already (Active)." in body(page)
    assert "Synchronize 3 keys" in body(page)
    pages.post(SYNCHRONIZE, carried(page))
    assert Job.objects.get().targets.count() == 3


def test_nothing_left_to_push_shows_why_and_offers_no_button(pages, keys, device):
    push(keys[0])
    page = body(pages.post(SYNCHRONIZE, asking(keys[:1])))
    assert "None of the selected keys can be synchronized" in page
    assert 'type="submit" class="btn btn-primary"' not in page


def test_no_key_selected_is_said_and_never_means_the_whole_group(pages, keys, device, group):
    answer = pages.post(SYNCHRONIZE, asking([], group=str(group.pk)))
    assert answer.status_code == 400
    assert "No key is selected" in body(answer)
    assert not Job.objects.exists()


def test_all_that_match_are_looked_up_here_and_not_listed(pages, keys, elsewhere, device):
    asked = {"ask": "1", "selection": "1", "all": "1", "filter": "q=pay"}
    page = pages.post(SYNCHRONIZE, asked)
    assert "Synchronize 4 keys" in body(page)
    sent = carried(page)
    assert "key" not in sent
    assert pages.post(SYNCHRONIZE, sent).status_code == 302
    assert Job.objects.get().targets.count() == 4


def test_when_other_keys_match_meanwhile_nothing_is_done(pages, group, keys, device):
    asked = {"ask": "1", "selection": "1", "all": "1", "filter": "q=pay"}
    sent = carried(pages.post(SYNCHRONIZE, asked))
    make_key(group, "pay-late", thumbprint="f" * 64)
    answer = pages.post(SYNCHRONIZE, sent)
    assert answer.status_code == 409
    assert "The matching keys have changed" in body(answer)
    assert not Job.objects.exists()


def test_keys_of_several_groups_are_shown_with_their_places(pages, keys, elsewhere, device):
    page = body(pages.post(SYNCHRONIZE, asking([*keys, elsewhere])))
    assert "Synchronize 5 keys" in page
    assert "<dt>orders</dt><dd>1 key · kv (Premium) / orders</dd>" in page
    assert "<dt>payments</dt><dd>4 keys · kv (Premium) / payments</dd>" in page


def test_a_selection_names_the_groups_whose_versions_arrive_disabled(pages, keys, elsewhere, device):
    assert "arrives disabled" not in body(pages.post(SYNCHRONIZE, asking([*keys, elsewhere])))
    KeyGroup.objects.filter(name="orders").update(enabled_on_push=False)
    assert "What is pushed to “orders” arrives disabled" in body(pages.post(SYNCHRONIZE, asking([*keys, elsewhere])))


def test_material_of_several_groups_is_destroyed_by_one_job_after_typing_how_many(pages, keys, elsewhere):
    page = pages.post(DESTROY, asking([*keys, elsewhere]))
    assert "Type “5 keys” to confirm" in body(page)
    sent = carried(page)
    assert pages.post(DESTROY, {**sent, "typed": "4 keys"}).status_code == 422
    assert pages.post(DESTROY, {**sent, "typed": "5 keys"}).status_code == 302
    job = Job.objects.get()
    assert (job.group, job.subject, job.targets.count()) == (None, "5 keys in 2 key groups", 5)


def test_in_one_group_the_groups_name_is_typed(pages, keys, group):
    page = pages.post(DESTROY, asking(keys))
    pages.post(DESTROY, {**carried(page), "typed": "payments"})
    assert Job.objects.get().group == group


def test_many_keys_cost_few_queries(pages, group, device, django_assert_max_num_queries):
    many = [make_key(group, f"many-{number}", thumbprint=f"{number:064}") for number in range(40)]
    CloudVersion.objects.bulk_create(
        CloudVersion(key=key, group=group, vault=group.vault, azure_name=group.azure_name, state="superseded")
        for key in many[:10]
    )
    for address in (SYNCHRONIZE, DESTROY):
        with django_assert_max_num_queries(12):
            assert pages.post(address, asking(many)).status_code == 200


def test_the_last_job_of_a_key_stands_in_its_row(pages, keys, device):
    pages.post(SYNCHRONIZE, carried(pages.post(SYNCHRONIZE, asking(keys[:1]))))
    page = body(pages.get("/keys/"))
    assert f'href="{Job.objects.get().get_absolute_url()}" title="Synchronize HSM Protected key(s)"' in page


def test_a_selection_of_several_groups_is_disabled_by_one_job_that_names_what_it_leaves_out(pages, keys, elsewhere):
    push(keys[0], state="superseded", version="v1")
    push(keys[1], version="v2")
    push(elsewhere, version="v3")
    url = "/jobs/start/set_enabled/?enabled=0"
    page = pages.post(url, asking([*keys[:3], elsewhere]))
    assert "Disable 3 keys" in body(page)
    assert "Left out: pay-3. Nothing was synchronized yet." in body(page)
    assert "2 keys · " in body(page)
    assert "2 of them are current versions: pay-2, order-1." in body(page)
    assert "does not fall back" in body(page)
    sent = carried(page)
    assert pages.post(url, sent).status_code == 422
    assert pages.post(url, {**sent, "typed": "3 keys"}).status_code == 302
    job = Job.objects.get()
    assert {target.key.name for target in job.targets.select_related("key")} == {"pay-1", "pay-2", "order-1"}
    assert (len(job.params["version_ids"]), job.params["enabled"], job.group) == (3, False, None)
    assert pages.post("/jobs/start/set_enabled/", asking(keys)).status_code == 404


def test_the_menu_of_a_selection_says_why_nothing_of_it_can_be_enabled(pages, keys):
    push(keys[0])
    menu = body(pages.post(reverse("keygroups:selection_actions"), asking(keys[:1]), HTTP_HX_REQUEST="true"))
    assert "Enabled already" in menu
    assert 'data-selection-url="/jobs/start/set_enabled/?enabled=0"' in menu
