"""The web server in this process, before any application, on a port of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from kmes import web_server
from kmes.web_holds import Holds

THREADS = 2


class ServerInProcess:
    """A running server with two threads; ``holds`` lets it hold requests."""

    def __init__(self, application: Callable[..., Any], holds: Holds | None = None) -> None:
        self.listener = listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        options = Adjustments(listen="127.0.0.1:0", threads=THREADS, cleanup_interval=0, asyncore_use_poll=True)
        self.dispatcher = ThreadedTaskDispatcher()
        self.dispatcher.set_thread_count(THREADS)
        self.sockets: dict[int, object] = {}
        place = (listener.family, listener.type, listener.proto, listener.getsockname())
        self.server = web_server.Server(
            application, self.sockets, True, listener, self.dispatcher, options, place, bind_socket=False
        )
        self.server.holds = holds
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        """Read and write sockets."""
        while not self.is_over:
            web_server.wasyncore.loop(timeout=0.02, use_poll=True, map=self.sockets, count=1)

    def stop(self) -> None:
        """Stop it."""
        self.is_over = True
        self.thread.join()
        self.dispatcher.shutdown(timeout=5)
        web_server.wasyncore.close_all(self.sockets, ignore_all=True)
        self.listener.close()
