"""From the page that starts an action to the decision on it, over HTTP."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from jobs.approvals.models import ApprovalPolicy
from jobs.engine.approval_policies import requirements_of
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.set_approval_policy.spec import RECOMMENDED
from jobs.models import Job
from keygroups.models import KeyGroup
from kmes.core.actor import Actor
from tests.jobs.approving import REASON, request_of, set_policy
from tests.jobs.builders import work
from tests.jobs.pages.browsing import body, group, make_key, pages, people, push, static_root

__all__ = ["group", "pages", "people", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def second(people, django_user_model):
    """A browser of another administrator."""
    client = Client()
    client.force_login(django_user_model.objects.create_user("ben", role="admin"))
    return client


@pytest.fixture
def deleted(group):
    """A group whose Azure key is deleted, so that it can be purged."""
    push(make_key(group), state="soft_deleted")
    group.refresh_from_db()
    return group


def policy(people, action):
    set_policy(action, actor=Actor.from_user(people["admin"]))


def text(response):
    return html.unescape(body(response))


def test_a_purge_is_requested_seen_and_approved(pages, people, second, deleted):
    address = f"/jobs/start/cloud_purge/?group={deleted.pk}"
    assert "approve this first" not in text(pages.get(address))
    policy(people, "cloud_purge")
    shown = text(pages.get(address))
    assert "Purge an Azure key: 1 approval by a user with the role Administrator" in shown
    refused = pages.post(address, {"typed": "payments"})
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    assert pages.post(address, {"typed": "payments", "reason": REASON}).status_code == 302
    job = Job.objects.get(kind="cloud_purge")
    shown = text(pages.get(f"/jobs/{job.code}/"))
    assert "Awaiting approval" in shown
    assert "Purge an Azure key: 1 approval by a user with the role Administrator" in shown

    page = f"/approvals/{job.code}/"
    asked = text(pages.get(page))
    assert "decide on their own requests" in asked
    assert "0 of 1 approvals are given. With the last one a worker runs the job" in asked
    listed = text(second.get("/approvals/?show=mine"))
    assert str(job) in listed
    assert "(1)" in listed
    # The badge beside Approvals counts what waits for the one who looks.
    assert 'data-to-decide="1"' in text(second.get("/jobs/drawer/"))
    assert 'data-to-decide="0"' in text(pages.get("/jobs/drawer/"))
    seen = text(second.get(f"{page}decide/"))
    for told in (
        "Purge payments from kv",
        REASON,
        "This can't be undone.",
        request_of(job).digest,
        "Approve",
        "Refuse",
    ):
        assert told in seen
    digest = request_of(job).digest
    for sent in ({"verdict": "refuse", "seen": digest}, {"verdict": "approve", "seen": "0" * 64}, {"seen": digest}):
        assert second.post(f"{page}decide/", sent).status_code == 422
    assert pages.post(f"{page}decide/", {"verdict": "approve", "seen": digest}).status_code == 403
    assert second.post(f"{page}decide/", {"verdict": "approve", "seen": digest}).url == page
    job.refresh_from_db()
    assert job.state == "queued"
    after = text(second.get(page))
    assert "ben" in after
    assert "approvals are given" not in after
    assert f"python -m jobs.approvals.offline approval-{job.code}.json" in after
    # From the job an auditor comes to who decided on it.
    assert f'href="{page}">Who decided on it</a>' in text(pages.get(f"/jobs/{job.code}/"))
    assert "Approve or refuse" not in after
    assert str(job) not in text(second.get("/approvals/"))
    assert str(job) in text(second.get("/approvals/?show=all"))


def test_the_lists_say_what_is_not_there_yet(pages, people, group):
    assert "No policy asks for approvals" in text(pages.get("/approvals/"))
    assert "none" in text(pages.get("/approvals/policies/"))


def test_a_policy_is_set_by_an_administrator_only(pages, people, second):
    page = "/approvals/policies/destroy/"
    assert "none: users with the right can act alone" in text(pages.get(page))
    refused = pages.post(page, {"approvals": "4", "role": "admin", "expires_hours": "24"})
    assert refused.status_code == 422
    assert "Only 2 active users have the role Administrator" in text(refused)
    assert pages.post(page, {"approvals": "1", "role": "admin", "expires_hours": "24"}).status_code == 302
    work(Job.objects.get(kind="set_approval_policy"))
    listed = text(pages.get("/approvals/policies/"))
    assert "24 hours" in listed
    done = Job.objects.get(kind="set_approval_policy")
    assert 'href="/approvals/policies/">Show approval policies</a>' in text(pages.get(f"/jobs/{done.code}/"))
    # From now on a change needs what the policy needs.
    assert "Request change" in text(pages.get(page))
    pages.post(page, {"approvals": "0", "role": "admin", "expires_hours": "24", "reason": REASON})
    change = Job.objects.get(kind="set_approval_policy", state="awaiting")
    assert str(change) in text(pages.get("/approvals/policies/"))
    assert "no approval needed" in text(second.get(f"/approvals/{change.code}/"))
    assert pages.get("/approvals/policies/no-such/").status_code == 404
    keeper = Client()
    keeper.force_login(people["custodian"])
    assert keeper.get(page).status_code == 403
    assert keeper.get("/approvals/policies/").status_code == 200


def test_a_removal_asks_for_a_reason_where_it_needs_approval(pages, people, second, group):
    push(make_key(group))
    page = f"/jobs/remove/?group={group.pk}&scope=cloud"
    policy(people, "cloud_delete")
    assert "Delete an Azure key: 1 approval" in text(pages.get(page))
    refused = pages.post(page, {"scope": "cloud", "way": "soft"})
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    # Here alone needs none.
    assert pages.post(page, {"scope": "local", "typed": "payments"}).status_code == 302
    assert Job.objects.get(kind="destroy").state == "queued"
    Job.objects.filter(kind="destroy").update(state="cancelled")
    assert pages.post(page, {"scope": "cloud", "way": "soft", "reason": REASON}).status_code == 302
    job = Job.objects.get(kind="cloud_delete")
    assert job.state == "awaiting"
    assert "deleted, all of them" in text(second.get(f"/approvals/{job.code}/"))


def test_a_refused_job_can_be_requested_again(pages, people, second, group):
    keys = [make_key(group)]
    policy(people, "destroy")
    job = request_destroy(keys=keys, actor=Actor.from_user(people["admin"]), reason=REASON)
    sent = {"verdict": "refuse", "seen": request_of(job).digest, "reason": "Not today"}
    assert second.post(f"/approvals/{job.code}/decide/", sent).status_code == 302
    assert "Not today" in text(pages.get(f"/jobs/{job.code}/"))
    retry = f"/jobs/{job.code}/retry/"
    assert "Others have to approve this first" in text(pages.get(retry))
    assert pages.post(retry, {"reason": "It is another day"}).status_code == 302
    again = Job.objects.get(retry_of=job)
    assert (again.state, request_of(again).reason) == ("awaiting", "It is another day")


def test_pages_of_what_is_not_there_are_not_found(pages):
    assert pages.get("/approvals/NONE22/").status_code == 404
    assert pages.get("/approvals/NONE22/decide/").status_code == 404


def test_one_button_demands_two_people_for_what_can_not_be_undone(pages, people, django_user_model):
    page, button = "/approvals/policies/", "Require two people for these actions"
    assert button in text(pages.get(page))
    pages.post(f"{page}demand-two/")
    assert "Only 1 active user has the role Administrator" in text(pages.get(page))
    assert not Job.objects.exists()
    django_user_model.objects.create_user("ben", role="admin")
    pages.post(f"{page}demand-two/")
    # A second click asks for nothing twice.
    pages.post(f"{page}demand-two/")
    jobs = list(Job.objects.filter(kind="set_approval_policy"))
    assert {job.params["action"] for job in jobs} == set(RECOMMENDED)
    assert len(jobs) == len(RECOMMENDED)
    for job in jobs:
        assert work(job).state == "succeeded"
    assert button not in text(pages.get(page))
    assert {each.action for each in requirements_of(RECOMMENDED)} == set(RECOMMENDED)


def test_a_policy_for_a_scope_is_added_shown_where_it_holds_and_ended_with_its_approvals(pages, people, second, group):
    page = "/approvals/policies/destroy/add/"
    asked = {"approvals": "1", "role": "admin", "expires_hours": "24"}
    assert "Choose one scope" in text(pages.post(page, asked))
    assert "There is no such scope" in text(pages.post(page, {**asked, "vault": "kv-none"}))
    assert pages.post(page, {**asked, "group": "payments", "approvals": "0"}).status_code == 422
    assert pages.post(page, {**asked, "group": "payments"}).status_code == 302
    work(Job.objects.get(kind="set_approval_policy"))
    assert "scope already has a policy for this action" in text(pages.post(page, {**asked, "group": "payments"}))
    listed = text(pages.get("/approvals/policies/"))
    assert "key group payments" in listed
    needed = "Destroy key material here (key group payments): 1 approval by a user with the role Administrator"
    assert needed in text(pages.get(f"/keys/groups/{group.pk}/permissions/"))
    key = make_key(group)
    assert needed in text(pages.get(f"/jobs/start/destroy/?key={key.pk}"))
    assert needed in text(pages.get(f"/jobs/remove/?group={group.pk}&scope=local"))
    other = make_key(KeyGroup.objects.create(**other_group(group)))
    assert needed not in text(pages.get(f"/jobs/start/destroy/?key={other.pk}"))
    change = f"/approvals/policies/for-scope/{ApprovalPolicy.objects.get().pk}/"
    assert change in listed
    assert needed in text(pages.get(change))
    assert pages.post(change, {**asked, "approvals": "0", "reason": REASON}).status_code == 302
    job = Job.objects.get(kind="set_approval_policy", state="awaiting")
    assert "key group payments" in text(second.get(f"/approvals/{job.code}/"))
    for missing in ("/approvals/policies/change_users/add/", "/approvals/policies/for-scope/0/"):
        assert pages.get(missing).status_code == 404


def other_group(group):
    return {"name": "other", "key_spec": group.key_spec, "usage": ["sign"], "azure_name": "other"} | {
        "credential": group.credential,
        "vault": group.vault,
    }
