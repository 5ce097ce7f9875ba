"""Answers in the service's own format that say what it never says: nobody learns anything wrong from them."""

from __future__ import annotations

import json

import pytest

from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.set_enabled.spec import request_set_enabled
from tests.damaged_answers.harness import ONE_VERSION, VERSIONS, made_versions_agree, without
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, When, edited
from tests.faults.relay.rules import Rule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
HERE = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111"


def with_row(**members):
    """Damage that changes members of a listing's first row."""

    def change(_call, document):
        document["value"][0] |= members
        return document

    return edited(change)


def of_another_key(_call, document):
    for row in document["value"]:
        row["kid"] = row["kid"].replace("/keys/payments/", "/keys/other/")
    return document


LISTINGS = {
    "no attributes": without("value", 0, "attributes"),
    "no enabled": without("value", 0, "attributes", "enabled"),
    "no time of creation": without("value", 0, "attributes", "created"),
    "expiry beyond all dates": with_row(attributes={"enabled": True, "created": 1_700_000_000, "exp": 10**18}),
    "tags as a list": with_row(tags=["kmes-key"]),
    "rows of another key": edited(of_another_key),
    "next page as a number": edited(lambda _call, document: document | {"nextLink": 5}),
    "next page of another list": edited(
        lambda call, document: document | {"nextLink": f"https://{call.header('Host')}/keys?api-version=7.6"}
    ),
}


@pytest.mark.parametrize("damage", LISTINGS.values(), ids=LISTINGS)
def test_a_strange_listing_is_no_drift(world, damage):
    world.push_one()
    world.damage(damage, "GET", VERSIONS, count=None)
    job = world.compare()
    assert job.state == "queued", world.words(job)
    assert world.states() == {"first": "active"}
    world.calm()
    world.rest(job)
    assert "No drift" in world.words(job)
    made_versions_agree(world)


def test_the_answer_about_another_version_is_not_the_one_that_was_asked_for(world):
    """As a cache gives it that looks at less than the whole path."""
    key = world.push_one()

    def swap(_call, document):
        kid = document["key"]["kid"]
        document["key"]["kid"] = kid[:-32] + "0" * 32
        return document

    world.damage(edited(swap), "PATCH", ONE_VERSION)
    job = request_set_enabled(version=key.cloud_versions.get(), enabled=False, actor=world.actor)
    world.work(job)
    assert job.state == "queued", world.words(job)
    world.rest(job)
    assert (job.state, world.states()) == ("succeeded", {"first": "disabled"})
    made_versions_agree(world)


@pytest.mark.parametrize(
    "resource", ['resource="https://management.azure.com"', "scope=https://graph.microsoft.com/.default"]
)
def test_a_vault_gets_no_token_for_another_service(world, resource):
    challenge = Damage(
        when=When.BEFORE,
        status=401,
        body=b'{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}',
        content_type=JSON_TYPE,
        headers={"WWW-Authenticate": f'Bearer authorization="{HERE}", {resource}'},
    )
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.sign_out()
    world.relay.add(Rule(challenge, part=Part.VAULT, probes=True, count=None))
    world.work(job)
    asked = [seen.call.body for seen in world.relay.seen if seen.call.part == Part.TOKEN]
    assert not any(b"management" in body or b"graph" in body for body in asked)
    assert job.state == "queued", world.words(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


@pytest.mark.parametrize(
    "members",
    [{"expires_in": "soon"}, {"access_token": "a\r\nX-Injected: 1"}, {"token_type": "pop"}, {"id_token": "x"}],
    ids=lambda members: next(iter(members)),
)
def test_a_strange_token_is_not_kept(world, members):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(edited(lambda _call, document: document | members))
    world.work(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert not any("injected" in seen.call.header("X-Injected") for seen in world.relay.seen)


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY])
def test_an_error_of_a_gateway_at_sign_in_is_no_refusal_of_entra(world, status, part):
    (key,) = world.make_keys("one")
    job = world.push(key)
    body = json.dumps({"error": "login required", "error_description": "Sign in to the guest network."}).encode()
    damage = Damage(when=When.BEFORE, status=status, body=body, content_type=JSON_TYPE)
    world.damage_sign_in(damage, part=part)
    world.work(job)
    assert "secret" not in world.words(job).lower()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


ROWS = {
    "properties as text": {"properties": "x"},
    "no properties": {"properties": None},
    "sku as text": {"properties": {"vaultUri": "https://x", "sku": "premium", "softDeleteRetentionInDays": "many"}},
    "retention without end": {"properties": {"vaultUri": "https://x", "softDeleteRetentionInDays": 10**30}},
    "name no column can keep": {"name": "kv\0\ud800"},
    "endpoints": {"properties": {"vaultUri": "https://x", "privateEndpointConnections": [None, 5, {"properties": []}]}},
}


@pytest.mark.parametrize("members", ROWS.values(), ids=ROWS)
def test_a_strange_vault_in_a_list_does_not_hide_the_others(world, credential, members):
    world.damage(with_row(**members), "GET", "/subscriptions/*/vaults", count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    assert job.state in {"succeeded", "warned"}, world.words(job)
    assert "unexpected error" not in world.words(job)
    assert credential.vaults.filter(name__in=["kv-premium", "kv-protected", "kv-standard"]).count() >= 2
