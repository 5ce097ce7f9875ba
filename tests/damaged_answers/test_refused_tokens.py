"""The vault or Resource Manager refuses a token, or Entra is out of order: what passes by itself ends no job for good."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest

from jobs.kinds.list_vaults.spec import request_vault_list
from tests.damaged_answers.harness import KEY, VERSIONS, made_versions_agree
from tests.faults.relay.calls import Part
from tests.faults.relay.damages import JSON_TYPE, Damage, When, entra_error, envelope
from tests.faults.relay.rules import Rule
from tests.jobs.builders import TENANT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
REFUSED = b'{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}'
LOGIN = "https://login.microsoftonline.com"
# Continuous access evaluation withdrew the token.
CLAIMS = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzI2MDc3NTk1In19fQ=="
WITHDRAWN = f'Bearer realm="", authorization_uri="{LOGIN}/common/oauth2/authorize", error="insufficient_claims", claims="{CLAIMS}"'
NAMES_NO_SIGN_IN = {
    "common": f'Bearer authorization="{LOGIN}/common", resource="https://vault.azure.net"',
    "no tenant": f'Bearer authorization="{LOGIN}/", resource="https://vault.azure.net"',
    "no resource": f'Bearer authorization="{LOGIN}/{TENANT}"',
    "names in another case": f'Bearer Authorization="{LOGIN}/{TENANT}", Resource="https://vault.azure.net"',
    "two schemes": f'Negotiate, Bearer authorization="{LOGIN}/{TENANT}", resource="https://vault.azure.net"',
}
VALID = f'Bearer authorization="{LOGIN}/{TENANT}", resource="https://vault.azure.net"'


def challenge(header, body=REFUSED):
    return Damage(when=When.BEFORE, status=401, body=body, content_type=JSON_TYPE, headers={"WWW-Authenticate": header})


@pytest.mark.parametrize("call", [("GET", VERSIONS), ("PUT", KEY)], ids=["reading", "import"])
def test_a_token_that_was_withdrawn_is_replaced_by_one_with_the_claims(world, call):
    (key,) = world.make_keys("one")
    world.damage(challenge(WITHDRAWN), *call)
    job = world.push(key)
    world.work(job)
    assert job.state == "succeeded", world.words(job)
    asked = [parse_qs(seen.call.body.decode()) for seen in world.relay.seen if seen.call.part == Part.TOKEN]
    assert any("nbf" in form.get("claims", [""])[0] for form in asked)
    made_versions_agree(world)


@pytest.mark.parametrize("header", NAMES_NO_SIGN_IN.values(), ids=NAMES_NO_SIGN_IN)
@pytest.mark.parametrize("probes", [True, False], ids=["first request", "with a token"])
def test_a_challenge_that_names_no_sign_in_is_no_answer(world, header, probes):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.sign_out()
    world.relay.add(Rule(challenge(header), part=Part.VAULT, probes=probes, count=4))
    world.work(job)
    assert "tenant" not in world.words(job).lower()
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


def refusal(text):
    return json.dumps({"error": {"code": "Unauthorized", "message": text}}).encode()


REFUSALS_THAT_PASS = {
    "no token": REFUSED,
    "signing key not known yet": refusal("AKV10046: Unable to resolve the key used for signature validation."),
    "without a code": refusal("[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'."),
}


@pytest.mark.parametrize("body", REFUSALS_THAT_PASS.values(), ids=REFUSALS_THAT_PASS)
@pytest.mark.parametrize("call", [("GET", VERSIONS), ("PUT", KEY)], ids=["reading", "import"])
def test_a_token_that_the_vault_refuses_for_a_while_ends_no_job(world, call, body):
    (key,) = world.make_keys("one")
    world.damage(challenge(VALID, body), *call, count=None)
    job = world.push(key)
    world.work(job)
    assert job.state == "queued", world.words(job)
    assert "did not accept the token from the sign-in" in world.words(job)
    assert "secret" not in world.words(job).lower()
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


@pytest.mark.parametrize("code", ["AKV10022: Invalid audience.", "AKV10032: Invalid issuer."])
def test_a_token_for_another_place_is_refused_at_once_and_no_secret_is_blamed(world, code):
    (key,) = world.make_keys("one")
    world.damage(challenge(VALID, refusal(code)), "GET", VERSIONS, count=None)
    job = world.push(key)
    world.work(job)
    assert job.state == "failed", world.words(job)
    assert "secret" not in world.words(job).lower()


PASSING = {
    "server_error": entra_error(400, 90012, "A request to the service timed out.", error="server_error"),
    "temporarily_unavailable": entra_error(400, 4711, "Try again.", error="temporarily_unavailable"),
    "budget": entra_error(400, 90024, "A transient error has occurred.", error="invalid_request"),
    "throttled tenant": entra_error(401, 90055, "The tenant sends too many requests.", error="invalid_client"),
}


@pytest.mark.parametrize("damage", PASSING.values(), ids=PASSING)
def test_an_error_of_entra_that_passes_is_told_by_its_word_or_code(world, damage):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.damage_sign_in(damage, count=4)
    world.work(job)
    assert "secret" not in world.words(job).lower()
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


OTHER_READERS = {
    "UTF-16 by name": Damage(headers={"Content-Type": "application/json; charset=utf-16"}),
    "EBCDIC by name": Damage(headers={"Content-Type": 'application/json; charset="cp500"'}),
    "a member twice": Damage(edit=lambda _call, body: body.replace(b"{", b'{"attributes":{},"value":[],', 1)),
    "304": Damage(status=304, body=b"", content_type=""),
}


@pytest.mark.parametrize("damage", OTHER_READERS.values(), ids=OTHER_READERS)
@pytest.mark.parametrize("call", [("GET", VERSIONS), ("PUT", KEY)], ids=["reading", "import"])
def test_what_the_sdk_would_read_in_another_way_is_no_answer(world, damage, call):
    (key,) = world.make_keys("one")
    world.damage(damage, *call)
    job = world.push(key)
    world.work(job)
    assert "another address" not in world.words(job)
    assert "Azure properties" not in world.words(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    made_versions_agree(world)


@pytest.mark.parametrize("path", ["/subscriptions", "/subscriptions/*/vaults"])
def test_an_expired_token_for_resource_manager_is_replaced(world, credential, path):
    expired = envelope(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")
    world.damage(expired, "GET", path)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert credential.vaults.filter(name="kv-premium").exists()


@pytest.mark.parametrize(
    ("status", "code"), [(404, "SubscriptionNotFound"), (409, "Conflict"), (400, "InvalidRequest")]
)
def test_a_refusal_of_resource_manager_says_nothing_of_keys(world, credential, status, code):
    world.damage(envelope(status, code, "Refused."), "GET", "/subscriptions", count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    assert code in world.words(job)
    assert "key" not in world.words(job)
    world.calm()
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


def test_a_subscription_that_is_throttled_is_named_as_that(world, credential):
    world.damage(envelope(429, "TooManyRequests", "Too many."), "GET", "/subscriptions/*/vaults", count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    assert "throttles" in world.words(job)
    assert "Reader" not in world.words(job)


def test_a_claim_in_a_challenge_reaches_no_text(world):
    (key,) = world.make_keys("one")
    world.damage(challenge(WITHDRAWN), "GET", VERSIONS, count=None)
    job = world.push(key)
    world.work(job)
    assert CLAIMS[:24] not in world.texts.all() + world.words(job) + json.dumps(world.log_texts())
