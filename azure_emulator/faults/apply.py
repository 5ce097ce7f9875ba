"""Carrying out a fault around the effect of a request.

Owns the order: wait, reset, answer in place of the effect, or change what the effect
answered. Must not know what the effect is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from azure_emulator.faults import answers
from azure_emulator.faults.model import Fault
from azure_emulator.http_request import HttpRequest


class ConnectionReset(Exception):
    """The connection must be reset instead of answered."""


async def apply_fault(
    fault: Fault | None,
    request: HttpRequest,
    effect: Callable[[], Awaitable[Response]],
    challenge: str | None = None,
) -> Response:
    """Run the effect under a fault: before it, after it, or in its place."""
    if fault is None:
        return await effect()
    request.fault = fault
    if fault.delay_ms:
        await asyncio.sleep(fault.delay_ms / 1000)
    if fault.reset == "before":
        raise ConnectionReset
    if fault.when == "before" and (fault.has_own_answer or fault.damages_delivery):
        return answers.changed_answer(fault, request, answers.own_answer(fault, request, challenge))
    response = await effect()
    if fault.delay_after_ms:
        await asyncio.sleep(fault.delay_after_ms / 1000)
    if fault.reset == "after":
        raise ConnectionReset
    if fault.has_own_answer:
        response = answers.own_answer(fault, request, challenge)
    return answers.changed_answer(fault, request, response)
