"""Administration > Notice channels, and what a user gets by mail: who may, what is refused, what is logged."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from kmes.core.actor import SYSTEM
from logging_reports.models import Channel, Delivery, LogEntry
from logging_reports.notices import channels, deliveries, signatures
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import ChannelKind

TOPICS = ("jobs", "rotation", "expiry", "drift", "vault", "device", "log", "approval", "access", "sign_in")
RULES = {f"topic_{name}": "warning" for name in TOPICS}
ADDED = "/administration/notices/add/webhook/"


@pytest.fixture
def people(db):
    model = get_user_model()
    roles = ("admin", "custodian", "operator", "auditor")
    return {role: model.objects.create_user(f"a-{role}", f"{role}@example.com", role=role) for role in roles}


@pytest.fixture
def admin(client, people):
    client.force_login(people["admin"])
    return client


@pytest.fixture
def webhook(db):
    values = ChannelValues(name="alerts", url="https://alerts.example.com/kmes", rules={"jobs": "error"})
    return channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)


def typed(**changes):
    return {"name": "alerts", "url": "https://alerts.example.com/kmes", "is_enabled": "on", **RULES, **changes}


def rows(event):
    return LogEntry.objects.filter(event=event)


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_only_administrators_manage_channels(role, client, people, webhook):
    client.force_login(people[role])
    for method, path in (("get", ""), ("get", "add/webhook/"), ("post", "add/mail/"), ("get", f"{webhook.pk}/")):
        assert getattr(client, method)(f"/administration/notices/{path}").status_code == 403
    for path in ("edit", "test", "secret", "delete"):
        assert client.post(f"/administration/notices/{webhook.pk}/{path}/").status_code == 403
    assert Channel.objects.count() == 1


def test_a_webhook_shows_its_secret_once(admin):
    answer = admin.post(ADDED, typed())
    channel = Channel.objects.get()
    secret = signatures.signing_key(channel)
    assert secret in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    page = admin.get(channel.get_absolute_url()).content.decode()
    assert secret not in page
    assert channel.key_check in page
    assert channel.rules == {topic.removeprefix("topic_"): "warning" for topic in RULES}
    row = rows("notice.channel_added").get()
    assert row.actor_name == "a-admin"
    assert row.data["host"] == "alerts.example.com"
    assert secret not in repr(row.__dict__)


def test_a_topic_that_a_program_does_not_send_stays_as_it_is(admin, webhook):
    changed = typed(topic_jobs="error")
    del changed["topic_log"]
    former = webhook.rules.get("log", "off")
    assert admin.post(f"{webhook.get_absolute_url()}edit/", changed).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.rules["jobs"], webhook.rules.get("log", "off")) == ("error", former)


def test_a_token_in_a_url_is_not_logged(admin):
    admin.post(ADDED, typed(url="https://alerts.example.com/T0KEN?key=T0KEN"))
    assert "T0KEN" not in repr(rows("notice.channel_added").get().__dict__)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "https://10.0.0.1/"}, "lies inside this network"),
        ({"url": "http://alerts.example.com/"}, "https only"),
        ({"url": "nonsense"}, "Use an https"),
        ({"name": ""}, "required"),
        ({"topic_jobs": "sometimes"}, "valid choice"),
    ],
)
def test_what_can_not_be_used_is_said_at_its_field(changes, text, admin):
    answer = admin.post(ADDED, typed(**changes))
    assert answer.status_code == 422
    assert text in answer.content.decode()
    assert not Channel.objects.exists()


def test_two_channels_of_one_name_are_refused(admin, webhook):
    answer = admin.post(ADDED, typed(name="ALERTS"))
    assert answer.status_code == 422
    assert "exists already" in answer.content.decode()


def test_mail_takes_one_address_a_line_and_says_which_is_none(admin):
    form = {"name": "list", "is_enabled": "on", **RULES}
    refused = admin.post("/administration/notices/add/mail/", {**form, "recipients": "a@example.com\nnobody"})
    assert "nobody is not a mail address" in refused.content.decode()
    admin.post("/administration/notices/add/mail/", {**form, "recipients": "a@example.com\r\nb@example.com\n"})
    assert Channel.objects.get().recipients == ["a@example.com", "b@example.com"]


def test_an_edit_keeps_the_secret_and_is_logged(admin, webhook):
    secret = signatures.signing_key(webhook)
    answer = admin.post(
        f"/administration/notices/{webhook.pk}/edit/", typed(name="new", url="https://b.example.com/", is_enabled="")
    )
    assert answer.status_code == 302
    webhook.refresh_from_db()
    assert (webhook.name, webhook.url, webhook.is_enabled) == ("new", "https://b.example.com/", False)
    assert signatures.signing_key(webhook) == secret
    assert rows("notice.channel_changed").count() == 1


def test_a_new_secret_is_asked_for_then_shown_and_logged_without_it(admin, webhook):
    path = f"/administration/notices/{webhook.pk}/secret/"
    old = signatures.signing_key(webhook)
    assert old not in admin.get(path).content.decode()
    page = admin.post(path).content.decode()
    webhook.refresh_from_db()
    assert signatures.signing_key(webhook) != old
    assert signatures.signing_key(webhook) in page
    assert signatures.signing_key(webhook) not in repr(rows("notice.secret_changed").get().__dict__)


def test_a_test_waits_in_the_delivery_log_and_reaches_no_other_channel(admin, webhook):
    values = ChannelValues(name="other", url="https://b.example.com/", rules=dict.fromkeys(RULES, "info"))
    channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)
    page = admin.post(f"/administration/notices/{webhook.pk}/test/", follow=True).content.decode()
    assert "Test of a notice channel" in page
    assert "Waiting" in page
    assert [delivery.channel for delivery in Delivery.objects.all()] == [webhook]
    assert rows("notice.test_sent").get().actor_name == "a-admin"
    assert "Test of a notice channel" not in admin.get("/notices/").content.decode()


def test_a_channel_that_is_not_in_use_is_not_tested(admin, webhook):
    Channel.objects.update(is_enabled=False)
    page = admin.post(f"/administration/notices/{webhook.pk}/test/", follow=True).content.decode()
    assert "not in use" in page
    assert not Delivery.objects.exists()


def test_deliveries_keep_themselves_fresh(admin, webhook):
    channels.send_test(webhook, actor=SYSTEM)
    path = webhook.get_absolute_url()
    digest = re.search(r"seen=([0-9a-f]{16})", admin.get(path).content.decode())[1]
    headers = {"HX-Request": "true", "HX-Target": "deliveries"}
    assert admin.get(f"{path}?seen={digest}", headers=headers).status_code == 204
    Delivery.objects.update(attempts=1)
    assert "<html" not in admin.get(f"{path}?seen={digest}", headers=headers).content.decode()


def test_a_deleted_channel_is_gone_and_its_row_stays(admin, webhook):
    channels.send_test(webhook, actor=SYSTEM)
    path = f"/administration/notices/{webhook.pk}/delete/"
    assert admin.get(path).status_code == 200
    assert Channel.objects.exists()
    admin.post(path)
    assert admin.get(webhook.get_absolute_url()).status_code == 404
    assert "alerts" not in admin.get("/administration/notices/").content.decode()
    assert admin.post(ADDED, typed()).status_code == 200
    assert rows("notice.channel_deleted").get().message == "Notice channel alerts deleted"


def test_what_waits_for_a_deleted_channel_is_dropped_without_a_further_notice(admin, webhook):
    channels.send_test(webhook, actor=SYSTEM)
    channels.delete_channel(webhook, actor=SYSTEM)
    deliveries.deliver_due()
    assert Delivery.objects.get().state == "failed"
    assert not rows("notice.delivery_failed").exists()


def test_where_the_secret_no_longer_exists_the_page_says_what_to_do(admin, webhook, settings):
    Channel.objects.update(key_check="000000")
    assert "Make a new secret" in admin.get(webhook.get_absolute_url()).content.decode()


def test_a_form_without_its_token_is_refused(people, webhook):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people["admin"])
    for path in ("test", "secret", "delete", "edit"):
        assert strict.post(f"/administration/notices/{webhook.pk}/{path}/").status_code == 403
    assert strict.post("/notices/read/").status_code == 403
    assert strict.post("/notices/mail/", RULES).status_code == 403


def test_everybody_chooses_what_comes_to_their_own_address(client, people):
    client.force_login(people["auditor"])
    page = client.get("/notices/mail/").content.decode()
    assert "auditor@example.com" in page
    client.post("/notices/mail/", {**RULES, "topic_export": "info"})
    own = Channel.objects.get()
    assert (own.user_id, own.kind, own.rules["export"]) == (people["auditor"].pk, "mail", "info")
    assert rows("notice.channel_changed").get().actor_name == "a-auditor"
    client.post("/notices/mail/", {**RULES, "topic_export": "off"})
    assert Channel.objects.get().rules["export"] == "off"
    client.post("/notices/mail/test/")
    assert Delivery.objects.get().channel == own


def test_an_account_without_an_address_is_told_so(client, people):
    get_user_model().objects.update(email="")
    client.force_login(people["auditor"])
    assert "no mail address" in client.get("/notices/mail/").content.decode()


def test_a_personal_channel_is_nobody_elses_business(admin, people):
    own = channels.set_own_mail(people["auditor"].pk, {}, actor=SYSTEM)
    assert admin.get(f"/administration/notices/{own.pk}/").status_code == 404
    assert "user-" not in admin.get("/administration/notices/").content.decode()


def test_channels_are_found_by_a_part_of_name_or_address(admin, webhook):
    values = ChannelValues(name="list", recipients=["ada@example.com", "bea@example.org"], rules={"jobs": "error"})
    channels.add_channel(ChannelKind.MAIL, values, actor=SYSTEM)
    for text, found in (("ALERT", "alerts"), ("/kmes", "alerts"), ("bea@exam", "list")):
        page = admin.get("/administration/notices/", {"q": text}).content.decode()
        assert re.findall(r'<tr[^>]*>.*?<a href="[^"]*">(\w+)</a>', page, re.DOTALL) == [found]
    assert "No channel matches" in admin.get("/administration/notices/?q=nothing").content.decode()


def test_the_pages_cost_few_queries(admin, webhook, django_assert_max_num_queries, monkeypatch):
    monkeypatch.setattr(channels, "MAX_TESTS_OF_A_CHANNEL", 100)
    monkeypatch.setattr(channels, "MAX_TESTS", 100)
    for number in range(20):
        values = ChannelValues(name=f"hook-{number}", url="https://b.example.com/")
        channels.send_test(channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM), actor=SYSTEM)
        channels.send_test(webhook, actor=SYSTEM)
    for path in ("/administration/notices/", webhook.get_absolute_url(), "/notices/mail/"):
        with django_assert_max_num_queries(12):
            assert admin.get(path).status_code == 200
