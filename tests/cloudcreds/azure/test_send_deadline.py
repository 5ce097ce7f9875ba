"""A mutating request is sent before its deadline or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from cloudcreds.provider import send_deadline
from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.send_deadline import SendBy, allowed_until

EXPIRES = datetime(2040, 1, 1, tzinfo=UTC)


def _make(gateway):
    return gateway.create_kek("kmes-kek-late", 2048, expires_on=EXPIRES, tags={})


def test_a_request_whose_time_is_over_is_never_sent(azure):
    gateway = azure.gateway()
    gateway._backoff.before_send = lambda: SendBy.within(-1)
    with pytest.raises(CloudError) as caught:
        _make(gateway)
    assert (caught.value.kind, caught.value.effect_unknown) == (CloudErrorKind.TOO_LATE, False)
    assert azure.asked("POST", "/create") == []


def test_what_came_too_late_is_sent_once_its_time_was_renewed(azure):
    moments = iter([SendBy.within(-1), SendBy.within(30)])
    gateway = azure.gateway(budget=30)
    gateway._backoff.before_send = lambda: next(moments)
    assert _make(gateway).name == "kmes-kek-late"
    assert len(azure.asked("POST", "/create")) == 1


def test_each_try_after_a_throttled_one_asks_again_for_its_time(azure):
    asked = []

    def before_send():
        asked.append(len(asked))
        return SendBy.within(30)

    azure.fault(method="POST", path="/keys/kmes-kek-late/create", status=429, retry_after=0, count=2)
    gateway = azure.gateway(budget=30)
    gateway._backoff.before_send = before_send
    _make(gateway)
    assert len(asked) == 3


def test_the_check_comes_after_the_handshake_when_the_bytes_are_about_to_go(azure, settings):
    """Whoever stands still between the check of the job and the connection's write sends nothing."""
    gateway = azure.gateway()
    gateway.get_token()
    stood_still = []

    def stand_still(moment):
        if moment == "azure.sending_post":
            stood_still.append(moment)
            send_deadline._current.send_by = SendBy.within(-1)

    settings.KMES_FAILPOINTS = stand_still
    gateway._backoff.before_send = lambda: SendBy.within(30)
    with pytest.raises(CloudError):
        _make(gateway)
    assert stood_still
    assert azure.asked("POST", "/create") == []


def test_reading_is_not_held_up(azure):
    with allowed_until(SendBy.within(-1)):
        assert azure.gateway().list_versions("nothing") == []


def test_a_clock_that_was_set_back_gives_no_more_time(monkeypatch):
    send_by = send_deadline.SendBy.within(10)
    real = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: real - timedelta(hours=1))
    assert send_by.seconds_left() <= 10
    monkeypatch.setattr(timezone, "now", lambda: real + timedelta(hours=1))
    assert send_by.seconds_left() < 0
