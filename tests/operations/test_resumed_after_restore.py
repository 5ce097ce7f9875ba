"""After a restore a policy makes the schedule wait: others look at what was restored before rotations go on."""

from __future__ import annotations

import pytest

from jobs.choices import HoldReason
from jobs.engine.approval_checks import ApprovalVoid
from jobs.schedule import clock_guard
from kmes.core.actor import SYSTEM, Actor
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry
from logging_reports.services import record
from tests.jobs.approving import REASON, approve, request_of, set_policy
from tests.jobs.changing import apply
from tests.jobs.pages.browsing import pages, people, static_root
from tests.jobs.pages.requesting import asked, second, text
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed", "pages", "people", "second", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "/administration/configuration/schedule/confirm/"


@pytest.fixture
def admin(people):
    return Actor.from_user(people["admin"])


@pytest.fixture
def ben(django_user_model, second, admin):
    set_policy("resume_restored", actor=admin)
    return Actor.from_user(django_user_model.objects.get(username="ben"))


def restore():
    """What the command leaves behind."""
    record("backup.restored", actor=SYSTEM, message="restored", data={"made_at": "2026-11-01", "signed_by": "sha256:k"})
    clock_guard.hold(HoldReason.RESTORED, actor=SYSTEM)


def is_held():
    return clock_guard.read_clock().held_since is not None


def test_rotations_are_resumed_after_others_have_looked_at_what_was_restored(pages, ben, admin):
    restore()
    assert "Others have to approve this first" in text(pages.get(ADDRESS))
    refused = pages.post(ADDRESS)
    assert refused.status_code == 400
    assert "Approvers need a reason" in text(refused)
    assert is_held()
    job = asked(pages.post(ADDRESS, {"approval_reason": REASON}), "resume_restored")
    plan = request_of(job).plan
    assert ["Backup made at", "2026-11-01"] in plan["facts"]
    assert "as old as the backup" in plan["warnings"][0]
    with pytest.raises(ConflictError, match="lacks approvals"):
        apply(job, admin)
    assert is_held()
    approve(job, ben)
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 302
    assert not is_held()
    assert LogEntry.objects.get(event="schedule.released").actor_name == job.actor_name


def test_what_was_approved_for_one_restore_resumes_nothing_after_another(pages, ben, admin):
    restore()
    job = asked(pages.post(ADDRESS, {"approval_reason": REASON}), "resume_restored")
    approve(job, ben)
    restore()
    with pytest.raises((ApprovalVoid, ConflictError)):
        apply(job, admin)
    assert is_held()


def test_a_clock_that_was_wrong_needs_nobody(pages, ben):
    clock_guard.hold(HoldReason.LONG_SILENCE, actor=SYSTEM)
    assert "Others have to approve" not in text(pages.get(ADDRESS))
    assert pages.post(ADDRESS).status_code == 302
    assert not is_held()


def test_no_clock_lifts_the_hold_of_a_restore(ben):
    restore()
    assert clock_guard.tick() is False
    assert clock_guard.tick() is False
    assert clock_guard.read_clock().held_reason == HoldReason.RESTORED
