"""A call ends in time wherever its connection waits, and no setting of the installation ends a job for good."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

import pytest
from azure.core.rest import HttpRequest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudcreds.azure.answers import AskedService, NotSent, SignInPlace, StoppedUnsent, TransportError
from cloudcreds.azure.connections import CONNECT_SECONDS
from cloudcreds.azure.transport import GuardedTransport, Way
from cloudcreds.provider import call_watch
from kmes.core import known_secrets
from tests.faults.relay.certificates import Authority
from tests.faults.relay.listening import Listener

pytestmark = pytest.mark.timeout(60)
DEADLINE = 1.5
# A record of a handshake that announces 16 KB and comes byte by byte.
HANDSHAKE = b"\x16\x03\x03\x40\x00" + b"\x02" * 16384
EMPTY_LIST = b'{"value": [], "nextLink": null}'
TUNNEL = b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 60_000


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def dripping():
    """A port on which each client gets bytes, one after the other, more often than any socket's time-out."""
    stop, listeners = threading.Event(), []

    def start(data):
        def serve(connection):
            connection.recv(4096)
            for byte in data:
                if stop.wait(0.2):
                    return
                connection.sendall(bytes([byte]))

        listeners.append(Listener(serve, "dripping"))
        return listeners[-1].port

    yield start
    stop.set()
    for listener in listeners:
        listener.close()


@pytest.fixture
def dead():
    """A port that answers no attempt to connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _number in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def transport_to(port):
    return GuardedTransport(
        Way(AskedService.VAULT, frozenset({f"127.0.0.1:{port}"}), SignInPlace(frozenset(), "", ""), "public")
    )


def ask(port, *, seconds=20.0, should_stop=lambda _lasted: False):
    """Ask, and return the error and how long it took."""
    began = time.monotonic()
    with (
        transport_to(port) as transport,
        pytest.raises(TransportError) as refused,
        call_watch.watched(seconds, should_stop),
    ):
        transport.send(HttpRequest("GET", f"https://127.0.0.1:{port}/keys"))
    return refused.value, time.monotonic() - began


@pytest.fixture(params=["handshake", "tunnel", "dead addresses"])
def stuck(request, dripping, dead, monkeypatch):
    """A port to which a connection never stands."""
    if request.param == "handshake":
        return dripping(HANDSHAKE)
    if request.param == "tunnel":
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dripping(TUNNEL)}")
        return 9
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: real(*arguments, **more) * 20)
    return dead


def test_a_connection_that_never_stands_is_given_up_at_the_deadline(stuck):
    error, took = ask(stuck, seconds=DEADLINE)
    assert isinstance(error, NotSent)
    assert took < DEADLINE + 1.5


def test_it_is_given_up_when_the_job_is_to_stop(stuck):
    error, took = ask(stuck, should_stop=lambda lasted: lasted > 1)
    assert isinstance(error, StoppedUnsent)
    assert took < 3


def test_the_next_address_of_a_name_is_tried(dead, monkeypatch):
    """As in a network where IPv6 leads nowhere."""
    real = socket.getaddrinfo
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refusing = closed.getsockname()[1]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, _port, *arguments, **more: [
            *real(host, dead, *arguments, **more),
            *real(host, refusing, *arguments, **more),
        ],
    )
    error, took = ask(9)
    assert "refused" in error.what
    assert took < CONNECT_SECONDS + 2


class TlsProxy:
    """A proxy that is reached over TLS, as an https:// address names it; what it tunnels to stays silent."""

    def __init__(self, authority):
        self._context, self.tunnels = authority.context_for("127.0.0.1"), []
        self._stop = threading.Event()
        self._listener = Listener(self._serve, "TLS proxy")
        self.url = f"https://127.0.0.1:{self._listener.port}"

    def _serve(self, connection):
        with self._context.wrap_socket(connection, server_side=True) as secured:
            self._listener.hold(secured)
            self._tunnel(secured)

    def _tunnel(self, secured):
        target = secured.recv(4096).split(b" ")[1].decode()
        self.tunnels.append(target)
        secured.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as service:
            ends = {secured: service, service: secured}
            while not self._stop.is_set():
                for ready in select.select(list(ends), [], [], 0.1)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)

    def close(self):
        self._stop.set()
        self._listener.close()


def test_a_call_through_a_proxy_over_tls_is_given_up_and_so_is_the_next_one(tmp_path, monkeypatch, settings):
    authority = Authority.make(tmp_path / "ca", "Test CA")
    settings.KMES_CA_FILE = str(authority.ca_file)
    silence = threading.Event()

    def say_nothing(connection):
        with authority.context_for("127.0.0.1").wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            silence.wait(30)

    proxy, service = TlsProxy(authority), Listener(say_nothing, "silent service")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    try:
        for _call in range(2):
            error, took = ask(service.port, seconds=DEADLINE)
            assert not isinstance(error, NotSent), error.what
            assert took < DEADLINE + 1.5
        assert proxy.tunnels == [f"127.0.0.1:{service.port}"] * 2
    finally:
        silence.set()
        service.close()
        proxy.close()


# --- what is set for the installation ------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "http://ada:Ans#wer1234@127.0.0.1:9",
        "http://ada:Ans/wer1234@127.0.0.1:9",
        "http://ada:Answer1234@127.0.0.1:port",
        "http://ada:Answer1234@127.0.0.1:99999",
        "http://[::1",
        "http://",
        "socks5://ada:Answer1234@127.0.0.1:9",
    ],
)
def test_a_proxy_that_can_not_be_used_is_named_by_its_variable_and_shows_no_password(address, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", address)
    error, _took = ask(9)
    assert isinstance(error, NotSent)
    assert "HTTPS_PROXY" in error.what
    assert "Ans" not in error.what


@pytest.mark.parametrize("address", ["127.0.0.1:9", " http://127.0.0.1:9/ ", "http://ada:Answer%231234@127.0.0.1:9"])
def test_a_proxy_is_understood_however_it_is_written(address, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", address)
    error, _took = ask(10)
    assert "refused" in error.what
    if "Answer" in address:
        assert known_secrets.mask("Answer#1234 Answer%231234") == "*** ***"


def message(status, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def name_file(setting, path, settings, monkeypatch):
    if setting.startswith("KMES_"):
        setattr(settings, setting, str(path))
    else:
        monkeypatch.setenv(setting, str(path))


@pytest.mark.parametrize("setting", ["KMES_CA_FILE", "KMES_CLIENT_CERTIFICATE_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_certificates_that_is_missing_is_named_and_tried_again(setting, settings, monkeypatch, tmp_path):
    name_file(setting, tmp_path / "missing.pem", settings, monkeypatch)
    error, _took = ask(9)
    assert isinstance(error, NotSent)
    assert setting in error.what


@pytest.mark.parametrize("setting", ["KMES_CA_FILE", "KMES_CLIENT_CERTIFICATE_FILE"])
def test_a_file_that_is_just_being_written_is_read_again(setting, settings, monkeypatch, tmp_path):
    file = tmp_path / "certificates.pem"
    file.write_bytes(b"")
    name_file(setting, file, settings, monkeypatch)
    transport = transport_to(9)
    request = HttpRequest("GET", "https://127.0.0.1:9/keys")
    with pytest.raises(NotSent, match=setting):
        transport.send(request)
    authority = Authority.make(tmp_path / "ca", "Test CA")
    authority.context_for("127.0.0.1")
    made = authority.ca_file if setting == "KMES_CA_FILE" else authority.folder / "127.0.0.1.pem"
    file.write_bytes(made.read_bytes())
    with pytest.raises(NotSent, match="refused"):
        transport.send(request)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(settings, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "client.pem"
    authority = Authority.make(tmp_path / "ca", "Test CA")
    locked = serialization.BestAvailableEncryption(b"Answer1234")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    file.write_bytes(authority.ca_file.read_bytes() + pem)
    settings.KMES_CLIENT_CERTIFICATE_FILE = str(file)
    error, took = ask(9)
    assert "KMES_CLIENT_CERTIFICATE_FILE" in error.what
    assert took < 2


@pytest.mark.parametrize("more", [1, 90, 400], ids=["one answer", "a record full", "more than a record"])
def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one(more, settings, tmp_path):
    """An answer that was smuggled in, or that is a late one, could say that a key is gone."""
    authority = Authority.make(tmp_path / "ca", "Test CA")
    settings.KMES_CA_FILE = str(authority.ca_file)
    asked = []

    def answer(connection):
        with authority.context_for("127.0.0.1").wrap_socket(connection, server_side=True) as secured:
            while secured.recv(4096):
                asked.append(connection)
                gone = b'{"error":{"code":"KeyNotFound","message":"A key was not found."}}'
                secured.sendall(message(b"200 OK", EMPTY_LIST) + message(b"404 Not Found", gone) * more)

    service = Listener(answer, "service")
    try:
        transport = transport_to(service.port)
        request = HttpRequest("GET", f"https://127.0.0.1:{service.port}/keys")
        assert [transport.send(request).status_code for _number in range(4)] == [200] * 4
        assert len(asked) == 4
    finally:
        transport.close()
        service.close()


def test_a_renewed_authority_counts_for_the_next_request(settings, tmp_path):
    former, renewed = Authority.make(tmp_path / "former", "Test CA"), Authority.make(tmp_path / "renewed", "Test CA")
    file = tmp_path / "ca.pem"
    file.write_bytes(former.ca_file.read_bytes())
    settings.KMES_CA_FILE = str(file)

    def answer(connection):
        with renewed.context_for("127.0.0.1").wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(message(b"200 OK", EMPTY_LIST))

    service = Listener(answer, "service")
    try:
        transport = transport_to(service.port)
        request = HttpRequest("GET", f"https://127.0.0.1:{service.port}/keys")
        with pytest.raises(NotSent, match="certificate"):
            transport.send(request)
        file.write_bytes(renewed.ca_file.read_bytes())
        assert transport.send(request).status_code == 200
    finally:
        service.close()
