"""Several requests are approved together: all plans are shown, one second factor is asked for, one signature covers all."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from jobs.approvals.models import ApprovalDecision
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key
from kmes.accounts.models import User
from tests.accounts.passkey_pages import ORIGIN
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.breaking_glass import give_app
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.jobs.passkey_approving import Approver
from tests.people import body

__all__ = ["admin", "credential", "device", "group", "hsm_token"]
pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/approvals/batch/"


def text(response):
    return html.unescape(body(response))


def browser_of(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


@pytest.fixture
def others(admin):
    return make_approvers("ben", "cleo")


@pytest.fixture
def open_jobs(group, admin, others):
    made = make_keys(group, "k1", "k2", "k3", actor=admin)
    set_policy("destroy", actor=admin)
    return [request_destroy(keys=[each], actor=admin, reason=f"{REASON} ({each})") for each in made]


def address(jobs):
    return f"{PAGE}?" + "&".join(f"key={request_of(each).pk}" for each in jobs)


def seen(jobs):
    return " ".join(f"{each.code}:{request_of(each).digest}" for each in jobs)


def states():
    return list(Job.objects.filter(kind="destroy").order_by("created_at").values_list("state", flat=True))


def test_the_plans_of_all_that_are_selected_are_shown_and_approved_together(open_jobs, others):
    second = browser_of(others[0])
    listed = text(second.get("/approvals/?show=mine"))
    assert f'name="key" value="{request_of(open_jobs[0]).pk}"' in listed
    assert 'name="key"' not in text(second.get("/approvals/"))
    page = text(second.get(address(open_jobs[:2])))
    for each in open_jobs[:2]:
        assert request_of(each).digest in page
        assert request_of(each).reason in page
    assert request_of(open_jobs[2]).digest not in page
    assert second.post(PAGE, {"seen": seen(open_jobs[:2]), "reason": "Both"}).status_code == 302
    assert states() == ["queued", "queued", "awaiting"]
    assert set(ApprovalDecision.objects.values_list("reason", flat=True)) == {"Both"}
    for each in open_jobs[:2]:
        assert work(each).state == "succeeded"


def test_one_signature_covers_the_whole_list_and_each_job_runs_by_it(open_jobs):
    dora = Approver("dora")
    assert "Approve 3 requests with passkey" in text(dora.client.get(address(open_jobs)))
    assert dora.client.post(PAGE, {"seen": seen(open_jobs), "reason": ""}).status_code == 302
    assert states() == ["awaiting"] * 3
    options = dora.client.post(f"{PAGE}options/", {"seen": seen(open_jobs), "reason": ""}).json()["publicKey"]
    answer = dora.key.get(options, origin=ORIGIN)
    assert dora.client.post(PAGE, {"seen": seen(open_jobs), "reason": "", "passkey": answer}).status_code == 302
    assert states() == ["queued"] * 3
    assert len({each.proof["signature"] for each in ApprovalDecision.objects.all()}) == 1
    for each in open_jobs:
        assert work(each).state == "succeeded", each.error_what


def test_a_signature_of_some_approves_no_others(open_jobs):
    dora = Approver("dora")
    options = dora.client.post(f"{PAGE}options/", {"seen": seen(open_jobs[:2]), "reason": ""}).json()["publicKey"]
    answer = dora.key.get(options, origin=ORIGIN)
    sent = {"seen": seen(open_jobs), "reason": "", "passkey": answer}
    assert dora.client.post(PAGE, sent).status_code == 422
    assert not ApprovalDecision.objects.exists()
    assert dora.client.post(f"{PAGE}options/", {"seen": f"{open_jobs[0].code}:{'0' * 64}"}).status_code == 409


def test_one_that_is_decided_or_changed_meanwhile_is_left_out_and_stops_no_other(open_jobs, others):
    second = browser_of(others[0])
    sent = {"seen": seen(open_jobs), "reason": ""}
    approve(open_jobs[0], others[1])
    Key.objects.filter(name="k2").update(name="another")
    page = text(second.get(address(open_jobs)))
    assert "no longer open" in page
    assert "has changed" in page
    assert "Approve 1 request" in page
    second.post(PAGE, sent)
    assert states() == ["queued", "awaiting", "queued"]


def test_nobody_approves_their_own_in_a_batch(open_jobs, admin):
    own = browser_of(admin)
    assert "decide on their own requests" in text(own.get(address(open_jobs)))
    own.post(PAGE, {"seen": seen(open_jobs), "reason": ""})
    assert states() == ["awaiting"] * 3


def test_the_second_factor_is_asked_for_once_and_nothing_selected_is_said(open_jobs, others):
    give_app(others[0])
    second = browser_of(others[0])
    assert "/confirm/" in second.get(address(open_jobs)).url
    assert "/confirm/" in second.post(PAGE, {"seen": seen(open_jobs), "reason": ""}).url
    third = browser_of(others[1])
    assert "No request is selected" in text(third.get(f"{PAGE}?key=x&key=99999"))
    assert third.post(PAGE, {"seen": "NONE22:00", "reason": ""}).status_code == 422
    assert third.post(PAGE, {"reason": ""}).status_code == 422
