"""The TLS front of docker-compose.yml: its nginx with the configuration that containers get, before a web process that repeats what it sees."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import shutil
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from cryptography import x509

from kmes.supervision import container, front
from tests import services
from tests.container.volumes import make_volumes

# Less than the front waits for the web process.
SECONDS = 60


class Repeats(BaseHTTPRequestHandler):
    """Answers every request with its path and headers."""

    protocol_version = "HTTP/1.1"

    # The questions of open pages, which are held until it is set.
    questions: ClassVar[list[str]] = []
    may_answer = threading.Event()

    def do_GET(self):
        if self.path.startswith("/changes/"):
            self.questions.append(self.path)
            self.may_answer.wait(SECONDS)
        text = json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The front, before such a process; yields its ports and the folder of its certificate."""
    folder = tmp_path_factory.mktemp("front")
    https, http_port = services.free_port(), services.free_port()
    web = ThreadingHTTPServer(("127.0.0.1", 0), Repeats)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    front.make_certificate(folder, ["localhost", "127.0.0.1"])
    (folder / "nginx.conf").write_text(
        front.configuration(
            web=f"127.0.0.1:{web.server_port}",
            certificate=str(folder),
            public_port=str(https),
            work=str(folder),
            ports=(https, http_port),
        )
    )
    command = ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        services.wait_until(lambda: services.listens(https), process, log)
        yield https, http_port, folder
    finally:
        services.stop(process)
        web.shutdown()
        web.server_close()


# Once, because a test asks a hundred times.
@functools.cache
def context_that_trusts(certificate):
    return ssl.create_default_context(cafile=str(certificate))


def connect(running, context=None):
    """A connection over TLS, to be closed."""
    https, _http, folder = running
    context = context or context_that_trusts(folder / front.CERTIFICATE)
    return http.client.HTTPSConnection("localhost", https, context=context, timeout=SECONDS)


def ask(running, method="GET", path="/", *, body=None, headers=None, context=None):
    """The answer to a request, and its text."""
    with contextlib.closing(connect(running, context)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer, answer.read()


def test_what_a_browser_sends_reaches_the_web_process_with_its_host(running):
    answer, text = ask(running, path="/keys/?q=a")
    said = json.loads(text)
    assert (answer.status, said["path"]) == (200, "/keys/?q=a")
    assert said["headers"]["Host"] == f"localhost:{running[0]}"
    assert said["headers"]["X-Forwarded-Proto"] == "https"


def test_a_client_can_not_choose_its_address_or_pretend_to_use_tls(running):
    """With one trusted proxy the last entry counts: the address that the front saw."""
    _answer, text = ask(running, headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"})
    headers = json.loads(text)["headers"]
    assert headers["X-Forwarded-For"].split(", ")[-1] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"


def test_plain_http_leads_to_https(running):
    https, http_port, _folder = running
    for port in (http_port, https):
        connection = http.client.HTTPConnection("localhost", port, timeout=10)
        connection.request("GET", "/keys/")
        answer = connection.getresponse()
        answer.close()
        connection.close()
        assert answer.status == 308
        assert answer.headers["Location"] == f"https://localhost:{https}/keys/"


def test_a_body_that_is_too_large_is_refused_here(running):
    answer, _text = ask(running, "POST", "/", body=b"x" * 600_000)
    assert answer.status == 413


def test_many_held_questions_from_one_address_leave_room_for_its_pages(running):
    path = "/changes/?hold=1"
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(contextlib.closing(connect(running))) for _each in range(100)]
        try:
            for connection in held:
                connection.request("GET", path)
            deadline = time.monotonic() + SECONDS
            while len(Repeats.questions) < len(held):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            # Beyond the limit they are refused, and a page asks again later.
            assert {ask(running, path=path)[0].status for _each in range(30)} == {503}
            assert ask(running, path="/keys/")[0].status == 200
        finally:
            Repeats.may_answer.set()
        for connection in held:
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["path"]) == (200, path)


def test_old_versions_of_tls_are_refused(running):
    context = ssl.create_default_context(cafile=str(running[2] / front.CERTIFICATE))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        ask(running, context=context)


def test_it_says_that_it_is_up_to_this_machine_and_names_no_version(running):
    answer, _text = ask(running, path="/front-health")
    assert answer.status == 204
    assert answer.headers["Server"] == "nginx"


def test_the_configuration_of_the_containers_is_valid(tmp_path):
    """But for the place of the certificate and of its own files, it is the one that was tried."""
    container.make_secrets(make_volumes(tmp_path), volumes=tmp_path)
    text = (tmp_path / "kmes-front" / "nginx.conf").read_text()
    assert "set $web web:8000;" in text
    assert "include /tmp/resolver.conf;" in text
    assert "return 308 https://$host:8443$request_uri;" in text
    tried = text.replace("/tmp/", "/work/").replace(container.FRONT_CERTIFICATE, str(tmp_path / "kmes-certificate"))
    tried = tried.replace("/work/", f"{tmp_path}/")
    (tmp_path / "tried.conf").write_text(tried)
    (tmp_path / "resolver.conf").write_text("resolver 127.0.0.11 valid=5s;\n")
    done = subprocess.run(
        ["nginx", "-t", "-e", "stderr", "-c", str(tmp_path / "tried.conf")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("lines", "server"),
    [
        ("search example.com\nnameserver 127.0.0.11\noptions ndots:0\n", "127.0.0.11"),
        ("search dns.podman\nnameserver 10.89.0.1\nnameserver 192.0.2.53\n", "10.89.0.1"),
        ("nameserver\tfd00::1 # own\n", "[fd00::1]"),
    ],
    ids=["Docker", "Podman", "IPv6"],
)
def test_it_asks_the_name_server_of_its_own_container(lines, server, tmp_path):
    (tmp_path / "resolv.conf").write_text(lines)
    (tmp_path / "start.sh").write_text(front.start_script(work=str(tmp_path)))
    # An nginx that starts and ends: it only looks at its configuration.
    (tmp_path / "nginx.conf").write_text(f"events {{}}\nhttp {{ include {tmp_path}/resolver.conf; }}\n")
    (tmp_path / "nginx").write_text(f'#!/bin/sh\nexec {shutil.which("nginx")} -t "$@"\n')
    (tmp_path / "nginx").chmod(0o755)
    done = subprocess.run(
        ["sh", tmp_path / "start.sh", tmp_path / "nginx.conf", tmp_path / "resolv.conf"],
        env={"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "resolver.conf").read_text() == f"resolver {server} valid=5s;\n"


def test_its_own_certificate_names_the_hosts_of_the_console_and_its_key_is_private(tmp_path):
    container.make_secrets(make_volumes(tmp_path), volumes=tmp_path)
    folder = tmp_path / "kmes-certificate"
    certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["console.example.com"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert (folder / "tls.key").stat().st_mode & 0o777 == 0o600


def test_it_is_made_anew_near_its_end_and_for_other_hosts_only(tmp_path):
    moment = datetime.now(UTC)
    assert front.make_certificate(tmp_path, ["a.example"], moment=moment)
    assert not front.make_certificate(tmp_path, ["a.example"], moment=moment + timedelta(days=300))
    assert front.make_certificate(tmp_path, ["b.example"], moment=moment)
    assert front.make_certificate(tmp_path, ["b.example"], moment=moment + timedelta(days=370))
