"""Requests that the web server holds: they take no thread, end when something changes, and keep nobody out."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time

import pytest
from waitress.channel import HTTPChannel

from kmes import web_holds
from kmes.core.holds import ENVIRONMENT_KEY
from kmes.web_holds import Holds, holding
from tests.web_server_in_process import THREADS, ServerInProcess

PATIENCE_SECONDS = 30


class Word:
    """A source whose word a test changes."""

    def __init__(self) -> None:
        self.text = "one"

    def read(self) -> str:
        return self.text


class HoldingConsole(ServerInProcess):
    """An application that holds ``/wait`` while the word is "one", and says how often it was asked."""

    def __init__(self) -> None:
        self.word, self.asked, self.holds = Word(), 0, Holds()
        self.closed = 0
        super().__init__(holding(self.application), self.holds)
        self.holds.start()

    def application(self, environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            self.asked += 1
            offer = environ[ENVIRONMENT_KEY]
            if self.word.read() == "one" and offer.ask(self.word, "one", owner=environ["QUERY_STRING"]):
                start_response("204 No Content", [])
                return Thrown(self)
        start_response("200 OK", [("Content-Length", str(len(self.word.text)))])
        return [self.word.text.encode()]

    def held_count(self) -> int:
        return sum(map(self.holds.is_held, list(self.server.active_channels.values())))

    def stop(self) -> None:
        self.holds.close()
        super().stop()


class Thrown(list):
    """The response of a request that is held; the application learns that it is thrown away."""

    def __init__(self, console: HoldingConsole) -> None:
        super().__init__([b""])
        self.console = console

    def close(self) -> None:
        self.console.closed += 1


@pytest.fixture
def console():
    running = HoldingConsole()
    yield running
    running.stop()


def wait_for(reached) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def waiting(console, count, owner="ada"):
    """Connections whose requests are sent."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _each in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=PATIENCE_SECONDS)
            stack.callback(connection.close)
            connection.request("GET", f"/wait?{owner}")
            connections.append(connection)
        yield connections


def read(connection) -> str:
    return connection.getresponse().read().decode()


def ask_for_page(console) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", "/page")
        return read(connection)


def test_more_requests_than_threads_are_held_and_pages_are_answered_meanwhile(console):
    with waiting(console, 4 * THREADS) as connections:
        wait_for(lambda: console.held_count() == 4 * THREADS)
        assert console.closed == 4 * THREADS
        assert ask_for_page(console) == "one"
        console.word.text = "two"
        assert {read(connection) for connection in connections} == {"two"}


def test_a_connection_goes_on_after_its_request_was_held(console):
    with waiting(console, 1) as (connection,):
        wait_for(lambda: console.held_count() == 1)
        console.word.text = "two"
        assert read(connection) == "two"
        connection.request("GET", "/page")
        assert read(connection) == "two"


def test_a_connection_is_not_overdue_because_its_request_was_held_for_long(console, monkeypatch):
    serve, looked, has_looked = HTTPChannel.service, [], threading.Event()

    def serve_until_looked_at(channel):
        serve(channel)
        looked.clear()
        wait_for(lambda: len(looked) > 2)
        has_looked.set()

    maintenance = console.server.maintenance
    monkeypatch.setattr(console.server, "maintenance", lambda now: (looked.append(now), maintenance(now)))
    monkeypatch.setattr(HTTPChannel, "service", serve_until_looked_at)
    with waiting(console, 1) as (connection,):
        wait_for(lambda: console.held_count() == 1)
        for channel in console.server.active_channels.values():
            channel.owes_since -= 3600
        console.word.text = "two"
        assert read(connection) == "two"
        assert has_looked.wait(PATIENCE_SECONDS)
        connection.request("GET", "/page")
        assert read(connection) == "two"


def test_a_request_is_answered_when_nothing_changes_for_long(console, monkeypatch):
    monkeypatch.setattr("kmes.web_server.HELD_SECONDS", 0.2)
    with waiting(console, 1) as (connection,):
        assert read(connection) == "one"
    assert console.asked >= 2


def test_a_client_that_goes_is_forgotten(console):
    with waiting(console, 3):
        wait_for(lambda: console.held_count() == 3)
    wait_for(lambda: not console.server.active_channels)
    assert console.asked == 3
    assert console.holds.has_room_for("ada")


def test_one_user_has_some_and_all_together_have_so_many(console, monkeypatch):
    monkeypatch.setattr(web_holds, "MAX_HELD", 3)
    monkeypatch.setattr(web_holds, "MAX_HELD_OF_OWNER", 2)
    with waiting(console, 2):
        wait_for(lambda: console.held_count() == 2)
        with waiting(console, 1) as (third,):
            assert read(third) == "one"
        with waiting(console, 1, owner="bob"):
            wait_for(lambda: console.held_count() == 3)
            with waiting(console, 1, owner="cy") as (last,):
                assert read(last) == "one"


def test_a_server_that_stops_lets_all_go_and_holds_none(console):
    with waiting(console, 3) as connections:
        wait_for(lambda: console.held_count() == 3)
        threading.Thread(target=console.holds.close).start()
        assert {read(connection) for connection in connections} == {"one"}
        with waiting(console, 1) as (late,):
            assert read(late) == "one"


def test_a_client_that_sends_more_waits_no_longer(console):
    with waiting(console, 1) as (connection,):
        wait_for(lambda: console.held_count() == 1)
        connection.sock.sendall(b"GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read(connection) == "one"


def test_bytes_that_are_no_request_yet_end_the_wait_once(console):
    with waiting(console, 1) as (connection,):
        wait_for(lambda: console.held_count() == 1)
        for byte in (b"G", b"E", b"T"):
            connection.sock.sendall(byte)
        assert read(connection) == "one"
    assert console.asked == 2


def test_what_can_not_be_read_holds_nobody_for_ever(console, monkeypatch):
    """The thread that looks goes on, also for those who wait for something else."""
    with waiting(console, 2) as (first, second):
        wait_for(lambda: console.held_count() == 2)
        monkeypatch.setattr(console.word, "read", lambda: 1 // 0)
        wait_for(lambda: console.held_count() == 0)
        for connection in (first, second):
            assert connection.getresponse().status == 500
    monkeypatch.undo()
    with waiting(console, 1) as (connection,):
        wait_for(lambda: console.held_count() == 1)
        console.word.text = "two"
        assert read(connection) == "two"
