"""Rows on their way to an HTTP event collector: acknowledged, refused, broken off; and the way of the hints."""

from __future__ import annotations

import http.server
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from jobs.tasks import scan_jobs
from kmes.core.actor import SYSTEM
from kmes.core.secret_types import SecretText
from kmes.dashboard import forwarding_metrics
from logging_reports.forwarding import delivery, destinations, queue
from logging_reports.forwarding.choices import RowFormat, Transport
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogEntry
from tests.http_servers import serving
from tests.log_servers import Authority, make_authority, write_certificate
from tests.logging_reports.forwarding import add, last_row, make_due, turn, turns, write_rows
from tests.logging_reports.report_running import run_reports

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "0c1d2e3f-token-of-the-tests"


@dataclass
class Collector:
    """A collector that answers as Splunk's does. ``statuses`` come first, 0 breaks the connection off after reading."""

    authority: Authority
    port: int = 0
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def events(self) -> list:
        return [json.loads(line) for body in self.bodies for line in body.splitlines()]


@contextmanager
def running_collector(folder: Path) -> Iterator[Collector]:
    state = Collector(make_authority())
    certificate, key = write_certificate(folder, state.authority, "localhost")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = state.statuses.pop(0) if state.statuses else 200
            if self.headers.get("Authorization") != f"Splunk {TOKEN}":
                status = 403
            if self.path != "/services/collector/event":
                status = 404
            if status in {0, 200}:
                state.bodies.append(body)
                state.headers.append(dict(self.headers))
            if status == 0:
                self.close_connection = True
                return
            answer = b'{"text":"Success","code":0}' if status == 200 else b'{"text":"no","code":4}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with serving(Handler, certificate=certificate, key=key) as state.port:
        yield state


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings):
    settings.KMES_FORWARDING_PRIVATE_HOSTS = ["localhost"]


@pytest.fixture
def collector(tmp_path):
    with running_collector(tmp_path) as state:
        yield state


@pytest.fixture
def empty_redis(redis_server):
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield client
        client.flushdb()


def add_collector(collector, **changes):
    given = {
        "transport": Transport.COLLECTOR,
        "row_format": RowFormat.JSON,
        "path": "/services/collector/event",
        "token": SecretText(TOKEN),
        **changes,
    }
    return add(collector, **given)


@pytest.mark.parametrize("form", RowFormat.values)
def test_rows_arrive_in_order_with_the_token(collector, form):
    write_rows(1200)
    destination = add_collector(collector, row_format=form)
    turns(destination)
    events = collector.events()
    assert len(events) == last_row()
    assert collector.headers[0]["Authorization"] == f"Splunk {TOKEN}"
    assert {event["sourcetype"] for event in events} == {"kmes:log"}
    if form == RowFormat.JSON:
        assert [event["event"]["sequence"] for event in events] == list(range(1, last_row() + 1))
        assert [event["event"]["previous_sequence"] for event in events] == list(range(last_row()))
    assert destination.positions.get().confirmed == last_row()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 204, 302])
def test_any_other_answer_acknowledges_nothing(collector, status):
    collector.statuses = [status]
    write_rows(3)
    destination = turn(add_collector(collector))
    assert destination.last_error.startswith(f"The collector answered HTTP {status}")
    assert destination.positions.get().confirmed == 0
    turns(destination)
    assert destination.positions.get().confirmed == last_row()


def test_what_was_taken_without_an_answer_comes_again_as_a_repeat(collector):
    collector.statuses = [0]
    write_rows(3)
    destination = turn(add_collector(collector))
    assert destination.failures == 1
    turns(destination)
    found = [(event["event"]["sequence"], event["event"]["repeat"]) for event in collector.events()]
    count = last_row()
    assert found == [*((n, False) for n in range(1, count + 1)), *((n, True) for n in range(1, count + 1))]


def test_what_was_acknowledged_is_not_repeated_after_a_failure(collector):
    write_rows(3)
    destination = add_collector(collector)
    turns(destination)
    collector.statuses = [503]
    write_rows(1)
    turn(destination)
    turns(destination)
    assert not any(event["event"]["repeat"] for event in collector.events()[: last_row() - 1])
    assert len(collector.events()) == last_row()


def test_a_wrong_token_is_said_and_shown_nowhere(collector):
    write_rows(1)
    destination = turn(add_collector(collector, token=SecretText("wrong-wrong-wrong")))
    assert "403" in destination.last_error
    assert "wrong-wrong" not in destination.last_error


def test_a_test_event_is_acknowledged(collector):
    destination = add_collector(collector)
    turns(destination)
    before = len(collector.events())
    destinations.request_test(destination, actor=SYSTEM)
    turn(destination)
    assert (destination.test_passed, destination.test_result) == (True, "The collector acknowledged the test event.")
    tests = [event["event"] for event in collector.events()[before:] if event["event"]["event"] == "forwarding.test"]
    assert len(tests) == 1
    assert "sequence" not in tests[0]


# --- Hints -----------------------------------------------------------------------------------
def test_a_new_destination_is_served_by_a_real_report_worker(collector, empty_redis):
    write_rows(3)
    add_collector(collector)
    assert run_reports(empty_redis).failed_job_registry.count == 0
    assert len(collector.events()) == last_row()


def test_the_scan_sends_a_hint_only_where_a_row_waits(collector, empty_redis):
    destination = add_collector(collector)
    run_reports(empty_redis)
    assert delivery.find_due() == []
    queue.hint_if_due()
    assert empty_redis.llen("rq:queue:reports") == 0
    write_rows(1)
    queue.hint_if_due()
    queue.hint_if_due()
    assert empty_redis.llen("rq:queue:reports") == 1
    run_reports(empty_redis)
    destination.refresh_from_db()
    assert destination.positions.get().confirmed == last_row()


def test_the_workers_scan_has_new_rows_forwarded_and_raises_the_alarm(collector, empty_redis, settings):
    destination = add_collector(collector)
    run_reports(empty_redis)
    write_rows(2)
    settings.KMES_FORWARDING_ALARM_SECONDS = 0
    scan_jobs()
    assert LogEntry.objects.filter(event="forwarding.behind").count() == 1
    run_reports(empty_redis)
    assert destination.positions.get().confirmed == last_row()
    settings.KMES_FORWARDING_ALARM_SECONDS = 900
    scan_jobs()
    assert LogEntry.objects.filter(event="forwarding.resumed").count() == 1


def test_a_destination_with_more_to_send_gives_way_and_goes_on(collector, empty_redis, monkeypatch):
    monkeypatch.setattr(delivery, "TURN_SECONDS", 0)
    monkeypatch.setitem(delivery.BATCH_ROWS, Transport.COLLECTOR, 2)
    write_rows(7)
    destination = add_collector(collector)
    run_reports(empty_redis)
    assert destination.positions.get().confirmed == last_row()


def test_an_unexpected_error_of_one_destination_is_told_and_holds_up_no_other(collector, monkeypatch):
    write_rows(1)
    broken = add_collector(collector, name="a broken one")
    works = add_collector(collector, name="b")
    broken.positions.all().delete()
    broken.positions.create(service="device", confirmed=0)
    ForwardingDestination.objects.filter(pk=broken.pk).update(test_requested_at=None)
    monkeypatch.setattr(delivery, "_has_waiting", lambda *_: True)
    delivery.deliver_due()
    broken.refresh_from_db()
    assert broken.last_error.startswith("An unexpected error stopped the sending (DoesNotExist).")
    assert works.positions.get().confirmed == last_row()


def test_metrics_tell_the_lag_of_each_destination_in_use(collector):
    write_rows(4)
    destination = add_collector(collector)
    add_collector(collector, name="off", is_enabled=False)
    collector.statuses = [503]
    turn(destination)
    make_due(destination)
    found = {family.name: family.samples for family in forwarding_metrics.collect()}
    (rows,) = found["kmes_forwarding_lag_rows"]
    assert (rows.labels, rows.value) == ({"destination": "siem"}, last_row())
    assert found["kmes_forwarding_lag_seconds"][0].value > 0
    assert found["kmes_forwarding_failing"][0].value == 1
