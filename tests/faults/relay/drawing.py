"""Draws damage by dice: any status, format, cut, header and delay, before or after the effect.

Everything drawn passes: the call may be made again and then succeed.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from tests.faults.relay.calls import Call, Part
from tests.faults.relay.damages import HTML, HTML_TYPE, JSON_TYPE, Damage, Ending, Framing, When

# Those that a client is tempted to believe come more often.
STATUSES = (200, 404, 409, 429) * 3 + (
    204,
    302,
    307,
    400,
    401,
    403,
    407,
    408,
    418,
    421,
    451,
    500,
    502,
    503,
    504,
    511,
    520,
)
RETRY_AFTER = ("0", "-1", "1", "0.5", "1e9", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "400", "９", "1, 2")
BODIES = (
    (HTML, HTML_TYPE),
    (b"", ""),
    (b"upstream connect error or disconnect/reset before headers", "text/plain"),
    (b'{"status":"ok"}', JSON_TYPE),
    (b"[]", JSON_TYPE),
    (b"null", JSON_TYPE),
    (b'{"error":"maintenance"}', JSON_TYPE),
    (b'{"error":{"code":"GatewayError","message":"The gateway is busy."}}', JSON_TYPE),
    (b'{"value":', JSON_TYPE),
    (b"\xff\xfe\x00{", JSON_TYPE),
    (HTML, JSON_TYPE),
)
# Of a vault's own words: these have no effect, and pass.
OWN_WORDS = (
    (429, "Throttled", "Request was not processed because too many requests were received."),
    (503, "ServiceUnavailable", "The service is temporarily unavailable."),
    (500, "InternalError", "An internal error occurred."),
)


# Of all damage, so much is about tokens, or is read in two ways.
ASTRAY = 0.12
REFUSED_TOKEN = b'{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}'
# The first withdraws a token; the others name no sign-in that can be made.
WITHDRAWN = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ=="'
)
CHALLENGES = (
    WITHDRAWN,
    'Bearer authorization="https://login.microsoftonline.com/common", resource="https://vault.azure.net"',
    'Negotiate, Basic realm="x"',
    "",
)


def _twice(_call: Call, body: bytes) -> bytes:
    """Return an object in which a member stands twice."""
    return body.replace(b"{", b'{"error":{},"error":{},', 1)


@dataclass(frozen=True)
class Dice:
    """Draws one damage for a call. ``slow`` is the longest delay in seconds; a silent answer is as long as the client waits."""

    slow: float = 0.3
    hangs: bool = True

    def __call__(self, dice: random.Random, call: Call) -> Damage | None:
        """Draw."""
        drawn = dice.choice((self._page, self._page, self._cut, self._cut, self._silence, self._own_word, self._late))(
            dice, call
        )
        return drawn if dice.random() >= ASTRAY else self._astray(dice, call)

    def _when(self, dice: random.Random) -> When:
        return dice.choice((When.BEFORE, When.AFTER))

    def _page(self, dice: random.Random, _call: Call) -> Damage:
        body, kind = dice.choice(BODIES)
        headers: dict[str, str | None] = {}
        status = dice.choice(STATUSES)
        if dice.random() < 0.3:
            headers["Retry-After"] = dice.choice(RETRY_AFTER).encode("ascii", "ignore").decode()
        if status in {302, 307}:
            headers["Location"] = dice.choice(("https://login.example.invalid/", "/", "http://127.0.0.1:9/keys"))
        if dice.random() < 0.1:
            headers["Date"] = "Wed, 21 Oct 2015 07:28:00 GMT"
        return Damage(when=self._when(dice), status=status, body=body, content_type=kind, headers=headers)

    def _cut(self, dice: random.Random, _call: Call) -> Damage:
        cut = dice.choice((0, 1, 2, 10, 40, 100, 200, 400, 800))
        if dice.random() < 0.2:
            return Damage(cut_head=dice.choice((0, 1, 9, 12, 15, 60)), ending=dice.choice((Ending.CLOSE, Ending.RESET)))
        ends = (Ending.CLOSE, Ending.RESET, Ending.HANG) if self.hangs else (Ending.CLOSE, Ending.RESET)
        return Damage(cut=cut, framing=dice.choice(tuple(Framing)), ending=dice.choice(ends))

    def _silence(self, dice: random.Random, _call: Call) -> Damage:
        when = self._when(dice)
        if self.hangs and dice.random() < 0.3:
            return Damage(when=when, hang=True)
        return Damage(when=when, reset=True)

    def _astray(self, dice: random.Random, call: Call) -> Damage:
        """Draw a refused token or an answer that is read in two ways, in the service's own format."""
        if dice.random() < 0.5:
            kind = dice.choice(("application/json; charset=utf-16", 'application/json; charset="cp500"'))
            return dice.choice((Damage(headers={"Content-Type": kind}), Damage(edit=_twice)))
        if call.part in {Part.TOKEN, Part.DISCOVERY}:
            word = dice.choice(("temporarily_unavailable", "server_error"))
            body = json.dumps({"error": word, "error_description": "AADSTS4711: Try again."}).encode()
            return Damage(when=When.BEFORE, status=400, body=body, content_type=JSON_TYPE)
        headers: dict[str, str | None] = {"WWW-Authenticate": dice.choice(CHALLENGES)}
        return Damage(when=When.BEFORE, status=401, body=REFUSED_TOKEN, content_type=JSON_TYPE, headers=headers)

    def _late(self, dice: random.Random, _call: Call) -> Damage:
        return Damage(when=self._when(dice), delay=dice.uniform(0.01, self.slow))

    def _own_word(self, dice: random.Random, call: Call) -> Damage:
        status, code, text = dice.choice(OWN_WORDS)
        if call.part in {Part.TOKEN, Part.DISCOVERY}:
            body = {"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error."}
            return Damage(when=When.BEFORE, status=503, body=json.dumps(body).encode(), content_type=JSON_TYPE)
        headers: dict[str, str | None] = {}
        if status == 429 and dice.random() < 0.5:
            headers["Retry-After"] = dice.choice(("0", "1"))
        body = json.dumps({"error": {"code": code, "message": text}}).encode()
        return Damage(when=When.BEFORE, status=status, body=body, content_type=JSON_TYPE, headers=headers)
