"""Listeners: one process, one TLS port per vault, a clean stop on SIGTERM and SIGINT.

Owns sockets, signals and the way a TCP connection is reset for a test. Must not look
into requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from azure_emulator import storage, tls
from azure_emulator.app import ABORT_EXTENSION, App
from azure_emulator.options import Options
from azure_emulator.state import State


class StartupError(Exception):
    """The service can't start; the text says why in one sentence."""


def reset_connection(transport: asyncio.BaseTransport) -> None:
    """Drop the connection with a TCP RST: a zero linger time discards all unsent bytes."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


class ResettableProtocol(H11Protocol):
    """uvicorn's protocol that also hands the application a way to reset its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application for this connection."""
        super().connection_made(transport)
        inner: ASGIApp = self.app

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[ABORT_EXTENSION] = lambda: reset_connection(transport)
            await inner(scope, receive, send)

        self.app = with_abort


class QuietServer(uvicorn.Server):
    """Leaves signals to us: uvicorn raises them again after stopping, which spoils the exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and leave it at that."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """End after the requests in flight."""
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """One listening socket, or a sentence why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening at once makes a second instance fail here, before it touches the state.
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartupError(
                f"Port {port} on {host} is already in use; choose others with --port or AZURE_EMULATOR_PORT."
            ) from error
        raise StartupError(f"Can't listen on {host} port {port}: {error.strerror or error}.") from error
    listener.setblocking(False)
    return listener


def bind_all(options: Options) -> list[socket.socket]:
    """A listening socket per vault: all or none."""
    listeners: list[socket.socket] = []
    try:
        for profile in options.vaults:
            listeners.append(bind(options.host, profile.port))  # noqa: PERF401 - those bound so far must be closed
    except StartupError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def modern_tls(config: uvicorn.Config, default_factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 at least, 1.3 offered, as the service does."""
    context = default_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def run(state: State, files: tls.TlsFiles, listeners: list[socket.socket]) -> None:
    """Serve until a signal asks to stop."""
    config: Any = uvicorn.Config(
        App(state),
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        ssl_certfile=files.certificate,
        ssl_keyfile=files.key,
        ssl_context_factory=modern_tls,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    server = QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=listeners))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        state.pool.start()
        addresses = ", ".join(f"{profile.name} on {profile.port}" for profile in state.options.vaults)
        print(
            f"azure_emulator ready: https://{state.options.host}:{state.options.port} ({addresses}), CA {files.ca}",
            flush=True,
        )
    await serving


def serve(options: Options) -> None:
    """Run until a signal asks to stop."""
    try:
        # The CA must exist before anything can connect, since a client needs it to connect.
        storage.private_directory(options.state_dir)
    except OSError as error:
        raise StartupError(f"The state directory {options.state_dir} can't be used: {error.strerror}.") from error
    if not (options.state_dir / "ca.pem").exists():
        tls.load_or_make_authority(options.state_dir)
    listeners = bind_all(options)
    try:
        files = tls.prepare(options.state_dir, (*options.extra_names, options.host))
        state = State(options)
    except (storage.BrokenState, OSError) as error:
        for listener in listeners:
            listener.close()
        raise StartupError(str(error)) from error
    try:
        asyncio.run(run(state, files, listeners))
    finally:
        state.pool.stop()
