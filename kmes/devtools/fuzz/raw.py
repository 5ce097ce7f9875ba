"""Bytes that are no good HTTP, as a web server may get them: drawn from whole requests with something wrong about them."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Sequence

from kmes.devtools.fuzz.odd_values import odd_bytes

SECONDS = 60
MAX_ANSWER = 1_000_000
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n")
_METHODS = (
    b"GET",
    b"POST",
    b"HEAD",
    b"OPTIONS",
    b"PUT",
    b"get",
    b"PRI",
    b"CONNECT",
    b"",
    b"G\0T",
    b"\xff" * 30,
    b"M" * 9000,
)
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9", b"http/1.1", b"HTTP/1.1 x", b"", b"\0")
_TARGETS = (
    *(
        b"/%00",
        b"/%",
        b"/%zz",
        b"*",
        b"",
        b"/\0",
        b"/a b",
        b"//evil.example/",
        b"/../../etc/passwd",
        b"/" + b"a" * 40_000,
    ),
    *(
        b"http://evil.example/",
        b"http://[",
        b"https://127.0.0.1:x/",
        b"/?" + b"a&" * 3000,
        b"/\xff\xfe",
        b"/%ED%A0%80",
        b"/#x",
    ),
)
_HEADERS = (
    *(
        b"Host: ",
        b"Host: evil.example",
        b"Host: a\0b",
        b"Host: [::1",
        b"Host: \xff",
        b"Host : 127.0.0.1",
        b" folded: x",
    ),
    *(
        b"Content-Length: 3",
        b"Content-Length: -1",
        b"Content-Length: x",
        b"Content-Length: 3, 4",
        b"Content-Length: +3",
    ),
    *(
        b"Content-Length: " + b"9" * 400,
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: x",
    ),
    *(b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding:\x0bchunked", b"Expect: 100-continue", b"Expect: x"),
    *(b"Content-Type: multipart/form-data", b"Content-Type: text/plain; charset=hex", b"Content-Type: " + b"a;" * 9000),
    *(
        b"X: " + b"y" * 40_000,
        b"X",
        b":",
        b": x",
        b"X: a\rb",
        b"X: a\0b",
        b"\xff: \xff",
        b"X-Forwarded-For: " + b"1," * 3000,
    ),
    *(
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Cookie: " + b"a=b;" * 3000,
        b"Range: bytes=0-" + b"9" * 3000,
        b"TE: trailers",
    ),
)
_BODIES = (
    *(
        b"",
        b"abc",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"zz\r\nabc\r\n",
        b"-1\r\n",
        b"3;x=" + b"y" * 9000 + b"\r\nabc\r\n0\r\n\r\n",
    ),
    *(
        b"f" * 30 + b"\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ),
)


def draw(dice: random.Random, paths: Sequence[str]) -> bytes:
    """Return the bytes of a request, or of what only resembles one."""
    if dice.random() < 0.05:
        return odd_bytes(dice) + b"\r\n\r\n"
    method = dice.choice(_METHODS) if dice.random() < 0.3 else dice.choice(_METHODS[:3])
    target = dice.choice(_TARGETS) if dice.random() < 0.4 else dice.choice(paths).encode()
    version = dice.choice(_VERSIONS) if dice.random() < 0.2 else b"HTTP/1.1"
    headers = [b"Host: 127.0.0.1"] if dice.random() < 0.9 else []
    headers += [dice.choice(_HEADERS) for _header in range(dice.choice((0, 1, 1, 2, 3, 150)))]
    end = dice.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"))
    head = end.join([b" ".join((method, target, version)), *headers])
    return head + end + end + dice.choice(_BODIES)


def statuses(port: int, sent: bytes) -> tuple[list[int], bytes]:
    """Send bytes and end the connection's own half. Return the statuses and all bytes of the answers.

    Raises:
        TimeoutError: the server neither answers nor closes the connection.

    """
    found = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as client:
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            while len(found) < MAX_ANSWER and (more := client.recv(65_536)):
                found += more
        except TimeoutError:
            raise
        except OSError:
            # The server had seen enough, and closed the connection: which of several errors says so is chance.
            pass
    return [int(status) for status in STATUS.findall(found)], found
