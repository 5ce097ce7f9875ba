"""What leaves the console: by a real report worker, real Redis, to a real receiver."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

from jobs.schedule.scans import hint_due_deliveries
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.models import Channel, Delivery, LogEntry, Notice
from logging_reports.notices import channels, deliveries, queue, signatures, webhooks
from tests.logging_reports.notice_sending import (
    development_settings,
    empty_redis,
    fail_job,
    make_due,
    make_webhook,
    receiver,
    run_worker,
)
from tests.logging_reports.receiver import running_receiver

__all__ = ["development_settings", "empty_redis", "receiver"]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "notices.md"
pytestmark = pytest.mark.django_db(transaction=True)


# --- Webhooks --------------------------------------------------------------------------------
def test_a_webhook_gets_the_notice_with_a_signature_its_receiver_can_check(receiver, empty_redis):
    channel = make_webhook(receiver.url)
    row = fail_job()
    run_worker(empty_redis)
    (request,) = receiver.received
    body = json.loads(request.body)
    delivery = Delivery.objects.get()
    assert request.path == "/hook?team=a"
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-KMES-Delivery"] == body["id"] == str(delivery.pk)
    assert body["url"] == "https://kmes.example.com/jobs/7F3KQ2/"
    assert (body["event"], body["severity"], body["message"]) == ("job.failed", "error", row.message)
    assert body["log"] == {"service": "audit", "sequence": row.sequence}
    stamp = request.headers["X-KMES-Timestamp"]
    assert abs(time.time() - int(stamp)) < 60
    assert request.headers["X-KMES-Signature"] == signatures.sign(
        signatures.signing_key(channel), int(stamp), request.body
    )
    assert (delivery.state, delivery.attempts, delivery.last_answer) == ("delivered", 1, "HTTP 204 No Content")


def test_the_example_in_the_documentation_accepts_what_is_sent_and_nothing_else(receiver, empty_redis):
    channel = make_webhook(receiver.url)
    fail_job("with umlauts: äöü")
    run_worker(empty_redis)
    example = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert example is not None
    scope: dict = {}
    exec(example[1], scope)  # noqa: S102 - our own documentation
    (request,) = receiver.received
    secret, is_genuine = signatures.signing_key(channel), scope["is_genuine"]
    assert is_genuine(secret, request.headers, request.body)
    assert not is_genuine(secret, request.headers, request.body + b" ")
    assert not is_genuine(secret + "x", request.headers, request.body)
    late = {**request.headers, "X-KMES-Timestamp": str(int(request.headers["X-KMES-Timestamp"]) - 3600)}
    assert not is_genuine(secret, late, request.body)
    resigned = {**late, "X-KMES-Signature": signatures.sign(secret, int(late["X-KMES-Timestamp"]), request.body)}
    assert not is_genuine(secret, resigned, request.body)


def test_a_refused_notice_is_tried_again_later_under_the_same_id(receiver, empty_redis):
    make_webhook(receiver.url)
    receiver.statuses = [500, 503]
    fail_job()
    run_worker(empty_redis)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("waiting", 1)
    assert "HTTP 500" in delivery.last_answer
    assert timedelta(seconds=20) < delivery.next_try_at - now() <= timedelta(seconds=30)
    assert deliveries.deliver_due() == 0
    for _turn in range(2):
        make_due()
        queue.hint()
        run_worker(empty_redis)
    assert len({request.headers["X-KMES-Delivery"] for request in receiver.received}) == 1
    assert len(receiver.received) == 3
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 3)


def test_after_five_tries_within_an_hour_it_is_given_up_and_the_bell_says_so(receiver, settings):
    make_webhook(receiver.url)
    receiver.statuses = [500] * 9
    fail_job()
    waited = timedelta()
    for _turn in range(8):
        make_due()
        deliveries.deliver_due()
        delivery = Delivery.objects.get()
        if delivery.state == "waiting":
            waited += delivery.next_try_at - now()
    assert (delivery.state, delivery.attempts, len(receiver.received)) == ("failed", 5, 5)
    assert timedelta(minutes=45) < waited < timedelta(hours=1)
    told = Notice.objects.get(topic="delivery")
    assert "HTTP 500" in told.message
    assert LogEntry.objects.get(event="notice.delivery_failed").data["tries"] == 5


def test_a_redis_that_lost_everything_only_delays(receiver, empty_redis):
    make_webhook(receiver.url)
    fail_job()
    assert empty_redis.keys("rq:*")
    empty_redis.flushdb()
    run_worker(empty_redis)
    assert receiver.received == []
    hint_due_deliveries()
    run_worker(empty_redis)
    assert len(receiver.received) == 1
    hint_due_deliveries()
    assert empty_redis.llen("rq:queue:reports") == 0


def test_a_redis_out_of_reach_stops_neither_the_job_nor_the_notice(receiver, settings):
    settings.KMES_REDIS_URL = "redis://127.0.0.1:1/0"
    make_webhook(receiver.url)
    fail_job()
    assert deliveries.has_due()


def test_a_redis_that_does_not_answer_holds_a_writer_up_for_seconds_only(receiver, settings):
    make_webhook(receiver.url)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        settings.KMES_REDIS_URL = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        began = time.monotonic()
        fail_job()
        assert time.monotonic() - began < 15
    assert deliveries.has_due()


def test_many_notices_put_one_hint_into_the_queue(receiver, empty_redis):
    make_webhook(receiver.url)
    for _turn in range(5):
        fail_job()
    assert empty_redis.llen("rq:queue:reports") == 1
    run_worker(empty_redis)
    assert len(receiver.received) == 5


def test_a_worker_that_died_while_sending_is_followed_by_another_try(receiver):
    make_webhook(receiver.url)
    fail_job()
    assert deliveries.claim(Delivery.objects.get().pk) is not None
    assert deliveries.deliver_due() == 0
    Delivery.objects.update(lease_until=now() - timedelta(seconds=1))
    assert deliveries.deliver_due() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


def test_two_workers_send_one_notice_once(receiver):
    make_webhook(receiver.url)
    for _turn in range(6):
        fail_job()

    def work():
        deliveries.deliver_due()
        connection.close()

    threads = [threading.Thread(target=work) for _turn in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [request.headers["X-KMES-Delivery"] for request in receiver.received]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 6


def test_a_dead_receiver_gets_one_try_a_round_and_holds_up_nobody(receiver):
    dead = make_webhook("http://127.0.0.1:1/")
    for _turn in range(4):
        fail_job()
    Channel.objects.filter(pk=dead.pk).update(name="dead")
    make_webhook(receiver.url)
    fail_job()
    assert deliveries.deliver_due() == 2
    assert len(receiver.received) == 1


def test_a_receiver_that_drips_is_cut_off(monkeypatch):
    monkeypatch.setattr(webhooks, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _address = listener.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 ")
                    for _turn in range(600):
                        time.sleep(0.1)
                        connection.sendall(b"2")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        make_webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        fail_job()
        began = time.monotonic()
        deliveries.deliver_due()
        assert time.monotonic() - began < 30
        thread.join()
    assert Delivery.objects.get().state == "waiting"


def test_a_redirect_is_not_followed(receiver):
    with running_receiver() as other:
        receiver.statuses, receiver.headers = [302], {"Location": other.url}
        make_webhook(receiver.url)
        fail_job()
        deliveries.deliver_due()
        assert other.received == []
    assert "redirects are not followed" in Delivery.objects.get().last_answer


def test_a_channel_switched_off_meanwhile_sends_nothing(receiver):
    make_webhook(receiver.url)
    fail_job()
    Channel.objects.update(is_enabled=False)
    deliveries.deliver_due()
    assert receiver.received == []
    assert Delivery.objects.get().state == "failed"


# --- Secrets ---------------------------------------------------------------------------------
def test_a_new_secret_signs_what_waits_and_the_old_one_signs_nothing(receiver):
    channel = make_webhook(receiver.url)
    old = signatures.signing_key(channel)
    fail_job()
    new = channels.renew_secret(channel, actor=SYSTEM)
    assert new != old
    deliveries.deliver_due()
    (request,) = receiver.received
    stamp = int(request.headers["X-KMES-Timestamp"])
    assert request.headers["X-KMES-Signature"] == signatures.sign(new, stamp, request.body)


def test_no_row_holds_the_secret(receiver):
    channel = make_webhook(receiver.url)
    secret = signatures.signing_key(channel)
    fail_job()
    deliveries.deliver_due()
    for model in (model for model in apps.get_models() if model._meta.managed):
        assert secret not in repr(list(model.objects.values()))


def test_where_the_consoles_key_has_changed_nothing_leaves_with_a_wrong_signature(receiver, settings):
    make_webhook(receiver.url)
    settings.SECRET_KEY = "another key than before"
    fail_job()
    deliveries.deliver_due()
    assert receiver.received == []
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert "new secret" in delivery.last_answer
