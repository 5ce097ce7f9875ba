"""A company's HTTP proxy for TLS connections (CONNECT): plain, inspecting, authenticating or refusing.

Owns what a proxy decides; what an inspecting one does to answers is said by the relay's rules.
"""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.faults.relay.calls import Answer, Call
from tests.faults.relay.certificates import Authority
from tests.faults.relay.damages import HTML, HTML_TYPE
from tests.faults.relay.delivery import head_of
from tests.faults.relay.exchange import Desk, read_call, serve
from tests.faults.relay.listening import Listener
from tests.faults.relay.rules import Rule, RuleList
from tests.faults.relay.upstream import Upstream

SECONDS = 10


@dataclass
class Policy:
    """What the proxy decides.

    Attributes:
        inspects: an authority whose certificates it shows in the place of the service's own; None: it looks into nothing.
        login: ``name:password`` that it asks for with 407; "" for none.
        refused: ``host`` or ``host:port`` that it answers with a 403 page of its own.
        aliases: where a host name is really served, as ``name -> (host, port)``.

    """

    inspects: Authority | None = None
    login: str = ""
    refused: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[str, int]] = field(default_factory=dict)


class Proxy:
    """One proxy on a free loopback port. ``ca_file``: whom it trusts itself when it inspects."""

    def __init__(self, policy: Policy, *, ca_file: Path, seed: int = 0) -> None:
        self.policy, self.desk = policy, Desk(RuleList(seed))
        # Each CONNECT as ``host:port``, and the status it was answered with.
        self.connects: list[tuple[str, int]] = []
        self._to_service = ssl.create_default_context(cafile=str(ca_file))
        self._listener = Listener(self._serve, "proxy")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()

    @property
    def url(self) -> str:
        """Its address, as HTTPS_PROXY names it; without the login it may ask for."""
        return f"http://127.0.0.1:{self._listener.port}"

    def add(self, rule: Rule) -> Rule:
        """Put a rule for inspected calls in force."""
        return self.desk.rules.add(rule)

    def close(self) -> None:
        """End all connections and threads."""
        self.desk.stopped.set()
        self._listener.close()

    # --- serving ---------------------------------------------------------------------------------
    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        # Unbuffered: what follows the CONNECT belongs to the tunnel.
        with connection.makefile("rb", buffering=0) as stream:
            call = read_call(stream, "", 0)  # type: ignore[arg-type]
        if call is None:
            return
        answer = self._decide(call)
        self.connects.append((call.target, answer.status))
        length = [] if answer.status == 200 else [("Content-Length", str(len(answer.body))), ("Connection", "close")]
        connection.sendall(head_of(answer, length) + answer.body)
        if answer.status != 200:
            return
        name, _, port = call.target.rpartition(":")
        host, number = self.policy.aliases.get(name, (name, int(port)))
        if self.policy.inspects is None:
            self._tunnel(connection, host, number)
        else:
            self._inspect(connection, name, host, number, self.policy.inspects)

    def _decide(self, call: Call) -> Answer:
        page = (("Content-Type", HTML_TYPE), ("Via", "1.1 proxy.example.com"))
        if call.method != "CONNECT":
            return Answer(405, "Method Not Allowed", page, HTML)
        wanted = base64.b64encode(self.policy.login.encode()).decode()
        if self.policy.login and call.header("Proxy-Authorization") != f"Basic {wanted}":
            challenge = ("Proxy-Authenticate", 'Basic realm="proxy.example.com"')
            return Answer(407, "Proxy Authentication Required", (*page, challenge), HTML)
        if {call.target, call.target.rpartition(":")[0]} & self.policy.refused:
            return Answer(403, "Forbidden", page, HTML)
        return Answer(200, "Connection established")

    def _tunnel(self, client: socket.socket, host: str, port: int) -> None:
        with socket.create_connection((host, port), SECONDS) as service:
            ends = {client: service, service: client}
            while not self.desk.stopped.is_set():
                for ready in select.select(list(ends), [], [], 0.1)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)

    def _inspect(self, client: socket.socket, name: str, host: str, port: int, authority: Authority) -> None:
        try:
            secured = authority.context_for(name).wrap_socket(client, server_side=True)
        except OSError as error:
            self.desk.failed_handshakes.append(str(error))
            return
        secured.settimeout(None)
        self._listener.hold(secured)
        upstream = Upstream(host, port, self._to_service, str)
        try:
            serve(secured, host, port, upstream, self.desk)
        finally:
            upstream.close()
            with contextlib.suppress(OSError):
                secured.close()
