"""In an emergency a requester goes on alone, everybody is told, and somebody else reviews it."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from jobs.approvals import break_glass as services
from jobs.kinds.destroy.spec import request_destroy
from jobs.models import Job
from keygroups.models import Key
from kmes.accounts.models import User
from kmes.accounts.services import UserValues, create_user
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from kmes.dashboard.attention.facts import collect
from kmes.dashboard.attention.lines import read_attention
from kmes.dashboard.attention.matters import MATTERS
from kmes.dashboard.attention.services import acknowledge
from kmes.dashboard.heartbeats import read_heartbeats
from logging_reports.choices import Severity
from logging_reports.models import LogEntry, Notice
from logging_reports.notices.models import Channel, Delivery
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.breaking_glass import WHY, break_glass, give_app
from tests.jobs.builders import make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.jobs.passkey_approving import Approver
from tests.people import body

__all__ = ["admin", "credential", "device", "group", "hsm_token"]
pytestmark = pytest.mark.django_db(transaction=True)


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
def keys(group, admin, others):
    give_app(admin)
    made = make_keys(group, "k1", "k2", "k3", "k4", actor=admin)
    set_policy("destroy", actor=admin, allows_break_glass=True)
    return made


@pytest.fixture
def job(keys, admin):
    return request_destroy(keys=keys[:1], actor=admin, reason=REASON)


def to_review(user):
    found = read_attention(collect(read_heartbeats(), None), user)
    return [line for line in found.lines if line.matter.name == "break-glass"]


def test_a_requester_goes_on_alone_everybody_is_told_and_another_one_reviews_it(job, admin, others, settings):
    settings.KMES_STEP_UP_MINUTES = 0
    off = Channel.objects.create(kind="mail", name="Security", recipients=["soc@example.com"], rules={})
    own = Channel.objects.create(kind="mail", name="Own", rules={}, user_id=others[0].user_id)
    break_glass(job, admin)
    assert work(job).state == "succeeded", job.error_what
    assert Key.objects.filter(state="destroyed").count() == 1
    row = LogEntry.objects.get(event="approval.glass_broken")
    assert (row.severity, row.actor_name) == (Severity.ERROR, "ada")
    assert WHY in row.message
    notice = Notice.objects.get(event="approval.glass_broken")
    assert set(Delivery.objects.filter(notice=notice).values_list("channel", flat=True)) == {off.pk, own.pk}

    ben = User.objects.get(pk=others[0].user_id)
    [line] = to_review(ben)
    assert not line.may_acknowledge
    with pytest.raises(ConflictError, match="reviewed"):
        acknowledge(matter=MATTERS["break-glass"], facts=line.facts, seen=line.digest, reason="ok", actor=others[0])
    page = f"/approvals/{job.code}/review/"
    assert "can't review" in text(browser_of(admin).get(page))
    assert browser_of(admin).post(page, {"comment": "All fine"}).status_code == 403
    second = browser_of(others[0])
    assert "ada broke glass" in text(second.get(f"/approvals/{job.code}/"))
    assert str(job) in text(second.get("/approvals/?show=review"))
    assert second.post(page, {"comment": ""}).status_code == 422
    assert second.post(page, {"comment": "It was an emergency"}).status_code == 302
    assert not to_review(ben)
    assert "ben reviewed it: It was an emergency" in text(second.get(f"/approvals/{job.code}/"))
    assert LogEntry.objects.filter(event="approval.glass_reviewed", actor_name="ben").count() == 1
    assert second.post(page, {"comment": "Again"}).status_code == 422


def test_it_is_off_unless_the_policy_allows_it(keys, admin, others):
    stricter = set_policy("destroy", actor=admin)
    approve(stricter, others[0])
    assert work(stricter).state == "succeeded"
    job = request_destroy(keys=keys[:1], actor=admin, reason=REASON)
    assert "Break glass" not in text(browser_of(admin).get(f"/approvals/{job.code}/"))
    with pytest.raises(PermissionRefused, match="is not allowed for this request"):
        break_glass(job, admin)
    assert job.state == "awaiting"


def test_nobody_ends_or_weakens_a_policy_by_it(keys, admin):
    change = set_policy("destroy", actor=admin, approvals=0)
    with pytest.raises(PermissionRefused, match="is not allowed for this request"):
        break_glass(change, admin)


def test_only_the_requester_with_the_right_and_a_second_factor_can(job, keys, admin, others):
    with pytest.raises(PermissionRefused, match="Only the requester"):
        break_glass(job, others[0])
    mine = request_destroy(keys=keys[1:2], actor=others[0], reason=REASON)
    with pytest.raises(PermissionRefused, match="needs a second factor"):
        break_glass(mine, others[0])
    [keeper] = make_approvers("kim", role="custodian")
    theirs = request_destroy(keys=keys[2:3], actor=keeper, reason=REASON)
    assert browser_of(keeper).get(f"/approvals/{theirs.code}/break-glass/").status_code == 403
    give_app(keeper)
    with pytest.raises(PermissionRefused, match="Break Glass:Use"):
        break_glass(theirs, keeper)
    with pytest.raises(InputError):
        break_glass(job, admin, reason="  ")


@pytest.mark.parametrize("minutes", [5, 0])
def test_the_second_factor_is_asked_for_whatever_the_setting(job, admin, settings, minutes):
    settings.KMES_STEP_UP_MINUTES = minutes
    browser, page = browser_of(admin), f"/approvals/{job.code}/break-glass/"
    assert "/confirm/" in browser.get(page).url
    assert "/confirm/" in browser.post(page, {"seen": request_of(job).digest, "reason": WHY}).url
    job.refresh_from_db()
    assert job.state == "awaiting"


def test_a_passkey_signs_it(keys, admin):
    dora = Approver("dora")
    job = request_destroy(keys=keys[:1], actor=dora.actor, reason=REASON)
    page = f"/approvals/{job.code}/break-glass/"
    assert "Break glass with passkey" in text(dora.client.get(page))
    sent = {"seen": request_of(job).digest, "reason": WHY}
    with pytest.raises(PermissionRefused, match="not signed"):
        break_glass(job, dora.actor)
    options = dora.client.post(f"{page}options/", sent).json()["publicKey"]
    answer = dora.key.get(options, origin="http://testserver")
    assert dora.client.post(page, {**sent, "passkey": answer}).status_code == 302
    assert work(job).state == "succeeded", job.error_what


def test_after_three_without_a_review_there_is_no_further_one(keys, admin, others):
    for each in keys[:3]:
        break_glass(request_destroy(keys=[each], actor=admin, reason=REASON), admin)
    last = request_destroy(keys=keys[3:], actor=admin, reason=REASON)
    with pytest.raises(PermissionRefused, match="3 uses"):
        break_glass(last, admin)
    first = Job.objects.filter(kind="destroy").order_by("created_at").first()
    services.review(decision=request_of(first).decisions.get(), comment="Seen", actor=others[0])
    break_glass(last, admin)


def test_the_option_is_set_on_the_page_and_shown(admin, others):
    browser = browser_of(admin)
    sent = {"approvals": "1", "role": "admin", "expires_hours": "24", "allows_break_glass": "on"}
    assert browser.post("/approvals/policies/destroy/", sent).status_code == 302
    change = Job.objects.get(kind="set_approval_policy")
    assert work(change).state == "succeeded"
    assert "break glass is allowed" in LogEntry.objects.get(event="approval.policy_changed").message
    assert "Break glass" in text(browser.get("/approvals/policies/"))


def test_a_request_that_was_decided_or_expired_is_not_broken(job, keys, admin, others):
    approve(job, others[0])
    with pytest.raises(ConflictError):
        break_glass(job, admin)
    late = request_destroy(keys=keys[1:2], actor=admin, reason=REASON)
    with pytest.raises(ConflictError, match="changed since it was shown"):
        break_glass(late, admin, seen="0" * 64)
    Key.objects.filter(pk=keys[1].pk).update(name="another")
    with pytest.raises(ConflictError, match="has changed"):
        break_glass(late, admin)


def test_whoever_reviews_is_not_the_one_who_was_made_for_it(job, admin):
    break_glass(job, admin)
    eve = create_user(username="eve", values=UserValues(role="admin"), actor=admin)[0]
    with pytest.raises(PermissionRefused, match="less than 30 days ago"):
        services.review(decision=request_of(job).decisions.get(), comment="Fine", actor=Actor.from_user(eve))
