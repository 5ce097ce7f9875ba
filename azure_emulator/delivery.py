"""How an answer is put on the wire: whole, or damaged as a fault asks.

Owns the spelling of headers, ``Date``, and writing an answer byte by byte: cut, with a
wrong length, padded or slowly. Must not decide what is answered.
"""

from __future__ import annotations

import asyncio
import http
import socket
import struct
import time
from collections.abc import Iterator
from email.utils import formatdate

from starlette.responses import Response
from starlette.types import Message, Receive, Send

from azure_emulator.faults.model import Fault
from azure_emulator.responses import canonical_name

PAD_CHUNK_BYTES = 65_536
WRITE_BUFFER_BYTES = 1_048_576


def wire_headers(headers: list[tuple[bytes, bytes]], clock_ahead_seconds: float) -> list[tuple[bytes, bytes]]:
    """Headers spelled as the service does, with a date by a clock that may be ahead or behind."""
    dated = (b"date", formatdate(time.time() + clock_ahead_seconds, usegmt=True).encode())
    return [
        (canonical_name(name.decode("latin-1")).encode("latin-1"), value)
        for name, value in [*(each for each in headers if each[0] != b"date"), dated]
    ]


def with_wire_headers(send: Send, clock_ahead_seconds: float) -> Send:
    """Pass messages on with the headers of the wire."""

    async def send_spelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": wire_headers(list(message.get("headers", [])), clock_ahead_seconds)}
        await send(message)

    return send_spelled


def reset_connection(transport: asyncio.Transport) -> None:
    """Drop the connection with a TCP RST: a zero linger time discards all unsent bytes."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the server has seen the connection go, or it would try to answer 500."""
    while (await receive())["type"] != "http.disconnect":
        pass


def damaged_head(response: Response, fault: Fault, clock_ahead_seconds: float) -> bytes:
    """Status line and headers, with the length the fault claims."""
    length = fault.content_length if fault.content_length is not None else len(response.body) + fault.pad_bytes
    headers = [each for each in response.raw_headers if each[0] not in (b"content-length", b"connection")]
    headers.append((b"content-length", str(length).encode()))
    if not fault.cuts and fault.content_length is None:
        headers.append((b"connection", b"close"))
    status = f"HTTP/1.1 {response.status_code} {reason(response.status_code)}".encode()
    lines = [status, *(name + b": " + value for name, value in wire_headers(headers, clock_ahead_seconds))]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def reason(status: int) -> str:
    """The phrase behind a status number."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def body_parts(response: Response, fault: Fault) -> Iterator[bytes]:
    """The part of the body that the fault lets through, in the pieces in which it is written."""
    body, padding = bytes(response.body), fault.pad_bytes
    if fault.cut_after is not None:
        padding = max(0, min(padding, fault.cut_after - len(body)))
        body = body[: max(0, fault.cut_after)]
    size = max(1, fault.drip_bytes) if fault.drip_ms else PAD_CHUNK_BYTES
    for start in range(0, len(body), size):
        yield body[start : start + size]
    # Spaces after a JSON document keep it valid.
    for start in range(0, padding, size):
        yield b" " * min(size, padding - start)


async def deliver_damaged(
    transport: asyncio.Transport, response: Response, fault: Fault, clock_ahead_seconds: float
) -> None:
    """Write an answer to the connection as the fault asks, and close it."""
    head = damaged_head(response, fault, clock_ahead_seconds)
    if fault.cut_head_after is not None:
        transport.write(head[: max(0, fault.cut_head_after)])
        transport.close()
        return
    transport.write(head)
    for part in body_parts(response, fault):
        while transport.get_write_buffer_size() > WRITE_BUFFER_BYTES and not transport.is_closing():
            await asyncio.sleep(0.01)
        if transport.is_closing():
            return
        transport.write(part)
        if fault.drip_ms:
            await asyncio.sleep(fault.drip_ms / 1000)
    if fault.hold_ms:
        await asyncio.sleep(fault.hold_ms / 1000)
    transport.close()
