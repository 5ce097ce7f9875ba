"""Measures how the web server answers beside clients that never finish a request; prints one JSON line for each way.

``python -m kmes.devtools.web_pressure`` starts the web process alone, as ``make run`` starts it, holds 500 sockets and asks
for ``/healthz`` every 0.2 s for 20 s. ``gthread`` as argument measures gunicorn's own threaded worker in its place.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

from kmes.devtools import process_memory
from kmes.devtools.bench import print_line
from kmes.devtools.temporary_instance import free_ports
from kmes.supervision.instance import ROOT, Instance
from kmes.supervision.processes import process_specs, write_redis_configuration, write_request_keys

SOCKETS = 500
SECONDS = 20.0
PAUSE_SECONDS = 0.2
# A page that is slower than this counts as not answered.
PATIENCE_SECONDS = 10.0
DRIP_SECONDS = 1.0
START_SECONDS = 90.0
OWN_WORKER = "kmes.web_server.BufferedWorker"
_HOST = b"Host: 127.0.0.1\r\n"
# What each socket sends at once, and then again and again.
WAYS: dict[str, tuple[bytes, bytes]] = {
    "idle": (b"", b""),
    "drip_a_header": (b"GET / HTTP/1.1\r\n" + _HOST + b"X-Slow: ", b"a"),
    "drip_a_body": (b"POST /login/ HTTP/1.1\r\n" + _HOST + b"Content-Length: 100000\r\n\r\n", b"a"),
}


@contextmanager
def web_process(worker: str) -> Iterator[tuple[int, int]]:
    """Run the web process with an empty state folder; yields its port and process id."""
    folder, port = Path(tempfile.mkdtemp(prefix="kmes-web-")), free_ports(1)
    instance = Instance.from_environment(
        {"KMES_STATE_DIR": str(folder), "KMES_PORT": str(port), "PATH": os.environ["PATH"]}
    )
    instance.make_folders()
    # The web process reads its password and its key; Redis itself isn't needed.
    write_redis_configuration(instance)
    write_request_keys(instance)
    (spec,) = [spec for spec in process_specs(instance) if spec.name == "web"]
    command = [worker if word == OWN_WORKER else word for word in spec.command]
    process = subprocess.Popen(command, env=dict(spec.environment), cwd=ROOT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and ask(port) is None:
            time.sleep(PAUSE_SECONDS)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def ask(port: int) -> float | None:
    """Ask for ``/healthz`` and return the seconds it took; None without an answer."""
    connection, began = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS), time.monotonic()
    try:
        connection.request("GET", "/healthz")
        return time.monotonic() - began if connection.getresponse().status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@contextmanager
def held(port: int, first: bytes, drip: bytes) -> Iterator[None]:
    """Hold the sockets during the body. One that the server closes is not opened again."""
    done = threading.Event()
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(SOCKETS)]
        for each in sockets:
            each.sendall(first)

        def keep_dripping() -> None:
            while not done.wait(DRIP_SECONDS):
                for each in sockets:
                    with suppress(OSError):
                        each.send(drip)

        thread = threading.Thread(target=keep_dripping, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def measure(worker: str) -> None:
    """Measure each way on a server of its own."""
    for way, (first, drip) in WAYS.items():
        with web_process(worker) as (port, pid):
            before = _memory(pid)
            asked: list[float | None] = []
            with held(port, first, drip):
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    asked.append(ask(port))
                    time.sleep(PAUSE_SECONDS)
                after = _memory(pid)
            answered = [seconds for seconds in asked if seconds is not None]
            print_line(
                way=way,
                asked=len(asked),
                answered=len(answered),
                median_ms=round(1000 * median(answered), 1) if answered else None,
                memory_before_mb=round(before),
                memory_after_mb=round(after),
            )


def _memory(pid: int) -> float:
    return sum(process_memory.proportional_mb(each) for each in process_memory.family_of(pid))


def main() -> int:
    """Measure; returns the exit code."""
    try:
        measure(sys.argv[1] if len(sys.argv) > 1 else OWN_WORKER)
    except OSError as error:
        print(f"web_pressure: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
