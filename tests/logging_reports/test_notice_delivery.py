"""What leaves the console: by a real report worker, real Redis, to a real receiver and mail server."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from django.contrib.auth import get_user_model

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.errors import InputError
from logging_reports.models import Channel, Delivery, LogEntry, Notice
from logging_reports.notices import addresses, channels, deliveries, queue, signing
from logging_reports.notices.channels import ChannelValues
from logging_reports.notices.choices import ChannelKind
from logging_reports.services import record
from tests.logging_reports.receiver import running_mailbox, running_receiver

DOCS = Path(__file__).resolve().parents[2] / "docs" / "notices.md"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def development_settings(settings):
    """Loopback receivers, and the retries of the product."""
    settings.KMES_WEBHOOK_ALLOW_HTTP = True
    settings.KMES_PUBLIC_URL = "https://kmes.example.com/"


@pytest.fixture
def empty_redis(redis_server):
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def receiver():
    with running_receiver() as state:
        yield state


@pytest.fixture
def mailbox(settings):
    with running_mailbox() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.EMAIL_USE_TLS = False
        settings.DEFAULT_FROM_EMAIL = "kmes@example.com"
        yield box


def make_webhook(url, **changes):
    values = ChannelValues(name="hook", url=url, rules={"jobs": "warning"}, **changes)
    return channels.add_channel(ChannelKind.WEBHOOK, values, actor=SYSTEM)


def make_mail(recipients):
    values = ChannelValues(name="list", recipients=recipients, rules={"jobs": "warning"})
    return channels.add_channel(ChannelKind.MAIL, values, actor=SYSTEM)


def fail_job(message="Synchronize payments: the vault said no"):
    return record("job.failed", actor=SYSTEM, message=message, job_id=uuid4(), job_code="7F3KQ2")


def run_worker(client) -> None:
    """Let a real report worker do what lies in its queue."""
    from rq import Queue, SimpleWorker

    reports = Queue(queue.QUEUE, connection=client)
    SimpleWorker([reports], connection=client).work(burst=True, logging_level="ERROR")
    assert reports.failed_job_registry.count == 0


def make_due() -> None:
    Delivery.objects.filter(state="waiting").update(next_try_at=now() - timedelta(seconds=1))


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
    assert request.headers["X-KMES-Signature"] == signing.sign(signing.signing_key(channel), int(stamp), request.body)
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
    secret, is_genuine = signing.signing_key(channel), scope["is_genuine"]
    assert is_genuine(secret, request.headers, request.body)
    assert not is_genuine(secret, request.headers, request.body + b" ")
    assert not is_genuine(secret + "x", request.headers, request.body)
    late = {**request.headers, "X-KMES-Timestamp": str(int(request.headers["X-KMES-Timestamp"]) - 3600)}
    assert not is_genuine(secret, late, request.body)
    resigned = {**late, "X-KMES-Signature": signing.sign(secret, int(late["X-KMES-Timestamp"]), request.body)}
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
    from jobs.scans import poke_notices

    poke_notices()
    run_worker(empty_redis)
    assert len(receiver.received) == 1
    poke_notices()
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
    from django.db import connection

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
    from logging_reports.notices import webhooks

    monkeypatch.setattr(webhooks, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _address = listener.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 ")
                    for _turn in range(100):
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
        assert time.monotonic() - began < 5
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
    old = signing.signing_key(channel)
    fail_job()
    new = channels.renew_secret(channel, actor=SYSTEM)
    assert new != old
    deliveries.deliver_due()
    (request,) = receiver.received
    stamp = int(request.headers["X-KMES-Timestamp"])
    assert request.headers["X-KMES-Signature"] == signing.sign(new, stamp, request.body)


def test_no_row_holds_the_secret(receiver):
    from django.apps import apps

    channel = make_webhook(receiver.url)
    secret = signing.signing_key(channel)
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


# --- Addresses -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.7/",
        "https://192.168.1.1:8443/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.7]/",
        "https://[64:ff9b::a00:7]/",
        "https://[2002:a00:7::]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "http://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "https://example.com/#x",
        "https://example.com:99999/",
        "https://",
        "//example.com/",
        "https://exa mple.com/",
        "https://exämple.com/",
        "https://example.com/\r\nX-A: b",
    ],
)
def test_a_url_that_leads_inside_or_is_none_is_refused(url, settings):
    settings.KMES_WEBHOOK_ALLOW_HTTP = False
    with pytest.raises(InputError):
        addresses.parse(url)


@pytest.mark.parametrize("url", ["https://example.com", "https://93.184.216.34/x?y=1", "https://example.com:8443/a"])
def test_a_public_https_url_is_taken(url):
    assert addresses.parse(url).scheme == "https"


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1", "169.254.169.254", "127.0.0.1", "::1"])
def test_a_host_that_turns_out_to_lie_inside_is_refused_when_something_is_sent(address, settings, monkeypatch):
    settings.KMES_WEBHOOK_ALLOW_HTTP = False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answers = [(socket.AF_INET, 1, 6, "", ("93.184.216.34", 443)), (family, 1, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: answers)
    make_webhook("https://inside.example.com/")
    fail_job()
    deliveries.deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert address in delivery.last_answer


def test_a_named_private_host_is_allowed_but_never_a_link_local_address(settings):
    settings.KMES_WEBHOOK_PRIVATE_HOSTS = ["alerts.corp", "10.1.2.3", "169.254.169.254"]
    assert addresses.parse("https://10.1.2.3/").host == "10.1.2.3"
    for url in ("https://169.254.169.254/", "https://10.1.2.4/"):
        with pytest.raises(InputError):
            addresses.parse(url)


def test_a_host_nobody_knows_is_tried_again(settings):
    make_webhook("https://nowhere.invalid/")
    fail_job()
    deliveries.deliver_due()
    assert Delivery.objects.get().state == "waiting"


# --- TLS -------------------------------------------------------------------------------------
def test_https_checks_the_receivers_certificate_by_name(settings, tmp_path):
    from tests.logging_reports.certificates import serve_tls

    with serve_tls(tmp_path, "localhost") as (port, ca_file, received):
        make_webhook(f"https://localhost:{port}/")
        fail_job()
        deliveries.deliver_due()
        assert received == []
        assert "certificate" in Delivery.objects.get().last_answer.lower()
        settings.KMES_WEBHOOK_CA_FILE = str(ca_file)
        make_due()
        deliveries.deliver_due()
        assert len(received) == 1
    assert Delivery.objects.get().state == "delivered"


def test_a_certificate_for_another_name_is_refused(settings, tmp_path):
    from tests.logging_reports.certificates import serve_tls

    with serve_tls(tmp_path, "other.example.com") as (port, ca_file, received):
        settings.KMES_WEBHOOK_CA_FILE = str(ca_file)
        make_webhook(f"https://localhost:{port}/")
        fail_job()
        deliveries.deliver_due()
        assert received == []


# --- Mail ------------------------------------------------------------------------------------
def parse_mail(text):
    return message_from_bytes(text.encode(), policy=policy.default)


def test_a_mail_reaches_all_recipients_with_a_link(mailbox, empty_redis):
    make_mail(["ann@example.com", "bob@example.com"])
    fail_job("Synchronize paymentsö: no")
    run_worker(empty_redis)
    ((sender, recipients, text),) = mailbox.messages
    mail = parse_mail(text)
    assert (sender, recipients) == ("kmes@example.com", ["ann@example.com", "bob@example.com"])
    assert mail["Subject"] == "[KMES] Error: Job failed"
    assert mail["Message-ID"] == f"<{Delivery.objects.get().pk}@kmes>"
    body = mail.get_body().get_content()
    assert "Synchronize paymentsö: no" in body
    assert "https://kmes.example.com/jobs/7F3KQ2/" in body


def test_a_mail_server_that_is_busy_is_asked_again(mailbox):
    make_mail(["ann@example.com"])
    mailbox.refuse = 1
    fail_job()
    deliveries.deliver_due()
    assert "451" in Delivery.objects.get().last_answer
    make_due()
    deliveries.deliver_due()
    assert len(mailbox.messages) == 1
    assert Delivery.objects.get().state == "delivered"


def test_without_a_mail_server_it_says_what_to_set():
    make_mail(["ann@example.com"])
    fail_job()
    deliveries.deliver_due()
    delivery = Delivery.objects.get()
    assert delivery.state == "failed"
    assert "KMES_EMAIL_HOST" in delivery.last_answer


def test_a_personal_mail_goes_to_the_accounts_address_and_stops_with_the_account(mailbox):
    user = get_user_model().objects.create_user("ann", role="auditor", email="old@example.com")
    channels.set_own_mail(user.pk, {"jobs": "error"}, actor=SYSTEM)
    user.email = "ann@example.com"
    user.save()
    fail_job()
    deliveries.deliver_due()
    assert [recipients for _sender, recipients, _text in mailbox.messages] == [["ann@example.com"]]
    user.is_active = False
    user.save()
    fail_job()
    deliveries.deliver_due()
    assert len(mailbox.messages) == 1


def test_a_line_break_in_a_message_makes_no_header(mailbox):
    make_mail(["ann@example.com"])
    fail_job("x\r\nBcc: eve@example.com")
    deliveries.deliver_due()
    ((_sender, recipients, text),) = mailbox.messages
    assert recipients == ["ann@example.com"]
    assert parse_mail(text)["Bcc"] is None
