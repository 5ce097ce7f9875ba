"""What passes by itself ends no job for good."""

from __future__ import annotations

import contextlib
import socket

import pytest

from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from tests.damaged_answers.harness import KEKS, KEY, each_of, made_versions_agree
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, When, entra_error, envelope, page
from tests.faults.surroundings import HOOKS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
UNAVAILABLE = Damage(
    when=When.BEFORE,
    status=503,
    body=b'{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred."}',
    content_type=JSON_TYPE,
)
SIGN_IN = {
    "503": UNAVAILABLE,
    "503 page": page(503, when=When.BEFORE),
    "429": Damage(when=When.BEFORE, status=429, body=b"{}", content_type=JSON_TYPE, headers={"Retry-After": "1"}),
    "429 page": page(429, when=When.BEFORE),
    "500 empty": Damage(when=When.BEFORE, status=500, body=b"", content_type=""),
    "502 page": page(502, when=When.BEFORE),
    "200 page": page(200, when=When.BEFORE),
    "200 empty": Damage(when=When.BEFORE, status=200, body=b"", content_type=""),
    "200 other JSON": Damage(when=When.BEFORE, status=200, body=b'{"ok":true}', content_type=JSON_TYPE),
    "404 page": page(404, when=When.BEFORE),
    "302": Damage(when=When.BEFORE, status=302, body=b"", headers={"Location": "https://login.example.invalid/"}),
    "reset": Damage(when=When.BEFORE, reset=True),
    "cut": Damage(cut=60),
    "AADSTS50196": entra_error(400, 50196, "The server ended the request: a client request loop.", error="invalid_grant"),
    "AADSTS90033": entra_error(400, 90033, "A transient error has occurred.", error="temporarily_unavailable"),
}  # fmt: skip


def assert_done(world, job):
    assert job.state == "succeeded", world.words(job)
    assert "secret" not in world.words(job).lower()
    made_versions_agree(world)


@each_of(SIGN_IN)
def test_a_bad_moment_of_the_token_endpoint_does_not_end_a_due_rotation(world, damage):
    job = world.make_due()
    world.damage_sign_in(damage, count=2)
    world.work(job)
    if damage.status == 400:
        # MSAL repeats an error of Entra by itself for a minute, which passes at once here.
        world.calm()
        world.sign_out()
    world.rest(job)
    assert_done(world, job)


@each_of({name: SIGN_IN[name] for name in ("503", "429", "200 page", "404 page", "reset")})
@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY])
def test_nor_a_push_that_a_person_asked_for(world, damage, part):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(damage, count=2, part=part)
    world.work(job)
    world.rest(job)
    assert_done(world, job)


def test_a_login_host_that_refuses_connections_is_asked_again(world, credential):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address, where = f"https://127.0.0.1:{closed.getsockname()[1]}", credential.authority_url
        job = world.make_due()
        world.sign_out()
        world.change_destination(credential, authority_url=address)
        world.work(job)
        assert "secret" not in world.words(job).lower()
    world.change_destination(credential, authority_url=where)
    world.rest(job)
    assert_done(world, job)


@each_of({name: SIGN_IN[name] for name in ("503", "429", "404 page", "200 other JSON", "reset")})
def test_nor_does_a_bad_moment_of_the_openid_configuration(world, damage):
    job = world.make_due()
    world.damage_sign_in(damage, part=Part.DISCOVERY, count=2)
    world.work(job)
    world.rest(job)
    assert_done(world, job)


@pytest.mark.parametrize("call", [("PUT", KEY), ("POST", KEKS + "/create")], ids=["import", "KEK"])
def test_a_conflict_of_parallel_operations_is_tried_again(world, call):
    text = "There was a conflict caused by multiple operations in parallel on the same object. Please retry."
    (key,) = world.make_keys("one")
    world.damage(envelope(409, "Conflict", text), *call)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert_done(world, job)


def test_a_device_that_cannot_be_loaded_for_a_moment_does_not_lose_a_rotation(world):
    job = world.make_due()
    with contextlib.ExitStack() as after:
        HOOKS["device gone"](world, job, after)
        world.work(job)
    world.rest(job)
    assert_done(world, job)


@pytest.mark.parametrize("inner", ["", "ObjectIsBeingDeleted"])
def test_a_push_right_after_a_purge_waits(world, inner):
    key = world.push_one()
    world.run(request_cloud_delete(group=world.group, actor=world.actor))
    world.run(request_cloud_purge(group=world.group, actor=world.actor))
    world.damage(envelope(409, "Conflict", "Key is currently being deleted.", inner=inner), "PUT", KEY, count=2)
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert_done(world, job)
