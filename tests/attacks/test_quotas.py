"""A user who asks for a lot: exports, tests of channels and saved views have limits, and say what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from kmes.core.actor import Actor, Trigger
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.ui import saved_views
from kmes.ui.models import SavedView
from logging_reports import export_lifecycle
from logging_reports.models import LogExport
from logging_reports.notices import channels
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import ChannelKind
from logging_reports.notices.models import Delivery
from logging_reports.selectors import LogFilter

pytestmark = pytest.mark.django_db
ANN = Actor("ann", Trigger.USER, 7)


def ask(actor=ANN) -> LogExport:
    return export_lifecycle.request(LogFilter(), form="csv", query="", actor=actor)


def make_channel(name="hook"):
    values = ChannelValues(name=name, url="https://alerts.example.com/", rules={"jobs": "warning"})
    return channels.add_channel(ChannelKind.WEBHOOK, values, actor=ANN)


def test_a_user_has_few_exports_that_are_not_done(client):
    first = ask()
    for _more in range(export_lifecycle.MAX_OPEN_OF_A_USER - 1):
        ask()
    with pytest.raises(ConflictError, match="cancel one"):
        ask()
    assert ask(Actor("bob", Trigger.USER, 8))
    export_lifecycle.cancel(first, actor=ANN)
    assert ask()


def test_all_users_together_have_few_exports_that_are_not_done():
    for number in range(export_lifecycle.MAX_OPEN):
        ask(Actor(f"user{number}", Trigger.USER, 100 + number))
    with pytest.raises(ConflictError):
        ask()


def test_an_export_that_the_queue_lost_takes_no_place_for_good():
    ask()
    with time_machine.travel(now() + export_lifecycle.LOST_AFTER - timedelta(minutes=1)):
        assert export_lifecycle.fail_abandoned() == 0
    with time_machine.travel(now() + export_lifecycle.LOST_AFTER + timedelta(minutes=1)):
        assert export_lifecycle.fail_abandoned() == 1
    assert LogExport.objects.get().state == "failed"


def test_the_page_says_that_there_are_too_many_exports(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("audra", role="auditor"))
    for number in range(export_lifecycle.MAX_OPEN):
        ask(Actor(f"user{number}", Trigger.USER, 100 + number))
    answer = client.post("/logs/exports/start/", {"service": "azure"}, follow=True)
    assert "Too many exports are not done yet" in answer.content.decode()
    assert LogExport.objects.count() == export_lifecycle.MAX_OPEN


def test_a_channel_is_tested_a_few_times_in_a_while():
    channel = make_channel()
    for _time in range(channels.MAX_TESTS_OF_A_CHANNEL):
        channels.send_test(channel, actor=ANN)
    with pytest.raises(ConflictError, match="Wait"):
        channels.send_test(channel, actor=ANN)
    assert channels.send_test(make_channel("another"), actor=ANN)
    with time_machine.travel(now() + channels.TEST_WINDOW + timedelta(seconds=1)):
        assert channels.send_test(channel, actor=ANN)


def test_many_channels_do_not_make_many_tests():
    for number in range(channels.MAX_TESTS):
        channels.send_test(make_channel(f"hook{number}"), actor=ANN)
    with pytest.raises(ConflictError):
        channels.send_test(make_channel(), actor=ANN)
    assert Delivery.objects.count() == channels.MAX_TESTS


def test_a_user_saves_so_many_views_and_can_change_them_all(client, django_user_model, monkeypatch):
    monkeypatch.setattr(saved_views, "MAX_OWN_VIEWS", 3)
    ada = django_user_model.objects.create_user("ada", role="admin")
    client.force_login(ada)

    def save(name):
        return client.post("/preferences/tables/jobs/views/", {"name": name, "back": "/jobs/", "do": "save"})

    for number in range(5):
        save(f"view{number}")
    assert SavedView.objects.filter(owner=ada).count() == 3
    assert "3 views of yours already" in save("one more").content.decode()
    assert save("VIEW1").status_code == 302
