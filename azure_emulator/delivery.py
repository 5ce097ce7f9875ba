"""How an answer is put on the wire: the spelling of its headers and its ``Date``.

Owns the last step before the listener. Must not decide what is answered.
"""

from __future__ import annotations

import time
from email.utils import formatdate

from starlette.types import Message, Send

from azure_emulator.responses import canonical_name


def with_wire_headers(send: Send, clock_ahead_seconds: float) -> Send:
    """Spell headers as the service does, and date the answer by a clock that may be ahead or behind."""

    async def send_spelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            dated = (b"date", formatdate(time.time() + clock_ahead_seconds, usegmt=True).encode())
            headers = [*message.get("headers", []), dated]
            spelled = [(canonical_name(name.decode("latin-1")).encode("latin-1"), value) for name, value in headers]
            message = {**message, "headers": spelled}
        await send(message)

    return send_spelled
