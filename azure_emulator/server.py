"""Listeners: one process, one TLS port per vault, a clean stop on SIGTERM and SIGINT.

Owns sockets and signals. Must not look into requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from azure_emulator import storage, tls
from azure_emulator.app import TRANSPORT_EXTENSION, App
from azure_emulator.options import Options
from azure_emulator.state import State


class StartupError(Exception):
    """The service can't start; the text says why in one sentence."""


class OpenProtocol(H11Protocol):
    """uvicorn's protocol that also hands its connection to the application, for faults."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the application for this connection."""
        super().connection_made(transport)
        inner: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT_EXTENSION] = transport
            await inner(scope, receive, send)

        self.app = with_transport


class QuietServer(uvicorn.Server):
    """Stops on signals without raising them again, which would change the exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """End after the requests in flight."""
        self.should_exit = True


class CompanionServer(uvicorn.Server):
    """Runs beside the main server, which alone handles signals and stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """One listening socket, or a sentence why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only on sockets made with IPPROTO_TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening here makes a second instance fail before it touches the state.
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


def bind_all(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """A listening socket per address: all or none."""
    listeners: list[socket.socket] = []
    try:
        for host, port in addresses:
            listeners.append(bind(host, port))
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


def listener_config(app: App, **options: Any) -> uvicorn.Config:
    """What all listeners have in common; headers such as Date are the application's business."""
    return uvicorn.Config(
        app,
        http=OpenProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        **options,
    )


async def run(state: State, files: tls.TlsFiles, listeners: list[socket.socket], metadata: list[socket.socket]) -> None:
    """Serve until a signal asks to stop; ``metadata`` listens without TLS."""
    app = App(state)
    server = QuietServer(
        listener_config(
            app, ssl_certfile=files.certificate, ssl_keyfile=files.key, ssl_context_factory=modern_tls
        )
    )  # fmt: skip
    plain = CompanionServer(listener_config(app))
    serving = asyncio.create_task(server.serve(sockets=listeners))
    plain_serving = asyncio.create_task(plain.serve(sockets=metadata)) if metadata else None
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
    if plain_serving is not None:
        plain.should_exit = True
        await plain_serving


def serve(options: Options) -> None:
    """Run until a signal asks to stop."""
    try:
        # The CA must exist before anything can connect, since a client needs it to connect.
        storage.private_directory(options.state_dir)
    except OSError as error:
        raise StartupError(f"The state directory {options.state_dir} can't be used: {error.strerror}.") from error
    if not (options.state_dir / "ca.pem").exists():
        tls.load_or_make_authority(options.state_dir)
    listeners = bind_all([(options.host, profile.port) for profile in options.vaults])
    metadata: list[socket.socket] = []
    try:
        if options.metadata_port is not None:
            metadata = bind_all([(options.metadata_host, options.metadata_port)])
        files = tls.prepare(options.state_dir, (*options.cloud.served_names, *options.extra_names, options.host))
        state = State(options)
    except (storage.BrokenState, StartupError, OSError) as error:
        for listener in (*listeners, *metadata):
            listener.close()
        raise StartupError(str(error)) from error
    try:
        asyncio.run(run(state, files, listeners, metadata))
    finally:
        state.pool.stop()
