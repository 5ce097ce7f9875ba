"""Reminders: each version, secret and missed rotation once per threshold, however often the scan runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.schedule.reminders import remind
from keygroups.models import CloudVersion, KeyGroup, RotationSlot
from kmes.core.clock import now
from logging_reports.models import LogEntry, Notice
from tests.keygroups.builders import make_credential, make_group, make_key, make_vault, push

EXPIRING, SECRET, MISSED = "key.version_expiring", "credential.secret_expiring", "azure.rotation_missed"


@pytest.fixture(autouse=True)
def noon(time_machine):
    """Days left are counted by the calendar, so a test must not begin in a day's last minute."""
    time_machine.move_to("2026-11-24 12:00:00Z")


@pytest.fixture
def group(db):
    return make_group(make_vault(make_credential("Contoso")), "payments")


def expires_in(group, days, name="key"):
    version = push(make_key(group, name))
    CloudVersion.objects.filter(pk=version.pk).update(expires_at=now() + timedelta(days=days, minutes=1))
    return version


def rows(event):
    return list(LogEntry.objects.filter(event=event).order_by("sequence"))


def test_each_threshold_is_told_once_as_the_end_comes_nearer(group, time_machine):
    time_machine.move_to("2026-11-24 10:00:00Z", tick=False)
    expires_in(group, 40)
    told = []
    for day in range(45):
        time_machine.move_to("2026-11-24 10:00:00Z", tick=False)
        time_machine.shift(timedelta(days=day))
        remind()
        remind()
        told.append(len(rows(EXPIRING)))
    assert [day for day in range(1, 45) if told[day] != told[day - 1]] == [10, 26, 33, 39]
    assert [row.severity for row in rows(EXPIRING)] == ["info", "warning", "warning", "error"]
    assert Notice.objects.filter(topic="expiry").count() == 4


def test_what_is_seen_late_is_told_once_by_its_nearest_threshold(group):
    expires_in(group, 5)
    assert remind() == 1
    assert remind() == 0
    (row,) = rows(EXPIRING)
    assert (row.severity, row.group, row.key) == ("warning", "payments", "key")
    assert "5 days left" in row.message
    assert Notice.objects.get().url == f"/keys/{row.key_id}/"


def test_a_version_with_a_new_end_is_told_anew(group):
    version = expires_in(group, 5)
    remind()
    CloudVersion.objects.filter(pk=version.pk).update(expires_at=now() + timedelta(days=6))
    assert remind() == 1


def test_a_superseded_version_is_not_told(group):
    expires_in(group, 5, "old")
    push(make_key(group, "new"))
    assert remind() == 0


def test_client_secrets_are_told_too_and_one_that_is_over_says_so(db):
    today = now().date()
    make_credential("soon", sign_in_expires_on=today + timedelta(days=12))
    make_credential("over", sign_in_expires_on=today - timedelta(days=3))
    make_credential("far", sign_in_expires_on=today + timedelta(days=31))
    assert remind() == 2
    messages = {row.credential: (row.severity, row.message) for row in rows(SECRET)}
    assert messages["soon"][0] == "warning"
    assert "12 days left" in messages["soon"][1]
    assert messages["over"][0] == "error"
    assert "expired on" in messages["over"][1]


@pytest.mark.parametrize("way", ["certificate", "device_certificate"])
def test_a_certificate_is_told_as_one(db, way):
    make_credential("soon", sign_in=way, sign_in_expires_on=now().date() + timedelta(days=5))
    assert remind() == 1
    (row,) = rows("credential.certificate_expiring")
    assert (row.severity, row.credential) == ("warning", "soon")
    assert row.message.startswith("The certificate of soon ends on")
    assert Notice.objects.get().url == f"/cloud-credentials/{row.credential_id}/"


def test_a_missed_rotation_is_told_once_and_a_failed_one_is_told_by_its_job(group):
    KeyGroup.objects.filter(pk=group.pk).update(next_due_at=now() - timedelta(hours=1))
    failed = make_group(group.vault, "failed")
    RotationSlot.objects.create(group=failed, due_at=now() - timedelta(hours=1), state="refused")
    assert remind() == 1
    assert remind() == 0
    (row,) = rows(MISSED)
    assert (row.group, row.severity) == ("payments", "error")
    assert Notice.objects.get().url == f"/keys/?group={group.pk}"


def test_many_ends_cost_few_queries(group, django_assert_max_num_queries):
    for number in range(30):
        other = make_group(group.vault, f"group-{number}")
        expires_in(other, 20)
    with django_assert_max_num_queries(25):
        assert remind() == 30
    assert Notice.objects.get().count == 30
