"""Somebody on the network without an account: keeps no thread, no memory and no disk of the console."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import socket
import subprocess
import threading
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from kmes import web_server
from kmes.devtools.fuzz import raw
from kmes.supervision.instance import Instance
from kmes.supervision.processes import process_specs, write_redis_configuration
from tests import services
from tests.web_server_in_process import ServerInProcess

SOCKETS = 500
RAW_REQUESTS = 400
HOST = b"Host: 127.0.0.1\r\n"
# What a client leaves unfinished.
UNFINISHED = {
    "nothing": b"",
    "a header": b"GET / HTTP/1.1\r\n" + HOST,
    "a body": b"POST /login/ HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\nx",
}


def get(port: int, path: str = "/healthz", seconds: float = 30) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def held(port: int, sent: bytes, count: int):
    """Hold connections open on which a request never ends."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for each in found:
            each.sendall(sent)
        yield found


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The web process as ``make run`` starts it; yields its port."""
    folder, port = tmp_path_factory.mktemp("web"), services.free_port()
    given = {"KMES_STATE_DIR": str(folder), "KMES_PORT": str(port), "PATH": os.environ["PATH"]}
    instance = Instance.from_environment(given)
    instance.make_folders()
    write_redis_configuration(instance)
    (spec,) = [spec for spec in process_specs(instance) if spec.name == "web"]
    log = folder / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            spec.command, env=dict(spec.environment), cwd=services.ROOT, stdout=output, stderr=output
        )
    try:
        services.wait_until(lambda: services.listens(port), process, log)
        yield port
    finally:
        services.stop(process)


@pytest.mark.parametrize("kind", UNFINISHED)
def test_the_console_answers_beside_hundreds_of_unfinished_requests(web, kind):
    with held(web, UNFINISHED[kind], SOCKETS):
        assert [get(web) for _ in range(10)] == [200] * 10


def test_a_body_of_any_size_is_refused_before_it_is_received(web):
    with socket.create_connection(("127.0.0.1", web)) as client:
        client.sendall(b"POST /login/ HTTP/1.1\r\n" + HOST + b"Content-Length: 400000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"])
@pytest.mark.parametrize("length", [b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_only_a_post_has_a_body(web, method, length):
    with socket.create_connection(("127.0.0.1", web)) as client:
        client.sendall(method + b" /login/ HTTP/1.1\r\n" + HOST + length + b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("other", [b"Content-Length: 5\r\n", b"Content-Length: 0\r\n"])
def test_a_body_has_one_length_and_nothing_is_smuggled_behind_it(console, other):
    both = b"POST / HTTP/1.1\r\n" + HOST + other + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", console.port), timeout=30) as client:
        client.sendall(both + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert (answer[:13], answer.count(b"HTTP/1.1 ")) == (b"HTTP/1.1 400 ", 1)


@pytest.mark.parametrize("version", [b"1.0", b"1.2", b"2.0"])
@pytest.mark.parametrize("length", [b"", b"Content-Length: 0\r\n"])
def test_a_transfer_encoding_of_another_version_is_refused_and_not_passed_over(console, version, length):
    head = b"POST / HTTP/" + version + b"\r\n" + HOST + b"Connection: keep-alive\r\n" + length
    with socket.create_connection(("127.0.0.1", console.port), timeout=30) as client:
        client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert (answer[8:13], answer.count(b"HTTP/1.")) == (b" 400 ", 1)


def test_a_chunked_body_ends_where_any_other_would(web):
    with socket.create_connection(("127.0.0.1", web)) as client:
        client.sendall(b"POST /login/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_bytes_that_are_no_request_are_refused_and_harm_nobody(web):
    seen = set()
    for number in range(RAW_REQUESTS):
        # Pages that need no database, which the process does not have here.
        sent = raw.draw(random.Random(number), ("/healthz", "/nowhere/"))
        found, answer = raw.statuses(web, sent)
        seen.update(found)
        # 501: a transfer encoding that nobody knows (RFC 9112, section 6.1).
        assert all(status < 500 or status == 501 for status in found), (number, sent[:300], answer[:300])
        assert b"Traceback" not in answer, (number, sent[:300])
    assert {200, 400, 404, 413, 431} <= seen
    assert get(web) == 200


@pytest.mark.django_db
def test_no_page_takes_more_files_than_the_one_form_that_has_one(client):
    files = {name: SimpleUploadedFile("a.bin", b"x" * 10) for name in ("one", "two")}
    assert client.post("/login/", files).status_code == 400


# --- The server by itself, with short deadlines -----------------------------------------------
class Console(ServerInProcess):
    """The server before an application that waits when told."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.answer = b"ok"
        self.has_answered = threading.Event()
        super().__init__(self.wait_and_answer)

    def wait_and_answer(self, environ, start_response):
        self.go_on.wait(30)
        self.has_answered.set()
        start_response("200 OK", [("Content-Length", str(len(self.answer)))])
        return [self.answer]

    def stop(self) -> None:
        self.go_on.set()
        super().stop()


@pytest.fixture
def console():
    running = Console()
    yield running
    running.stop()


def is_closed(client: socket.socket) -> bool:
    client.settimeout(30)
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("kind", UNFINISHED)
def test_a_request_that_does_not_end_in_time_ends_its_connection(console, kind, monkeypatch):
    monkeypatch.setattr(web_server, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.2)
    with held(console.port, UNFINISHED[kind], 3) as clients:
        assert all(map(is_closed, clients))


def test_a_client_that_drips_gains_no_time(console, monkeypatch):
    monkeypatch.setattr(web_server, "HEADER_SECONDS", 0.3)
    with held(console.port, UNFINISHED["a header"], 1) as (client,):
        deadline = time.monotonic() + 30
        with pytest.raises(OSError, match=r"reset|pipe"):
            while time.monotonic() < deadline:
                client.sendall(b"X-A: b\r\n")
                time.sleep(0.01)


def test_an_answer_that_takes_long_is_waited_for(console, monkeypatch):
    monkeypatch.setattr(web_server, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.1)
    console.go_on.clear()
    with held(console.port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 1) as (client,):
        time.sleep(0.5)
        console.go_on.set()
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_is_not_read_ends_its_connection(console, monkeypatch):
    monkeypatch.setattr(web_server, "STALLED_SECONDS", 0.2)
    console.answer = b"x" * 30_000_000
    with held(console.port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 1):
        deadline = time.monotonic() + 30
        while not console.has_answered.is_set() or console.server.active_channels:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_too_many_connections_cost_the_address_that_has_the_most(console, monkeypatch):
    monkeypatch.setattr(web_server, "MAX_CONNECTIONS", 5)
    with held(console.port, b"GET / HTTP/1.1\r\n" + HOST, 20) as clients:
        assert get(console.port, "/") == 200
        assert is_closed(clients[0])


def test_a_request_that_is_being_answered_is_not_closed_for_others(console, monkeypatch):
    monkeypatch.setattr(web_server, "MAX_CONNECTIONS", 2)
    console.go_on.clear()
    whole = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    with held(console.port, whole, 1) as (served,), held(console.port, b"", 10) as others:
        assert is_closed(others[0])
        console.go_on.set()
        assert served.recv(100).startswith(b"HTTP/1.1 200 ")


def test_unfinished_bodies_together_hold_little_memory(console, monkeypatch):
    monkeypatch.setattr(web_server, "MAX_UNFINISHED_BYTES", 200_000)
    begun = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n" + b"x" * 90_000
    with held(console.port, b"", 8) as clients:
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(begun)
        # Two fit; the one whose bytes go beyond the limit is closed.
        assert is_closed(clients[2])
