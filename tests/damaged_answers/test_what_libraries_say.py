"""No text of a library leaves the process unscrubbed: no token, no secret, no traceback of a decoder."""

from __future__ import annotations

import json

import pytest

from jobs.models import Job
from logging_reports.models import LogEntry
from tests.damaged_answers.harness import ALL, KEKS, KEY, VERSIONS
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import HTML, JSON_TYPE, Damage, Framing, When, page
from tests.jobs.conftest import SECRET

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


def tokens(world):
    """All access tokens that the token endpoint gave out, as the relay saw them."""
    return [json.loads(seen.answer.body)["access_token"] for seen in world.relay.effects("POST", "*/token")]


def everything_written(world):
    """Logs of the process, the System Logs, and all that jobs say."""
    rows = [str(row) for row in LogEntry.objects.values_list("message", "data")]
    return "\n".join([world.texts.all(), *rows, *(world.words(job) for job in Job.objects.all())])


def assert_no_secret(world):
    text = everything_written(world)
    assert SECRET not in text
    for token in tokens(world):
        # A part of it is as bad: half an answer holds half a token.
        for start in range(0, len(token) - 40, 40):
            assert token[start : start + 40] not in text, "an access token stands in a log"


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("cut", [200, 500, 900] if ALL else [500])
def test_half_an_answer_of_the_token_endpoint_shows_no_token(world, cut, framing):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(Damage(cut=cut, framing=framing), count=2)
    world.work(job)
    world.rest(job)
    assert tokens(world)
    assert_no_secret(world)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_token_in_an_answer_that_is_no_json_is_shown_nowhere(world, status):
    def spoil(_call, body):
        return b"<pre>" + body + b"</pre>"

    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(Damage(status=status, edit=spoil, content_type="text/html"), count=2)
    world.work(job)
    world.rest(job)
    assert tokens(world)
    assert_no_secret(world)


def test_a_request_that_comes_back_in_the_error_is_shown_nowhere(world):
    """Some gateways quote the request, form and headers, in their page."""

    def quote(call, _body):
        headers = "\n".join(f"{name}: {value}" for name, value in call.headers)
        return f"{headers}\n\n{call.body.decode()}".encode()

    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(Damage(status=400, edit=quote, content_type="text/plain"), count=1)
    world.damage(Damage(status=400, edit=quote, content_type="text/plain"), "GET", VERSIONS)
    world.work(job)
    world.rest(job)
    assert_no_secret(world)


@pytest.mark.parametrize("call", [("GET", VERSIONS), ("PUT", KEY), ("POST", KEKS + "/create")])
@pytest.mark.parametrize("body", [HTML, b"\xff\xfe\x00", b"[]"] + [b'{"value":', b"null", b"3"] * ALL)
def test_a_body_that_is_no_answer_is_one_line_in_words(world, call, body):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage(Damage(when=When.BEFORE, status=200, body=body, content_type=JSON_TYPE), *call)
    world.work(job)
    assert "unexpected error" not in world.words(job).lower()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert "Traceback" not in world.texts.all()


@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY])
def test_the_same_at_sign_in(world, part):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(page(200, when=When.BEFORE), part=part)
    world.work(job)
    world.rest(job)
    assert "Traceback" not in world.texts.all()
    assert "unexpected error" not in world.words(job).lower()
