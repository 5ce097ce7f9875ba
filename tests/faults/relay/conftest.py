"""A small HTTPS service that counts what it did, the relay before it, and a plain client."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.faults.relay.certificates import Authority
from tests.faults.relay.server import Relay


class Service(ThreadingHTTPServer):
    """Answers JSON and counts what it did; the answer names the address that the client used."""

    daemon_threads = True
    # Each answer has this body's size at least.
    text = "a" * 100

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), Handler)
        self.done = []
        self.socket = authority.context_for("127.0.0.1").wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    """Does what is asked."""

    protocol_version = "HTTP/1.1"

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.done.append(f"{self.command} {self.path}")
        own = f"https://127.0.0.1:{self.server.port}"
        body = json.dumps({"path": self.path, "next": f"{own}/more", "text": self.server.text}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("X-Where", own)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("authority"), "Test CA")


@pytest.fixture
def service(authority):
    with Service(authority) as server:
        yield server
        server.shutdown()


@pytest.fixture
def relay(authority, service):
    with Relay(authority, {service.port: "127.0.0.1"}, ca_file=authority.ca_file, seed=7) as relay:
        yield relay


@pytest.fixture
def ask(relay, service, authority):
    """Ask the service through the relay, as a plain client does."""

    def call(method="GET", path="/keys/one", *, headers=None, body=None, timeout=5.0):
        with open_connection(relay.url_for(f"https://127.0.0.1:{service.port}"), authority, timeout) as connection:
            connection.request(method, path, body, {"Authorization": "Bearer x", **(headers or {})})
            response = connection.getresponse()
            # Cut answers are taken as they are.
            try:
                data = response.read()
            except http.client.IncompleteRead as cut:
                return response, cut.partial
            return response, data

    return call


@contextmanager
def open_connection(url, authority, timeout=5.0):
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()
