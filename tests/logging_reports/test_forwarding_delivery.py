"""Rows on their way to real log servers: killed, cut, stuck, with a full disk, with wrong certificates."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from datetime import timedelta

import pytest

from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from logging_reports.forwarding import delivery, destinations, outages, positions, syslog_tls
from logging_reports.forwarding.models import ForwardingDestination, ForwardingPosition
from logging_reports.services import record
from tests.log_servers import KINDS, LogServer, make_authority, write_certificate
from tests.logging_reports.forwarding import add, last_row, make_due, turn, turns, values, write_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def this_machine_is_allowed(settings):
    settings.KMES_FORWARDING_PRIVATE_HOSTS = ["localhost", "127.0.0.1"]


@pytest.fixture(params=KINDS)
def server(request, tmp_path):
    running = LogServer(request.param, tmp_path, make_authority())
    running.start()
    yield running
    running.stop()


@pytest.fixture
def rsyslog(tmp_path):
    running = LogServer("rsyslog", tmp_path, make_authority())
    running.start()
    yield running
    running.stop()


def test_rows_arrive_once_in_order_and_are_confirmed(server):
    write_rows(1200)
    destination = add(server)
    turns(destination)
    last = last_row()
    server.wait_for_lines(last)
    found = server.received()
    assert found.sequences == list(range(1, last + 1))
    assert not any(found.repeats)
    position = destination.positions.get()
    assert (position.confirmed, position.last_sent, position.announced) == (last, last, last)
    assert destination.last_success_at is not None
    assert server.lines()[0].startswith("<110>1 ")


def test_a_destination_can_begin_with_the_next_row(rsyslog):
    write_rows(3)
    destination = add(rsyslog, start="now")
    begun = destination.positions.get().start
    write_rows(2)
    turns(destination)
    lines = rsyslog.wait_for_lines(last_row() - begun)
    assert f'sequence="{begun + 1}" previous="{begun}"' in lines[0]


def test_a_filter_leaves_rows_out_and_each_row_names_the_one_before_it(rsyslog):
    write_rows(2)
    destination = add(rsyslog, lowest_severity="warning", events=["job.cancelled", "job.finished"])
    record("job.cancelled", actor=SYSTEM)
    write_rows(3)
    record("job.cancelled", actor=SYSTEM)
    turns(destination)
    lines = rsyslog.wait_for_lines(2)
    found = [tuple(map(int, re.search(r'sequence="(\d+)" previous="(\d+)"', line).groups())) for line in lines]
    assert found == [(4, 0), (8, 4)]
    assert destination.positions.get().confirmed == last_row()


@pytest.mark.parametrize("queue", ['queue.type="Direct"', 'queue.type="LinkedList"'])
def test_a_server_that_is_killed_in_the_middle_gets_every_row_and_repeats_are_marked(tmp_path, queue, monkeypatch):
    monkeypatch.setitem(delivery.BATCH_ROWS, "syslog", 700)
    server = LogServer("rsyslog", tmp_path, make_authority(), queue=queue)
    server.start()
    write_rows(4000)
    destination = add(server)
    sent = syslog_tls.SyslogConnection.send
    chunks = []

    def send_and_kill(self, messages):
        sent(self, messages)
        chunks.append(1)
        if len(chunks) in (3, 7):
            server.kill()
            server.start()

    monkeypatch.setattr(syslog_tls.SyslogConnection, "send", send_and_kill)
    try:
        turns(destination)
        server.wait_for_lines(last_row())
        deadline = time.monotonic() + 10
        while max(server.received().sequences) < last_row() and time.monotonic() < deadline:
            time.sleep(0.05)
        server.received().assert_complete(last_row())
        assert any(server.received().repeats)
    finally:
        server.stop()


def test_a_syslog_ng_that_is_killed_in_the_middle_gets_every_row(tmp_path, monkeypatch):
    monkeypatch.setitem(delivery.BATCH_ROWS, "syslog", 700)
    server = LogServer("syslog-ng", tmp_path, make_authority())
    server.start()
    write_rows(3000)
    destination = add(server)
    sent, chunks = syslog_tls.SyslogConnection.send, []

    def send_and_kill(self, messages):
        sent(self, messages)
        chunks.append(1)
        if len(chunks) == 4:
            server.kill()
            server.start()

    monkeypatch.setattr(syslog_tls.SyslogConnection, "send", send_and_kill)
    try:
        turns(destination)
        server.wait_for_lines(last_row())
        server.received().assert_complete(last_row())
    finally:
        server.stop()


def test_rows_wait_while_the_server_is_down(rsyslog):
    destination = add(rsyslog)
    turns(destination)
    rsyslog.kill()
    write_rows(5)
    turn(destination)
    assert (destination.failures, destination.last_error[:40]) == (1, "The receiver refuses the connection. Che")
    assert destination.failing_since is not None
    turn(destination)
    assert destination.failures == 2
    rsyslog.start()
    turns(destination)
    assert (destination.failures, destination.last_error, destination.failing_since) == (0, "", None)
    rsyslog.received().assert_complete(last_row())


def test_a_worker_that_dies_after_it_sent_leaves_marked_repeats(rsyslog, monkeypatch):
    write_rows(20)
    destination = add(rsyslog)

    def die(*_arguments, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(positions, "confirm", die)
        with pytest.raises(KeyboardInterrupt):
            delivery.deliver_due()
    turns(destination)
    found = rsyslog.received()
    found.assert_complete(last_row())
    assert len(found.sequences) == 2 * last_row()


def test_a_server_that_stops_reading_is_an_error_and_gets_every_row_later(rsyslog, monkeypatch):
    monkeypatch.setattr(syslog_tls, "STALL_SECONDS", 1)
    write_rows(3000, "x" * 1500)
    destination = add(rsyslog)
    rsyslog.process.send_signal(signal.SIGSTOP)
    turn(destination)
    assert destination.last_error.startswith("The receiver did not answer in time or stopped accepting data.")
    assert destination.positions.get().confirmed == 0
    rsyslog.process.send_signal(signal.SIGCONT)
    turns(destination)
    rsyslog.wait_for_lines(last_row())
    rsyslog.received().assert_complete(last_row())


def test_a_connection_that_drips_is_cut(rsyslog, monkeypatch):
    monkeypatch.setattr(syslog_tls, "HIGHEST_SECONDS", 1)
    write_rows(3)
    destination = add(rsyslog)
    rsyslog.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    turn(destination)
    assert time.monotonic() - begun < 8
    assert destination.last_error.startswith("The receiver did not answer in time")


def test_a_server_whose_disk_is_full_holds_rows_up_and_loses_none(tmp_path, monkeypatch):
    monkeypatch.setattr(syslog_tls, "STALL_SECONDS", 2)
    # A device that is always full; the file takes its place later.
    server = LogServer("syslog-ng", tmp_path, make_authority(), output=tmp_path / "full")
    server.output.symlink_to("/dev/full")
    server.start()
    write_rows(2500, "x" * 1500)
    destination = add(server)
    try:
        turn(destination)
        assert destination.failures == 1
        assert destination.positions.get().confirmed == 0
        server.output.unlink()
        server.kill()
        server.start()
        turns(destination)
        server.wait_for_lines(last_row())
        server.received().assert_complete(last_row())
    finally:
        server.stop()


# --- Ends of connections ---------------------------------------------------------------------
def test_an_end_without_the_servers_close_notify_confirms_nothing(tmp_path):
    """A killed server's kernel ends connections just so."""
    authority = make_authority()
    certificate, key = write_certificate(tmp_path, authority, "localhost")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        raw, _address = listener.accept()
        with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True) as connection:
            while connection.recv(65536):
                pass
            # Only the TCP connection ends.
            socket.socket(fileno=connection.detach()).close()

    thread = threading.Thread(target=serve)
    thread.start()
    server = type("Place", (), {"port": listener.getsockname()[1], "authority": authority})
    write_rows(3)
    destination = add(server)
    try:
        turn(destination)
    finally:
        thread.join()
        listener.close()
    assert destination.last_error.startswith("The receiver broke the connection off")
    assert destination.positions.get().confirmed == 0


# --- Certificates and names ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("names", "is_ended", "is_other", "text"),
    [
        (("other.example.com",), False, False, "Hostname mismatch"),
        (("localhost",), True, False, "certificate has expired"),
        (("localhost",), False, True, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused_before_a_row_is_sent(tmp_path, names, is_ended, is_other, text):
    server = LogServer("rsyslog", tmp_path, make_authority())
    write_certificate(tmp_path, make_authority("Another") if is_other else server.authority, *names, is_ended=is_ended)
    server.start()
    try:
        destination = turn(add(server))
    finally:
        server.stop()
    assert destination.last_error.startswith("The receiver's certificate is not accepted: ")
    assert text in destination.last_error
    assert server.lines() == []


def test_a_name_that_does_not_exist_is_said(rsyslog, settings):
    settings.KMES_FORWARDING_PRIVATE_HOSTS = ["siem.invalid"]
    destination = turn(add(rsyslog, host="siem.invalid"))
    assert destination.last_error.startswith("The host name can't be looked up")


# --- Two workers -----------------------------------------------------------------------------
def test_two_workers_never_send_to_one_destination(rsyslog):
    destination = add(rsyslog)
    assert outages.claim(destination) is not None
    assert outages.claim(destination) is None
    assert delivery.find_due() == []
    ForwardingDestination.objects.update(lease_until=now() - timedelta(seconds=1))
    assert delivery.find_due() != []


def test_a_worker_that_lost_its_claim_moves_no_position(rsyslog):
    write_rows(3)
    destination = add(rsyslog)
    late = outages.claim(destination)
    ForwardingDestination.objects.update(lease_until=now() - timedelta(seconds=1))
    assert outages.claim(destination) is not None
    position = ForwardingPosition.objects.get()
    with pytest.raises(positions.ClaimLostError):
        positions.announce(position, 2, run_number=late.run_number)
    with pytest.raises(positions.ClaimLostError):
        positions.confirm(position, 2, 2, run_number=late.run_number)
    assert not outages.renew(late)
    assert ForwardingPosition.objects.get().confirmed == 0


def test_an_edit_ends_a_run(rsyslog):
    write_rows(3)
    destination = add(rsyslog)
    running = outages.claim(destination)
    destinations.change_destination(destination, values(port=rsyslog.port, host="127.0.0.1"), actor=SYSTEM)
    assert not outages.renew(running)


# --- Repeats ---------------------------------------------------------------------------------
def test_after_a_break_what_was_confirmed_lately_is_sent_again(rsyslog):
    write_rows(10)
    destination = add(rsyslog)
    turns(destination)
    first = last_row()
    rsyslog.kill()
    write_rows(1)
    turn(destination)
    assert destination.positions.get().confirmed == 0
    rsyslog.start()
    turns(destination)
    found = rsyslog.received()
    found.assert_complete(last_row())
    assert found.sequences == [*range(1, first + 1), *range(1, last_row() + 1)]


def test_after_a_break_what_was_confirmed_long_ago_is_not_sent_again(rsyslog):
    write_rows(10)
    destination = add(rsyslog)
    turns(destination)
    first = last_row()
    ForwardingPosition.objects.update(settling_since=now() - timedelta(minutes=2))
    rsyslog.kill()
    write_rows(1)
    make_due(destination)
    turn(destination)
    assert destination.positions.get().confirmed == first


def test_rows_are_sent_again_from_a_row_on(rsyslog):
    write_rows(10)
    destination = add(rsyslog)
    turns(destination)
    count = len(rsyslog.lines())
    destinations.send_again(destination, "audit", 5, actor=SYSTEM)
    destination.refresh_from_db()
    turns(destination)
    found = rsyslog.received()
    found.assert_complete(last_row())
    assert found.sequences[count] == 5
    assert found.repeats[count]


def test_a_destination_that_is_not_in_use_gets_nothing(rsyslog):
    destination = add(rsyslog, is_enabled=False)
    turn(destination)
    assert rsyslog.lines() == []


def test_one_destination_that_fails_does_not_hold_up_another(rsyslog):
    dead = add(rsyslog, name="dead", port=1)
    alive = add(rsyslog)
    write_rows(2)
    delivery.deliver_due()
    dead.refresh_from_db()
    assert dead.failures == 1
    turns(alive)
    rsyslog.received().assert_complete(last_row())


# --- Tests of a destination ------------------------------------------------------------------
def test_a_test_event_is_sent_and_its_outcome_told(server):
    destination = add(server, is_enabled=False)
    destinations.request_test(destination, actor=SYSTEM)
    turn(destination)
    assert (destination.test_passed, destination.test_result) == (True, "The server read the test event.")
    (line,) = server.wait_for_lines(1)
    assert "forwarding.test" in line
    assert "sequence=" not in line


def test_a_test_that_fails_says_why(rsyslog):
    destination = add(rsyslog, is_enabled=False)
    rsyslog.kill()
    destinations.request_test(destination, actor=SYSTEM)
    turn(destination)
    assert not destination.test_passed
    assert destination.test_result.startswith("The receiver refuses the connection.")
    assert destination.failures == 0
