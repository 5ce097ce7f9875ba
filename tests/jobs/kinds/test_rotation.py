"""Rotation: due once, caught up once, and called done only when it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import Job
from jobs.schedule import scans
from jobs.services import request_cancel, request_retry
from keygroups import lifecycle
from keygroups.models import KeyGroup, RotationSlot
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.builders import CLIENT, make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


def _due_since(group, **ago):
    lifecycle.schedule_rotation(group=group, anchor_at=now() - timedelta(**ago))


def test_a_forced_rotation_makes_a_named_key_that_becomes_active(group, admin, vault):
    (key,) = make_keys(group, "first", actor=admin)
    work(request_synchronize(keys=[key], actor=admin))
    job = work(request_rotation(group=group, actor=admin))

    assert (job.state, job.error_what) == ("succeeded", "")
    new = group.cloud_versions.get(state="active")
    assert new.key.name.startswith("payments-20")
    assert key.cloud_versions.get().state == "superseded"
    assert len(vault.versions("payments")) == 2
    group.refresh_from_db()
    assert group.last_rotated_at is not None
    assert group.next_due_at > group.last_rotated_at + timedelta(days=89)


def test_a_rotation_that_fell_due_happens_once_however_many_beats_look(group, admin, vault):
    _due_since(group, days=91)
    (made,) = scans.scan_rotations()
    assert scans.scan_rotations() == []
    job = work(Job.objects.get(pk=made))
    assert (job.state, job.trigger) == ("succeeded", "schedule")
    assert len(vault.versions("payments")) == 1
    group.refresh_from_db()
    assert group.last_rotated_at is not None


def test_after_a_long_pause_it_is_caught_up_once_and_the_missed_moments_are_recorded(group):
    _due_since(group, days=400)
    assert len(scans.scan_rotations()) == 1
    group.refresh_from_db()
    assert group.next_due_at > now()
    assert RotationSlot.objects.filter(group=group, job_id__isnull=False).count() == 1
    assert RotationSlot.objects.filter(group=group, state="missed").exists()


def _slot_after(group, end) -> str:
    _due_since(group, days=91)
    (made,) = scans.scan_rotations()
    slot = group.rotation_slots.get(job_id=made)
    assert slot.state == "pending"
    end(Job.objects.get(pk=made))
    slot.refresh_from_db()
    return slot.state


def test_the_due_moment_is_told_how_its_job_ended(group, admin, azure_stand_in):
    assert _slot_after(group, work) == "succeeded"
    assert _slot_after(group, lambda job: request_cancel(job=job, actor=admin)) == "cancelled"
    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": ["get", "list"]})
    assert _slot_after(group, work) == "failed"
    # A person's rotation serves no due moment.
    work(request_rotation(group=group, actor=admin))
    assert sorted(group.rotation_slots.exclude(job_id=None).values_list("state", flat=True)) == [
        *("cancelled", "failed", "succeeded")
    ]


def test_a_failed_rotation_leaves_the_date_and_its_retry_pushes_the_same_key(group, admin, vault, azure_stand_in):
    everything = ["get", "list", "create", "import", "update", "delete", "recover", "purge"]
    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": ["get", "list"]})
    job = work(request_rotation(group=group, actor=admin))
    assert job.state == "failed"
    group.refresh_from_db()
    assert group.last_rotated_at is None

    azure_stand_in.control("POST", "/_emulator/clients", {"client_id": CLIENT, "permissions": everything})
    again = work(request_retry(job=job, actor=admin))
    assert (again.state, again.error_what) == ("succeeded", "")
    assert again.retry_of == job
    assert group.keys.count() == 1
    assert len(vault.versions("payments")) == 1


def test_a_rotation_of_a_deleted_azure_key_is_a_visible_failure(group):
    KeyGroup.objects.filter(pk=group.pk).update(cloud_state="soft_deleted")
    _due_since(group, days=91)
    assert scans.scan_rotations() == []
    assert LogEntry.objects.filter(event="azure.rotation_failed").exists()


def test_without_a_policy_nothing_is_due(group):
    KeyGroup.objects.filter(pk=group.pk).update(rotate=False)
    group.refresh_from_db()
    _due_since(group, days=400)
    assert scans.scan_rotations() == []
