"""Many key groups at once: boxes in the pane, the menu, what the confirmation says, and the one line in Jobs."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from jobs.models import Job, JobStep
from keygroups.models import KeyGroup
from kmes.core.clock import now
from tests.jobs.pages.browsing import body, group, make_job, make_key, pages, people, push, static_root
from tests.jobs.pages.test_selections import carried

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db
ROTATE, SYNCHRONIZE, DRIFT = (f"/jobs/start-many/{kind}/" for kind in ("rotate", "synchronize", "check_drift"))


@pytest.fixture
def groups(group):
    about = {"key_spec": "P-256", "credential": group.credential, "vault": group.vault}
    return [group, *(KeyGroup.objects.create(name=f"g-{n}", azure_name=f"g-{n}", **about) for n in range(1, 4))]


def asking(groups, **more):
    return {"ask": "1", "group_selection": "1", "picked": [str(group.pk) for group in groups], **more}


def offers(menu, url, label):
    """Whether the entry that acts on the selection at an address has this label, beside its icon."""
    return re.search(f'data-selection-url="{url}">(?:(?!</button>).)*<span>{label}', menu, re.DOTALL) is not None


def test_each_group_has_a_box_and_the_bar_the_actions_for_many(pages, groups):
    page = body(pages.get("/keys/"))
    for each in groups:
        assert f'name="picked" value="{each.pk}" data-check-row aria-label="Select {each.name}"' in page
    assert f'data-pick="{reverse("keygroups:group_selection_actions")}"' in page
    assert f'formaction="{ROTATE}"' in page
    assert "All 4 key groups that match" in page


def test_who_may_do_nothing_to_groups_has_no_boxes(client, people, groups):
    client.force_login(people["auditor"])
    page = body(client.get("/keys/"))
    assert 'name="picked"' not in page
    assert f'formaction="{ROTATE}"' not in page
    assert client.post(ROTATE, asking(groups)).status_code == 403


def test_groups_below_a_vault_have_boxes_too(pages, groups):
    branch = body(pages.get("/keys/tree/", {"view": "vault", "node": f"vault:{groups[0].vault_id}"}))
    assert branch.count('name="picked"') == 4
    assert "picked" not in body(pages.get("/keys/tree/", {"node": f"group:{groups[0].pk}"}))


def test_the_menu_of_a_selection_counts_it_and_posts_it(pages, groups):
    menu = body(pages.post(reverse("keygroups:group_selection_actions"), asking(groups), HTTP_HX_REQUEST="true"))
    assert "4 key groups" in menu
    for label, url in (("Force Rotation", ROTATE), ("Synchronize", SYNCHRONIZE), ("Check Drift", DRIFT)):
        assert offers(menu, url, label)


def test_the_confirmation_lists_each_group_and_why_some_are_left_out(pages, groups):
    KeyGroup.objects.filter(pk=groups[1].pk).update(cloud_state="soft_deleted")
    busy = make_job(groups[2], kind="rotate", state="queued")
    page = body(pages.post(ROTATE, asking(groups)))
    assert "Force rotation of 2 key groups" in page
    assert "2 key groups · 1 vault · 2 left out" in page
    assert "Left out: Deleted in the vault: recover or purge it first" in page
    assert f"Left out: Another job is running ({busy})" in page
    assert Job.objects.count() == 1


def test_a_job_on_keys_of_several_groups_is_in_the_way_of_each(pages, groups):
    busy = make_job(None, state="running")
    for ordinal, each in enumerate(groups[:2], 1):
        busy.targets.create(key=make_key(each, f"key-{ordinal}", thumbprint=f"{ordinal:064}"), ordinal=ordinal)
    page = body(pages.post(ROTATE, asking(groups)))
    assert page.count(f"Left out: Another job is running ({busy})") == 2


def test_what_is_confirmed_becomes_one_job_however_often_it_is_sent(pages, groups):
    sent = carried(pages.post(DRIFT, asking(groups)))
    assert sent["picked"] == [str(each.pk) for each in groups]
    for _time in range(2):
        assert pages.post(DRIFT, sent).status_code == 302
    job = Job.objects.get()
    assert (job.kind, job.subject, job.params["each"], job.group) == (
        "many_groups",
        "4 key groups",
        "check_drift",
        None,
    )
    assert sorted(job.params["group_ids"]) == sorted(str(each.pk) for each in groups)


def test_all_that_match_are_looked_up_and_not_listed(pages, groups):
    asked = {"ask": "1", "group_selection": "1", "all": "1", "filter": "q=g-"}
    page = pages.post(DRIFT, asked)
    assert "Check drift of 3 key groups" in body(page)
    sent = carried(page)
    assert "picked" not in sent
    KeyGroup.objects.create(
        name="g-late", azure_name="late", key_spec="P-256", vault=groups[0].vault, credential=groups[0].credential
    )
    answer = pages.post(DRIFT, sent)
    assert answer.status_code == 409
    assert "The matching key groups have changed" in body(answer)
    assert not Job.objects.exists()


def test_no_group_selected_is_said_and_never_means_all(pages, groups):
    answer = pages.post(ROTATE, asking([]))
    assert answer.status_code == 400
    assert "No key group is selected" in body(answer)


def test_only_some_kinds_can_be_done_to_many_groups(pages, groups):
    assert pages.post("/jobs/start-many/destroy/", asking(groups)).status_code == 404


def test_many_groups_cost_few_queries_and_too_many_are_refused(
    pages, group, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr("keygroups.selection.MAX_GROUPS", 60)
    monkeypatch.setattr("jobs.pages.many_groups.GROUPS_LISTED", 20)
    KeyGroup.objects.bulk_create(
        KeyGroup(name=f"m-{n}", azure_name=f"m-{n}", key_spec="P-256", vault=group.vault, credential=group.credential)
        for n in range(61)
    )
    asked = {"ask": "1", "group_selection": "1", "all": "1", "filter": "q=m-"}
    answer = pages.post(ROTATE, asked)
    assert answer.status_code == 400
    assert "61 key groups are selected; one action takes 60" in body(answer)
    KeyGroup.objects.filter(name="m-60").delete()
    with django_assert_max_num_queries(14):
        page = body(pages.post(ROTATE, asked))
    assert "Force rotation of 60 key groups" in page
    assert "40 more key groups are not listed." in page


def test_the_menu_of_several_keys_leads_to_their_groups(pages, groups):
    keys = [make_key(each, f"key-{n}", thumbprint=f"{n:064}") for n, each in enumerate(groups[:2])]
    asked = {"ask": "1", "selection": "1", "key": [str(key.pk) for key in keys]}
    menu = body(pages.post(reverse("keygroups:selection_actions"), asked, HTTP_HX_REQUEST="true"))
    assert offers(menu, ROTATE, "Force Rotation")
    assert "Not synchronized yet, so Azure has no identifier for them." in menu
    page = pages.post(ROTATE, asked)
    assert "Force rotation of 2 key groups" in body(page)
    assert pages.post(ROTATE, carried(page)).status_code == 302
    assert len(Job.objects.get().params["group_ids"]) == 2


def test_an_action_that_no_selected_key_allows_says_why(pages, groups):
    pushed = make_key(groups[0])
    push(pushed)
    asked = {"ask": "1", "selection": "1", "key": [str(pushed.pk)]}
    menu = body(pages.post(reverse("keygroups:selection_actions"), asked, HTTP_HX_REQUEST="true"))
    assert "Synchronized already (Active)" in menu


def test_what_ends_use_of_keys_wants_the_number_typed_and_acts_on_what_was_there(pages, groups):
    for n, each in enumerate(groups[:2]):
        push(make_key(each, f"key-{n}", thumbprint=f"{n:064}"), version=f"v{n}")
    delete = "/jobs/start-many/cloud_delete/"
    page = pages.post(delete, asking(groups))
    assert "Type “2 key groups” to confirm" in body(page)
    sent = carried(page)
    assert pages.post(delete, {**sent, "typed": "4 key groups"}).status_code == 422
    assert pages.post(delete, {**sent, "typed": "2 key groups"}).status_code == 302
    frozen = Job.objects.get().params["frozen"]
    assert frozen == {str(groups[0].pk): ["v0"], str(groups[1].pk): ["v1"]}


def test_a_group_that_was_left_out_on_the_page_stays_left_out(pages, groups):
    busy = make_job(groups[2], kind="rotate", state="queued")
    sent = carried(pages.post(ROTATE, asking(groups)))
    Job.objects.filter(pk=busy.pk).update(state="succeeded")
    assert pages.post(ROTATE, sent).status_code == 302
    asked = set(Job.objects.get(kind="many_groups").params["group_ids"])
    assert asked == {str(each.pk) for each in groups} - {str(groups[2].pk)}


def test_a_vaults_menu_acts_on_all_its_groups(pages, groups):
    menu = body(pages.get(f"/keys/vaults/{groups[0].vault_id}/actions/", HTTP_HX_REQUEST="true"))
    assert "Check vault" in menu
    link = next(part.split('"')[0] for part in menu.split('href="') if part.startswith(DRIFT)).replace("&amp;", "&")
    page = pages.get(link)
    assert "Check drift of 4 key groups" in body(page)
    assert pages.post(DRIFT, carried(page)).status_code == 302


@pytest.mark.parametrize(
    ("page", "target", "entry"),
    [("/cloud-credentials/", "credentials", "Credential"), ("/users/", "users", "User"), ("/jobs/", "jobs", "Failed")],
)
def test_the_background_of_a_list_has_a_menu(pages, groups, page, target, entry):
    assert f'<main id="content" tabindex="-1" data-menu="/menus/{target}/">' in body(pages.get(page))
    assert entry in body(pages.get(f"/menus/{target}/", HTTP_HX_REQUEST="true"))
    assert pages.get("/menus/nothing/").status_code == 404


# --- Jobs ------------------------------------------------------------------------------------
@pytest.fixture
def whole(groups):
    """A job on four groups: two parts done, one failed, one group not begun."""
    params = {"each": "rotate", "group_ids": [str(each.pk) for each in groups]}
    job = make_job(None, kind="many_groups", state="queued", subject="4 key groups", params=params, started_at=now())
    for each, state in zip(groups, ("succeeded", "succeeded", "failed"), strict=False):
        part = make_job(
            each, kind="rotate", state=state, part_of=job, error_what="No import." if state == "failed" else ""
        )
        JobStep.objects.create(
            job=part,
            name="generate_key",
            ordinal=1,
            state="failed" if state == "failed" else "done",
            started_at=now(),
        )
    return job


def test_jobs_shows_one_line_with_the_groups_that_are_done(pages, whole):
    for address in ("/jobs/", "/jobs/drawer/"):
        page = body(pages.get(address))
        assert "2 of 4 key groups" in page
        assert "Running" in page
        assert page.count("data-open=") == 1
    part = whole.parts.first()
    assert str(part) in body(pages.get(f"/jobs/?part_of={whole.pk}"))
    assert str(part) in body(pages.get(f"/jobs/?group={part.group_id}"))


def test_its_page_shows_each_group_with_its_steps_and_reason(pages, whole, groups):
    page = body(pages.get(whole.get_absolute_url()))
    assert page.index(">g-2</a>") < page.index(">g-3</a>") < page.index(">g-1</a>")
    assert "No import." in page
    assert "Not begun yet" in page
    assert 'title="Generate key in the HSM: Failed"' in page
    assert f'href="{groups[0].get_absolute_url()}"' in page
    part = whole.parts.first()
    assert f'<a href="{whole.get_absolute_url()}">{whole}</a> 4 key groups' in body(pages.get(part.get_absolute_url()))


def test_a_part_that_ends_renews_the_page(pages, whole):
    page = body(pages.get(whole.get_absolute_url()))
    seen = page.split("?seen=")[1].split("&")[0]
    live = f"{whole.get_absolute_url()}live/?seen={seen}&after=0"
    assert pages.get(live).status_code == 204
    whole.parts.filter(state="failed").update(state="succeeded")
    assert "3 of 4 key groups" in body(pages.get(live))


def test_a_thousand_parts_cost_few_queries(pages, whole, django_assert_max_num_queries):
    with django_assert_max_num_queries(16):
        pages.get(whole.get_absolute_url())


def test_these_can_be_retried_once_all_have_ended(pages, whole):
    Job.objects.filter(pk=whole.pk).update(
        state="partly_failed", finished_at=now(), error_what="2 of 4 key groups done."
    )
    page = body(pages.get(whole.get_absolute_url()))
    assert "Retry these" in page
    assert "No import. (1: g-2)" in page
