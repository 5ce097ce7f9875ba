"""What a browser with passkeys does on the console's pages."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.authenticator import Authenticator
from tests.people import body

PASSWORD = "correct horse battery staple"
PAGE = "/profile/second-factor/"
ADD, NEW_OPTIONS, OPTIONS = f"{PAGE}passkeys/add/", f"{PAGE}passkeys/options/", f"{PAGE}options/"
SIGN_IN, SIGN_IN_OPTIONS = "/login/passkey/", "/login/passkey/options/"
STEP, STEP_OPTIONS = "/login/second-factor/", "/login/second-factor/options/"
CONFIRM = f"{PAGE}confirm/"
ORIGIN = "http://testserver"


def options(client: Client, path: str) -> dict[str, Any]:
    answer = client.post(path)
    assert answer.status_code == 200, body(answer)
    return json.loads(body(answer))["publicKey"]


def with_password(user: Any) -> Client:
    client = Client()
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    return client


def add_passkey(client: Client, key: Authenticator, *, name: str = "Key", **odd: Any) -> Any:
    made = key.create(options(client, NEW_OPTIONS), origin=ORIGIN, **odd)
    return client.post(ADD, {"name": name, "passkey": made})


def sign_in(key: Authenticator, client: Client | None = None, **odd: Any) -> tuple[Client, Any]:
    client = client or Client()
    answer = key.get(options(client, SIGN_IN_OPTIONS), origin=odd.pop("origin", ORIGIN), **odd)
    return client, client.post(SIGN_IN, {"passkey": answer, "next": "/jobs/"})


def second_step(client: Client, key: Authenticator, **odd: Any) -> Any:
    answer = key.get(options(client, STEP_OPTIONS), origin=odd.pop("origin", ORIGIN), **odd)
    return client.post(STEP, {"passkey": answer})


def is_in(client: Client) -> bool:
    return client.get("/users/").status_code == 200
