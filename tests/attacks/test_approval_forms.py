"""Forms of approvals, as no browser sends them."""

from __future__ import annotations

import pytest

from jobs.approvals.models import ApprovalDecision
from logging_reports.models import LogEntry
from tests.jobs.approving import request_of
from tests.jobs.conftest import admin, credential, device, group, hsm_token
from tests.jobs.pages.test_batch_approvals import PAGE, browser_of, open_jobs, others, seen, states
from tests.jobs.passkey_approving import Approver

__all__ = ["admin", "credential", "device", "group", "hsm_token", "open_jobs", "others"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("passkey", [" ", "\t", "\u2003"])
def test_a_blank_answer_of_a_passkey_spares_no_refusal_the_second_factor(open_jobs, passkey):
    dora = Approver("dora")
    # A session of hers, in which the second factor was not proven lately.
    dora.client.logout()
    dora.client.force_login(dora.user)
    answer = dora.send(open_jobs[0], verdict="refuse", reason="No", passkey=passkey)
    assert "/confirm/" in answer.url
    assert not ApprovalDecision.objects.exists()


@pytest.mark.parametrize("passkey", ["{}", "null", "[]", '{"id": "x"}'])
def test_an_answer_that_is_none_refuses_nothing_either(open_jobs, passkey):
    dora = Approver("dora")
    dora.client.logout()
    dora.client.force_login(dora.user)
    answer = dora.send(open_jobs[0], verdict="refuse", reason="No", passkey=passkey)
    assert answer.status_code in {302, 422}
    assert not ApprovalDecision.objects.exists()


def test_codes_of_a_batch_count_as_they_were_shown(open_jobs, others):
    second = browser_of(others[0])
    sent = seen(open_jobs).lower()
    assert second.post(PAGE, {"seen": sent, "reason": ""}).status_code == 422
    assert second.post(PAGE, {"seen": f"job-{seen(open_jobs[:1])}", "reason": ""}).status_code == 422
    assert states() == ["awaiting"] * 3


def test_one_request_named_twice_is_decided_by_what_was_shown(open_jobs, others):
    second = browser_of(others[0])
    code, digest = open_jobs[0].code, request_of(open_jobs[0]).digest
    second.post(PAGE, {"seen": f"{code.lower()}:{digest} {code}:{'0' * 64}", "reason": ""})
    assert states() == ["awaiting"] * 3


def test_an_approver_does_not_break_glass_on_the_page_of_decisions(open_jobs, others):
    second = browser_of(others[0])
    sent = {"seen": request_of(open_jobs[0]).digest, "reason": "Now", "verdict": "break_glass"}
    assert second.post(f"/approvals/{open_jobs[0].code}/decide/", sent).status_code == 422
    assert not ApprovalDecision.objects.exists()
    # Whoever does that is no writer to the database: no such alarm.
    assert not LogEntry.objects.filter(event="approval.not_genuine").exists()
