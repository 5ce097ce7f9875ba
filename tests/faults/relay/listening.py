"""Listening sockets whose connections are each served by a thread of their own."""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable


class Listener:
    """Accepts connections on a free loopback port until it is closed."""

    def __init__(self, serve: Callable[[socket.socket], None], name: str) -> None:
        self._serve, self._name = serve, name
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name=name, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._open.add(connection)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(target=self._handle, args=(connection,), name=self._name, daemon=True)
                self._threads.append(thread)
            thread.start()

    def hold(self, connection: socket.socket) -> None:
        """End this connection too when the listener closes: TLS takes the place of the socket that was accepted."""
        with self._lock:
            self._open.add(connection)

    def _handle(self, connection: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            with contextlib.suppress(OSError):
                connection.close()

    def close(self) -> None:
        """Stop accepting, end all connections, and wait for their threads."""
        with self._lock:
            self._closing = True
        with contextlib.suppress(OSError):
            # Wakes the thread that waits in accept().
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._acceptor.join(5)
        with self._lock:
            threads, connections = list(self._threads), list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
