"""One register of acting views serves the step-up and dual login: each view in it asks for both, unless it says otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from jobs.choices import JobState
from jobs.models import Job
from kmes.accounts import acting_views
from kmes.accounts.second_factor.sign_in import PROVEN_AT
from kmes.core.clock import now
from tests.accounts.dual_login_pages import SIGN_IN, STEP, clock, make_user, sign_in, turn_on
from tests.attacks.permission_table import ROWS, Row, read_row
from tests.attacks.permission_world import World

__all__ = ["clock"]
pytestmark = pytest.mark.django_db
CONFIRM = "/profile/second-factor/confirm/"


@pytest.fixture
def world(clock):
    return World()


@pytest.fixture
def browser(world, clock):
    """A browser of an administrator with an app, where everything that can demand a second administrator does."""
    users = [make_user(name) for name in ("ada", "bob", "cy")]
    clock.shift(STEP)
    turn_on(users[0], actions=frozenset(acting_views.labels()))
    return sign_in("ada")


def view_names(patterns=None, prefix=""):
    for each in patterns if patterns is not None else get_resolver().url_patterns:
        if isinstance(each, URLResolver):
            yield from view_names(each.url_patterns, f"{each.namespace}:" if each.namespace else prefix)
        elif isinstance(each, URLPattern):
            yield f"{prefix}{each.name}"


def prove(browser: Client, ago: timedelta) -> None:
    session = browser.session
    session[PROVEN_AT] = (now() - ago).timestamp()
    session.save()


def led_to(world: World, browser: Client, row: Row) -> str:
    """The page that a request leads to, without its query."""
    answer = world.send(browser, row, "POST" if "POST" in row.methods else "GET")
    return answer.get("Location", "").partition("?")[0]


def test_every_view_that_is_named_exists():
    assert (acting_views.registered().keys() | acting_views.exempted()) - set(view_names()) == set()
    assert acting_views.registered().keys() & acting_views.exempted() == set()


def test_each_acting_view_asks_for_the_factor_again_and_then_for_a_second_administrator(world, browser):
    asked_for = {"kind": "cloud_delete", "actor_name": "fuzz", "trigger": "user", "run_after": now()}
    world.values["failed_deletion"] = Job.objects.create(state=JobState.FAILED, **asked_for).code
    rows = [*ROWS, read_row("jobs:retry GET,POST cloud.delete code={failed_deletion}")]
    acting = [(row, found) for row in rows if (found := acting_views.find(row.view)) is not None]
    assert {row.view for row, _found in acting} == set(acting_views.registered())
    otherwise, asked = [], set()
    for row, found in acting:
        codes = found.codes({name: value.format_map(world.values) for name, value in row.arguments})
        prove(browser, timedelta(minutes=6))
        if (led_to(world, browser, row) == CONFIRM) != bool(codes):
            otherwise.append((row.view, row.arguments, "second factor"))
        prove(browser, timedelta(0))
        if (led_to(world, browser, row) == SIGN_IN) != (bool(codes) and not found.needs_nobody_else):
            otherwise.append((row.view, row.arguments, "second administrator"))
        asked |= {row.view} if codes else set()
    assert otherwise == []
    assert asked == set(acting_views.registered())


def test_only_ones_own_factors_and_breaking_glass_need_nobody_else():
    alone = {view for view, found in acting_views.registered().items() if found.needs_nobody_else}
    assert alone == {*acting_views.FACTOR_VIEWS, "approvals:break_glass"}
    # Who may turn the step-up off does not turn it off for these.
    assert alone == {view for view, found in acting_views.registered().items() if found.even_if_off}
