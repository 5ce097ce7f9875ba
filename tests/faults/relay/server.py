"""The relay: one TLS port for each port of a service, answers damaged by rules, everything noted.

relay = Relay(authority, {8443: "127.0.0.1"}, ca_file=ca)     # signed by whom the clients trust
relay.add(Rule(page(404), method="GET", path="/keys/*/versions"))
... clients ask relay.url_for("https://127.0.0.1:8443") ...
relay.effects("PUT"), relay.close()
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.faults.relay.calls import Seen
from tests.faults.relay.certificates import Authority
from tests.faults.relay.exchange import Desk, serve
from tests.faults.relay.listening import Listener
from tests.faults.relay.rules import Rule, RuleList
from tests.faults.relay.upstream import Upstream

HANDSHAKE_SECONDS = 10


class Relay:
    """Stands in front of one host's ports.

    Args:
        authority: signs the certificate that clients see.
        ports: the service's ports and their host.
        ca_file: whom the relay itself trusts.
        seed: begins the dice of the rules.

    """

    def __init__(self, authority: Authority, ports: Mapping[int, str], *, ca_file: Path, seed: int = 0) -> None:
        self.desk = Desk(RuleList(seed))
        self._authority = authority
        self._to_service = ssl.create_default_context(cafile=str(ca_file))
        self._listeners = {
            port: Listener(partial(self._serve, host, port), f"relay to {port}") for port, host in ports.items()
        }
        self._ports = {port: listener.port for port, listener in self._listeners.items()}
        self._addresses = re.compile(
            r"\b(127\.0\.0\.1|localhost):(" + "|".join(str(port) for port in ports) + r")(?![0-9])"
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()

    # --- where it is -----------------------------------------------------------------------------
    def url_for(self, url: str) -> str:
        """Return where to ask instead of an address of the service."""
        return f"https://127.0.0.1:{self._ports[urlsplit(url).port or 443]}"

    # --- what it does ----------------------------------------------------------------------------
    def add(self, rule: Rule) -> Rule:
        """Put a rule in force; returns it, so that its hits can be read."""
        return self.desk.rules.add(rule)

    def calm(self) -> None:
        """End all rules, and what they keep silent or slow."""
        self.desk.rules.clear()
        self.desk.release()

    def restart(self, seed: int) -> None:
        """Begin again: no rules, nothing seen, the dice of this seed."""
        self.desk.rules.restart(seed)
        self.desk.release()
        with self.desk.lock:
            self.desk.seen.clear()
            self.desk.failed_handshakes.clear()

    # --- what it saw -----------------------------------------------------------------------------
    @property
    def seen(self) -> list[Seen]:
        """What came through so far, oldest first."""
        with self.desk.lock:
            return list(self.desk.seen)

    def calls(self, method: str = "*", path: str = "*") -> list[Seen]:
        """Return the calls of a method and a pattern of paths; requests without a token are left out."""
        rule = Rule(lambda _dice, _call: None, method=method, path=path)
        return [seen for seen in self.seen if rule.matches(seen.call)]

    def effects(self, method: str = "*", path: str = "*") -> list[Seen]:
        """Return those of the calls that the service carried out."""
        return [seen for seen in self.calls(method, path) if seen.had_effect]

    # --- serving ---------------------------------------------------------------------------------
    def _serve(self, host: str, port: int, connection: socket.socket) -> None:
        connection.settimeout(HANDSHAKE_SECONDS)
        try:
            secured = self._authority.context_for("127.0.0.1").wrap_socket(connection, server_side=True)
        except OSError as error:
            self.desk.failed_handshakes.append(str(error))
            return
        secured.settimeout(None)
        self._listeners[port].hold(secured)
        upstream = Upstream(host, port, self._to_service, self._translate)
        try:
            serve(secured, host, port, upstream, self.desk)
        finally:
            upstream.close()
            with contextlib.suppress(OSError):
                secured.close()

    def _translate(self, text: str) -> str:
        return self._addresses.sub(lambda found: f"{found[1]}:{self._ports[int(found[2])]}", text)

    def close(self) -> None:
        """End all connections and threads."""
        self.desk.stopped.set()
        for listener in self._listeners.values():
            listener.close()
