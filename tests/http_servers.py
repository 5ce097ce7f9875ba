"""Runs the small HTTP servers that tests speak to, each in a thread, on a free port of this machine."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_arguments: object) -> None:
        """A client that hangs up or refuses the certificate is often what is tested."""


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], *, certificate: Path | None = None, key: Path | None = None
) -> Iterator[int]:
    """Answer requests by a handler; yields the port.

    With a certificate over TLS; without a file for the key it stands in the certificate's.
    """
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
