"""Two administrators of a console with dual login, and what their browsers do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client

from kmes.accounts.dual_login.policy import Policy, read_policy, save_policy
from kmes.accounts.models import User
from kmes.accounts.second_factor import services, totp
from kmes.core.actor import Actor
from kmes.core.clock import now

PASSWORD = "correct horse battery staple"
SEEDS = {name: name.encode().ljust(20, b"-") for name in ("ada", "bob", "cy", "dan")}
SIGN_IN, FACTOR, END, POLICY = (
    "/dual-login/sign-in/",
    "/dual-login/sign-in/factor/",
    "/dual-login/end/",
    "/dual-login/",
)
# To the next code of an app.
STEP = timedelta(seconds=31)
USER = {"username": "eve", "first_name": "Eve", "role": "auditor"}


@pytest.fixture
def clock(db):
    """A clock that stands, so that a code stays good until a test lets time pass."""
    with time_machine.travel(now().replace(second=10, microsecond=0), tick=False) as traveller:
        yield traveller


def code_of(name: str) -> str:
    return totp.code_at(SEEDS[name], totp.step_of(now()))


def make_user(name: str, role: str = "admin", *, has_app: bool = True) -> User:
    user = get_user_model().objects.create_user(name, password=PASSWORD, role=role)
    if has_app:
        services.add_app(user=user, seed=SEEDS[name], code=code_of(name), session_key="", actor=Actor.from_user(user))
    return user


def turn_on(user: User, **values: Any) -> None:
    chosen = {"actions": frozenset({"forwarding"}), "lock_version": read_policy().lock_version, **values}
    save_policy(Policy(**chosen), actor=Actor.from_user(user))


def sign_in(name: str) -> Client:
    client = Client()
    client.post("/login/", {"username": name, "password": PASSWORD})
    assert client.post("/login/second-factor/", {"code": code_of(name)}).url == "/"
    return client


def with_password(client: Client, name: str, password: str = PASSWORD, *, next_page: str = "/users/add/") -> Any:
    return client.post(f"{SIGN_IN}?next={next_page}", {"username": name, "password": password})


def with_code(client: Client, name: str, *, next_page: str = "/users/add/") -> Any:
    return client.post(f"{FACTOR}?next={next_page}", {"code": code_of(name)})


def join(client: Client, name: str) -> Any:
    """Sign a second administrator in."""
    with_password(client, name)
    return with_code(client, name)


def adds_user(client: Client) -> bool:
    """Whether the session may act: a user is added, and removed again. Another page that asks for something fails."""
    leads_to = client.post("/users/add/", USER).get("Location", "")
    assert not leads_to.startswith("/profile/second-factor/"), "asked for the session's own factor"
    return bool(User.objects.filter(username="eve").delete()[0])
