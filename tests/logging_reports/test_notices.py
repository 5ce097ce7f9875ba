"""Notices: made with the log row, folded, led somewhere, shown to whom they concern, read once."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from kmes.core.actor import SYSTEM, Actor, Trigger
from kmes.core.clock import now
from logging_reports.choices import Severity, Topic
from logging_reports.events import EVENTS, NOTICE_TOPICS
from logging_reports.models import Channel, Delivery, LogEntry, Notice, NoticeRead
from logging_reports.notices.choices import Threshold, wants
from logging_reports.notices.reminders import remind_once
from logging_reports.notices.retention import delete_old_notices
from logging_reports.services import Draft, Subject, record, record_many


@pytest.fixture
def people(db):
    model = get_user_model()
    return {role: model.objects.create_user(f"a-{role}", role=role) for role in ("admin", "auditor")}


@pytest.fixture
def auditor(client, people):
    client.force_login(people["auditor"])
    return client


def channel(**changes):
    values = {"kind": "webhook", "name": "hook", "url": "https://example.com/", "rules": {"jobs": "warning"}, **changes}
    return Channel.objects.create(**values)


def fail_job(message="Synchronize: no", **changes):
    return record("job.failed", actor=SYSTEM, message=message, job_id=uuid4(), job_code="7F3KQ2", **changes)


# --- Making ----------------------------------------------------------------------------------
def test_each_noticed_event_is_registered():
    # Background exports and checkpoints bring theirs.
    assert NOTICE_TOPICS.keys() <= EVENTS.keys()


def test_a_noticed_row_makes_its_notice_and_leads_to_the_job(db):
    row = fail_job()
    notice = Notice.objects.get()
    assert (notice.topic, notice.severity, notice.message) == ("jobs", "error", "Synchronize: no")
    assert (notice.service, notice.sequence) == ("audit", row.sequence)
    assert notice.url == "/jobs/7F3KQ2/"


@pytest.mark.parametrize(
    ("event", "subject", "url"),
    [
        ("azure.rotation_missed", Subject(group_id="0b0f3c4e-0000-4000-8000-000000000001"), "/keys/?group=0b0f3c4e-"),
        ("key.version_expiring", Subject(key_id="0b0f3c4e-0000-4000-8000-000000000001"), "/keys/0b0f3c4e-"),
        ("credential.secret_expiring", Subject(credential_id="0b0f3c4e-0000-4000-8000-000000000001"), "/cloud-"),
        ("device.unavailable", Subject(), "/administration/device/"),
        ("azure.unreachable", Subject(vault="kv"), "/logs/azure/"),
        ("forwarding.behind", Subject(), "/forwarding/"),
        ("access.new_device", Subject(), "/profile/sessions/"),
        ("access.recovery_code_used", Subject(), "/profile/second-factor/"),
        ("access.factor_locked", Subject(), "/profile/second-factor/"),
        ("user.factor_removed", Subject(), "/profile/second-factor/"),
    ],
)
def test_a_notice_leads_to_what_it_speaks_of(event, subject, url, db):
    record(event, actor=SYSTEM, subject=subject)
    assert Notice.objects.get().url.startswith(url)


def test_a_notice_about_a_user_leads_to_the_user(people):
    record("user.unlinked", actor=SYSTEM, data={"user_id": people["auditor"].pk})
    assert Notice.objects.get().url == f"/users/{people['auditor'].pk}/"


@pytest.mark.parametrize("event", ["user.factor_removed", "user.deactivated"])
def test_a_log_row_about_a_user_leads_every_reader_to_that_user(event, auditor, people):
    """And not to the reader's own second factor, where the notice of the row leads its user."""
    row = record(event, actor=SYSTEM, data={"user_id": people["admin"].pk})
    page = auditor.get(f"/logs/audit/{row.sequence}/").content.decode()
    about = re.search(r'href="([^"]*)">Show what it is about', page)
    assert about
    assert about[1] == f"/users/{people['admin'].pk}/"


def test_a_log_row_of_somebody_elses_sign_in_leads_to_no_page_of_the_reader(auditor, people):
    row = record("access.new_device", actor=Actor.from_user(people["admin"]))
    assert "Show what it is about" not in auditor.get(f"/logs/audit/{row.sequence}/").content.decode()


@pytest.mark.parametrize(("message", "shown"), [("it failed", "pay: it failed"), ("pay failed", "pay failed")])
def test_a_notice_names_what_it_speaks_of(message, shown, db):
    record("azure.rotation_failed", actor=SYSTEM, message=message, subject=Subject(group="pay", vault="kv"))
    assert Notice.objects.get().message == shown


def test_other_rows_make_none_and_cost_nothing_more(db, django_assert_num_queries):
    record("job.started", actor=SYSTEM)
    with django_assert_num_queries(5):
        record("job.started", actor=SYSTEM)
    assert not Notice.objects.exists()


def test_a_row_that_is_rolled_back_takes_its_notice_along(transactional_db):
    channel()
    with pytest.raises(RuntimeError), transaction.atomic():
        fail_job()
        assert Delivery.objects.exists()
        raise RuntimeError
    assert not LogEntry.objects.filter(event="job.failed").exists()
    assert not Notice.objects.exists()
    assert not Delivery.objects.exists()


def test_many_differences_of_one_comparison_make_one_notice(db):
    job = uuid4()
    for _turn in range(3):
        record("azure.drift_found", actor=SYSTEM, message="differs", job_id=job, job_code="7F3KQ2")
    record("azure.drift_found", actor=SYSTEM, job_id=uuid4(), job_code="ABCDEF")
    assert Notice.objects.count() == 2


def test_a_vault_out_of_reach_is_told_once_an_hour(db, time_machine):
    time_machine.move_to("2026-11-24 10:05:00Z", tick=False)
    for vault in ("kv-a", "kv-a", "kv-b"):
        record("azure.unreachable", actor=SYSTEM, subject=Subject(vault=vault))
    assert Notice.objects.count() == 2
    time_machine.move_to("2026-11-24 11:00:01Z", tick=False)
    record("azure.unreachable", actor=SYSTEM, subject=Subject(vault="kv-a"))
    assert Notice.objects.count() == 3


def test_a_failed_rotation_is_not_told_a_second_time_as_a_failed_job(db):
    job = uuid4()
    drafts = [Draft(event=event, actor=SYSTEM, job_id=job) for event in ("azure.rotation_failed", "job.failed")]
    record_many([*drafts, Draft(event="job.failed", actor=SYSTEM, job_id=uuid4())])
    assert sorted(Notice.objects.values_list("event", flat=True)) == ["azure.rotation_failed", "job.failed"]


@pytest.mark.parametrize(
    "event", ["key.version_expiring", "credential.secret_expiring", "credential.certificate_expiring"]
)
def test_the_reminders_of_one_scan_are_one_notice_that_leads_to_the_report(event, db):
    drafts = [(f"k{n}", Draft(event=event, actor=SYSTEM, message=f"key {n}", severity=Severity.INFO)) for n in range(3)]
    assert len(remind_once(drafts)) == 3
    notice = Notice.objects.get()
    assert (notice.count, notice.url) == (3, "/reports/expiring/")


def test_a_reminder_is_logged_once(db):
    draft = Draft(event="key.version_expiring", actor=SYSTEM)
    assert len(remind_once([("a", draft)])) == 1
    assert [row.event for row in remind_once([("a", draft), ("b", draft)])] == ["key.version_expiring"]
    assert LogEntry.objects.filter(event="key.version_expiring").count() == 2


def test_old_notices_are_pruned_with_what_belongs_to_them(db, settings):
    channel()
    fail_job()
    fail_job()
    old = Notice.objects.earliest("pk")
    Notice.objects.filter(pk=old.pk).update(at=now() - timedelta(days=settings.KMES_NOTICE_KEEP_DAYS + 1))
    assert delete_old_notices() == 1
    assert Delivery.objects.count() == 1


# --- Channels' rules -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("threshold", "passes"),
    [
        ("off", set()),
        ("info", {"info", "warning", "error"}),
        ("warning", {"warning", "error"}),
        ("error", {"error"}),
        ("", set()),
    ],
)
def test_a_threshold_lets_through_what_is_as_grave_or_graver(threshold, passes):
    assert {severity.value for severity in Severity if wants(threshold, severity)} == passes


def test_only_channels_that_want_it_get_a_notice(db):
    wanted = channel(name="wants", rules={"jobs": Threshold.ERROR})
    channel(name="other topic", rules={"drift": Threshold.INFO})
    channel(name="graver", rules={"jobs": Threshold.OFF})
    channel(name="switched off", rules={"jobs": Threshold.INFO}, is_enabled=False)
    fail_job()
    fail_job(severity=Severity.WARNING)
    assert [delivery.channel for delivery in Delivery.objects.all()] == [wanted]


def test_that_a_notice_did_not_get_out_is_told_behind_the_bell_only(db):
    channel(rules=dict.fromkeys(Topic.values, "info"))
    record("notice.delivery_failed", actor=SYSTEM)
    assert Notice.objects.get().topic == "delivery"
    assert not Delivery.objects.exists()


def test_what_concerns_one_person_is_shown_and_sent_to_nobody_else(auditor, people, monkeypatch):
    monkeypatch.setitem(NOTICE_TOPICS, "log.exported", Topic.EXPORT)
    everybody = dict.fromkeys(Topic.values, "info")
    channel(name="installation", rules=everybody)
    mine = channel(name="mine", kind="mail", user_id=people["admin"].pk, rules=everybody)
    channel(name="others", kind="mail", user_id=people["auditor"].pk, rules=everybody)
    record("log.exported", actor=Actor("a-admin", Trigger.USER, people["admin"].pk), message="Export is ready")
    assert [delivery.channel for delivery in Delivery.objects.all()] == [mine]
    assert "Export is ready" not in auditor.get("/notices/").content.decode()
    auditor.force_login(people["admin"])
    assert "Export is ready" in auditor.get("/notices/").content.decode()


# --- Bell and list ---------------------------------------------------------------------------
def test_the_bell_counts_what_is_unread_and_rests_while_nothing_changes(auditor):
    assert "bell-count" not in auditor.get("/notices/bell/").content.decode()
    fail_job()
    fail_job()
    assert "2 unread" in auditor.get("/notices/bell/?seen=0").content.decode()
    assert auditor.get("/notices/bell/?seen=2").status_code == 204


def test_reading_one_lowers_the_count_for_the_reader_alone(auditor, people):
    fail_job("first")
    fail_job("second")
    notice = Notice.objects.get(message="first")
    assert auditor.post(f"/notices/{notice.pk}/read/?next=/notices/?show=unread")["Location"] == "/notices/?show=unread"
    page = auditor.get("/notices/?show=unread").content.decode()
    assert "second" in page
    assert "first" not in page
    auditor.force_login(people["admin"])
    assert "2 unread" in auditor.get("/notices/bell/").content.decode()


def test_what_is_older_than_the_account_counts_as_read(auditor, django_user_model):
    fail_job("before")
    auditor.force_login(django_user_model.objects.create_user("newcomer", role="auditor"))
    assert "bell-count" not in auditor.get("/notices/bell/").content.decode()
    page = auditor.get("/notices/").content.decode()
    assert "before" in page
    assert "is-unread" not in page
    assert "You have read everything" in auditor.get("/notices/?show=unread").content.decode()
    fail_job("after")
    assert "1 unread" in auditor.get("/notices/bell/").content.decode()
    assert auditor.get("/notices/").content.decode().count("is-unread") == 1


def test_reading_twice_is_reading_once(auditor):
    fail_job()
    for _turn in range(2):
        auditor.post(f"/notices/{Notice.objects.get().pk}/read/")
    auditor.post("/notices/read/")
    assert NoticeRead.objects.count() == 1


def test_all_are_read_at_once(auditor):
    for _turn in range(3):
        fail_job()
    auditor.post("/notices/read/")
    assert "You have read everything" in auditor.get("/notices/?show=unread").content.decode()
    assert auditor.get("/notices/bell/?seen=0").status_code == 204


def test_reading_needs_a_post(auditor):
    fail_job()
    assert auditor.get("/notices/read/").status_code == 405
    assert auditor.get(f"/notices/{Notice.objects.get().pk}/read/").status_code == 405


@pytest.mark.parametrize("query", ["q=disk", "sort=-event", "topic=jobs&q=disk"])
def test_marking_a_row_leads_back_to_the_list_as_it_was(query, auditor):
    fail_job("the disk is full")
    page = auditor.get(f"/notices/?{query}").content.decode()
    address = re.search(r'action="(/notices/\d+/read/[^"]*)"', page)
    assert address
    assert auditor.post(address[1])["Location"] == f"/notices/?{query}"
    assert auditor.post("/notices/read/?next=https://evil.example/")["Location"] == "/notices/"


def test_notices_are_found_by_their_text(auditor):
    fail_job("the disk is full")
    fail_job("the vault is away")
    page = auditor.get("/notices/?q=DISK").content.decode()
    assert "the disk is full" in page
    assert "the vault is away" not in page
    assert "No notice matches" in auditor.get("/notices/?q=nothing").content.decode()


def test_somebody_elses_notice_cannot_be_marked(auditor, people):
    fail_job()
    Notice.objects.update(user_id=people["admin"].pk)
    auditor.post(f"/notices/{Notice.objects.get().pk}/read/")
    assert not NoticeRead.objects.exists()


def test_the_list_filters_by_topic_and_replaces_itself_only_when_it_changed(auditor):
    fail_job("a failed job")
    record("device.unavailable", actor=SYSTEM, message="the device is away")
    page = auditor.get("/notices/?topic=device").content.decode()
    assert "the device is away" in page
    assert "a failed job" not in page
    digest = re.search("[?;]seen=([0-9a-f]{16})", page)[1]
    headers = {"HX-Request": "true", "HX-Target": "notice-list"}
    assert auditor.get(f"/notices/?topic=device&seen={digest}", headers=headers).status_code == 204
    record("device.returned", actor=SYSTEM)
    answer = auditor.get(f"/notices/?topic=device&seen={digest}", headers=headers)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()


def test_hidden_characters_of_a_message_are_written_out(auditor):
    fail_job("evil\u202etxt <b>")
    page = auditor.get("/notices/").content.decode()
    assert "evil\\u202etxt &lt;b&gt;" in page


def test_an_empty_list_teaches_what_comes_here(auditor):
    assert "Failed jobs, missed rotations" in auditor.get("/notices/").content.decode()


def test_many_notices_cost_few_queries(auditor, django_assert_max_num_queries):
    for number in range(60):
        fail_job(f"job {number}")
    with django_assert_max_num_queries(12):
        page = auditor.get("/notices/").content.decode()
    assert page.count("Mark as read") == 50
    with django_assert_max_num_queries(4):
        auditor.get("/notices/bell/")
