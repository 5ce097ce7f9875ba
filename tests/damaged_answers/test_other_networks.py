"""Other people's networks and tenants: proxies, tenants as domains, stray challenges, subscriptions that refuse."""

from __future__ import annotations

import json

import pytest

from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.test_connection.spec import request_connection_test
from jobs.models import Job
from jobs.schedule import scans
from kmes.core.clock import now
from tests.damaged_answers.harness import KEKS, KEY, VERSIONS, made_versions_agree
from tests.faults.relay.calls import Part
from tests.faults.relay.certificates import Authority
from tests.faults.relay.damages import JSON_TYPE, Damage, When, edited, entra_error, envelope, page
from tests.faults.relay.proxy import Policy, Proxy
from tests.faults.relay.rules import Rule
from tests.jobs.builders import TENANT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
DOMAIN = "contoso.onmicrosoft.com"
OTHER_TENANT = "99999999-9999-9999-9999-999999999999"
SECOND = "44444444-4444-4444-4444-444444444444"


@pytest.fixture
def inspector(tmp_path):
    return Authority.make(tmp_path / "inspector", "Contoso Inspection CA")


@pytest.fixture
def through_proxy(world, azure_stand_in, monkeypatch):
    """Put a proxy between this process and every cloud."""
    opened = []

    def make(**policy):
        proxy = Proxy(Policy(**policy), ca_file=azure_stand_in.ca_file)
        opened.append(proxy)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        world.sign_out()
        return proxy

    def take_away():
        """The observer, who uses the same variables, asks the vault directly."""
        for name in ("HTTPS_PROXY", "https_proxy", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)

    make.take_away = take_away
    yield make
    for proxy in opened:
        proxy.close()


def push_one(world):
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.work(job)
    return job


# --- proxies ------------------------------------------------------------------------------------
def test_a_plain_proxy_is_used_for_every_connection(world, through_proxy):
    proxy = through_proxy()
    assert push_one(world).state == "succeeded"
    assert len({target for target, _status in proxy.connects}) == 1
    assert len(proxy.connects) >= 2


@pytest.mark.parametrize("how", ["KMES_CA_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_inspecting_proxy_is_trusted_by_one_setting(world, through_proxy, inspector, settings, monkeypatch, how):
    proxy = through_proxy(inspects=inspector)
    if how == "KMES_CA_FILE":
        settings.KMES_CA_FILE = str(inspector.ca_file)
    else:
        monkeypatch.setenv(how, str(inspector.ca_file))
        settings.KMES_CUSTOM_CA_FILE = ""
    world.sign_out()
    job = push_one(world)
    assert job.state == "succeeded", world.words(job)
    assert {seen.call.part for seen in proxy.desk.seen} >= {Part.TOKEN, Part.VAULT}
    through_proxy.take_away()
    made_versions_agree(world)


def test_the_same_setting_counts_for_azures_own_cloud(
    world, through_proxy, inspector, settings, azure_stand_in, credential
):
    here = ("127.0.0.1", azure_stand_in.port)
    names = ("login.microsoftonline.com", "management.azure.com", "kv-premium.vault.azure.net")
    proxy = through_proxy(inspects=inspector, aliases=dict.fromkeys(names, here))
    settings.KMES_CA_FILE = str(inspector.ca_file)
    world.change_destination(credential, cloud="public", authority_url="", arm_url="")
    world.change_destination(world.group.vault, url="https://kv-premium.vault.azure.net")
    world.group.refresh_from_db()
    world.sign_out()
    job = push_one(world)
    assert job.state == "succeeded", world.words(job)
    assert {target for target, _status in proxy.connects} <= {f"{name}:443" for name in names}


def test_a_certificate_that_nobody_vouches_for_is_named_as_that(world, through_proxy, inspector):
    through_proxy(inspects=inspector)
    job = push_one(world)
    assert job.state in {"queued", "failed"}
    assert "certificate" in world.words(job).lower()


@pytest.mark.parametrize("policy", [{"login": "ada:secret"}, {"refused": {"127.0.0.1"}}], ids=["407", "403"])
def test_a_proxy_that_refuses_the_connection_is_named(world, through_proxy, policy):
    proxy = through_proxy(**policy)
    job = push_one(world)
    assert_named(world, job)
    assert proxy.url.removeprefix("http://") in world.words(job)


@pytest.mark.parametrize("status", [403, 407, 511])
@pytest.mark.parametrize("part", [Part.TOKEN, Part.DISCOVERY, Part.VAULT])
def test_a_proxys_own_page_is_named_as_one(world, status, part):
    world.damage_sign_in(
        page(status, when=When.BEFORE, headers={"Via": "1.1 proxy.example.com"}), part=part, count=None
    )
    assert_named(world, push_one(world))


def assert_named(world, job):
    words = world.words(job).lower()
    assert "proxy" in words, words
    assert "secret" not in words
    assert "grant" not in words
    assert job.state == "queued"


# --- tenants ------------------------------------------------------------------------------------
def stray_challenge(**more):
    challenge = f'Bearer authorization="https://login.microsoftonline.com/{OTHER_TENANT}", resource="https://vault.azure.net"'  # fmt: skip
    return Damage(
        when=When.BEFORE,
        status=401,
        body=b'{"error":{"code":"Unauthorized","message":"AKV10000"}}',
        content_type=JSON_TYPE,
        headers={"WWW-Authenticate": challenge},
        **more,
    )


def test_a_stray_challenge_does_not_poison_the_process(world):
    world.sign_out()
    (key,) = world.make_keys("one")
    world.relay.add(Rule(stray_challenge(), probes=True, part=Part.VAULT))
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)
    assert world.compare().state == "succeeded"


@pytest.mark.parametrize("damage", [page(200, when=When.BEFORE), page(404, when=When.BEFORE)], ids=["200", "404"])
def test_a_page_of_something_in_between_is_no_answer_of_the_vault(world, credential, damage):
    world.damage(damage, part=Part.VAULT, count=None)
    job = request_connection_test(credential=credential, vault=world.group.vault, actor=world.actor)
    world.work(job)
    credential.refresh_from_db()
    passed = {result["name"] for result in credential.last_test if result["ok"]}
    assert passed <= {"Token", "Resource Manager"}


@pytest.mark.parametrize("what", ["challenge", "sign-in", "silence"])
def test_network_passes_on_an_answer_of_the_vault_only(world, credential, what):
    if what == "challenge":
        world.sign_out()
        world.relay.add(Rule(stray_challenge(), probes=True, part=Part.VAULT, count=None))
    elif what == "sign-in":
        world.damage_sign_in(page(503, when=When.BEFORE), count=None)
    else:
        world.damage(Damage(when=When.BEFORE, reset=True), part=Part.VAULT, count=None)
    job = request_connection_test(credential=credential, vault=world.group.vault, actor=world.actor)
    world.work(job)
    credential.refresh_from_db()
    assert "Network" not in {result["name"] for result in credential.last_test if result["ok"]}


def belongs_to(tenant, own):
    """Entra's answer about a domain: it is of this tenant."""
    configuration = {
        "token_endpoint": f"{own}/{tenant}/oauth2/v2.0/token",
        "authorization_endpoint": f"{own}/{tenant}/oauth2/v2.0/authorize",
        "jwks_uri": f"{own}/{tenant}/discovery/v2.0/keys",
        "issuer": f"{own}/{tenant}/v2.0",
    }
    return Damage(when=When.BEFORE, status=200, body=json.dumps(configuration).encode(), content_type=JSON_TYPE)


@pytest.fixture
def typed_as_domain(world, credential, relay, azure_stand_in):
    """A credential whose tenant was typed as a verified domain, which Entra knows."""
    relay.add(Rule(belongs_to(TENANT, relay.url_for(azure_stand_in.url)), path=f"/{DOMAIN}/*", count=None))
    world.change_destination(credential, tenant_id=DOMAIN)
    world.sign_out()
    world.group.refresh_from_db()
    return credential


def test_a_tenant_typed_as_a_domain_can_push(world, typed_as_domain):
    job = push_one(world)
    assert job.state == "succeeded", world.words(job)


def test_a_tested_tenant_becomes_its_id(world, typed_as_domain):
    job = request_connection_test(credential=typed_as_domain, vault=world.group.vault, actor=world.actor)
    world.work(job)
    typed_as_domain.refresh_from_db()
    assert (job.state, typed_as_domain.tenant_id) == ("succeeded", TENANT)
    assert DOMAIN in world.words(job)
    assert TENANT in world.words(job)
    assert push_one(world).state == "succeeded"


@pytest.fixture
def former_tenant(relay, azure_stand_in):
    """The first answer about the domain is from before it was moved."""
    relay.add(Rule(belongs_to(OTHER_TENANT, relay.url_for(azure_stand_in.url)), path=f"/{DOMAIN}/*"))


@pytest.mark.usefixtures("former_tenant", "typed_as_domain")
def test_a_domain_that_was_moved_to_another_tenant_is_asked_for_anew(world):
    job = push_one(world)
    world.rest(job)
    assert job.state == "succeeded", world.words(job)


# --- subscriptions ------------------------------------------------------------------------------
def second_subscription(world, *, first):
    def change(_call, value):
        row = {"id": f"/subscriptions/{SECOND}", "subscriptionId": SECOND, "displayName": "Trial", "state": "Enabled"}
        value["value"] = [row, *value["value"]] if first else [*value["value"], row]
        return value

    world.damage(edited(change), "GET", "/subscriptions", count=None)


@pytest.mark.parametrize("first", [True, False], ids=["bad one first", "bad one last"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AuthorizationFailed"),
        (404, "SubscriptionNotFound"),
        (409, "MissingSubscriptionRegistration"),
        (500, "InternalServerError"),
        (401, "InvalidAuthenticationTokenTenant"),
    ],
)
def test_one_subscription_that_refuses_does_not_hide_the_others(world, credential, status, code, first):
    second_subscription(world, first=first)
    world.damage(envelope(status, code, f"{code}: refused."), path=f"/subscriptions/{SECOND}/*", count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    world.rest(job)
    assert sorted(credential.vaults.values_list("name", flat=True).distinct())[-3:] == [
        *("kv-premium", "kv-protected", "kv-standard")
    ]
    words = world.words(job)
    assert SECOND in words or "Trial" in words
    assert [seen for seen in world.relay.seen if seen.call.path.endswith("/register")] == []


@pytest.mark.parametrize("damage", [page(404, when=When.BEFORE), page(200, when=When.BEFORE)], ids=["404", "200"])
def test_a_listing_that_is_no_answer_is_not_an_empty_one(world, credential, damage):
    world.damage(damage, part=Part.MANAGER, count=None)
    job = request_vault_list(credential=credential, actor=world.actor)
    world.work(job)
    assert "No vault is visible" not in world.words(job)
    assert job.state != "succeeded"


def test_a_next_link_whose_host_differs_in_case_is_followed(world, credential):
    port = credential.arm_url.rpartition(":")[2]
    world.change_destination(credential, arm_url=f"https://localhost:{port}")
    world.sign_out()
    link = f"https://LOCALHOST:{port}/subscriptions?api-version=2022-12-01&page=2"
    second = {"value": [{"id": f"/subscriptions/{SECOND}", "subscriptionId": SECOND, "displayName": "Trial"}]}
    answered = Damage(when=When.BEFORE, status=200, body=json.dumps(second).encode(), content_type=JSON_TYPE)
    world.damage(answered, "GET", "/subscriptions", query="page=2")
    world.damage(edited(lambda _call, value: {**value, "nextLink": link}), "GET", "/subscriptions")
    job = request_vault_list(credential=type(credential).objects.get(), actor=world.actor)
    world.work(job)
    asked = [seen.call.path for seen in world.relay.seen if SECOND in seen.call.path]
    assert asked or "subscriptions" in world.words(job).lower()


# --- refusals by their meaning ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "text", "word"),
    [
        (7000112, "Application is disabled.", "disabled"),
        (7000229, "The client application is missing service principal in the tenant.", "service principal"),
        (53003, "Access has been blocked by Conditional Access policies.", "conditional access"),
        (500011, "The resource principal named https://vault.azure.net was not found in the tenant.", "cloud"),
    ],
)
def test_an_aadsts_code_has_its_own_cure(world, number, text, word):
    world.damage_sign_in(entra_error(400, number, text, error="unauthorized_client"), count=None)
    job = push_one(world)
    words = world.words(job)
    assert f"AADSTS{number}" in words
    assert word in words.lower()
    assert "secret" not in words.lower()


def test_a_right_that_is_missing_is_asked_for_once_more_with_a_new_token(world):
    missing = "The user, group or application 'appid=1' does not have keys import permission on key vault 'kv'."
    world.damage(envelope(403, "Forbidden", missing, inner="AccessDenied"), "PUT", KEY, count=1)
    job = push_one(world)
    assert job.state == "succeeded", world.words(job)
    assert len(world.relay.calls("PUT", KEY)) == 2
    made_versions_agree(world)


def test_one_firewall_refusal_does_not_lose_a_due_rotation(world):
    job = world.make_due()
    text = "Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.7\r\n"
    world.damage(envelope(403, "Forbidden", text, inner="ForbiddenByFirewall"), "GET", VERSIONS)
    world.work(job)
    assert "203.0.113.7" in world.words(job)
    slot = world.group.rotation_slots.get()
    assert slot.next_try_at is not None
    assert "203.0.113.7" in slot.last_error
    type(slot).objects.update(next_try_at=now())
    (made,) = scans.scan_rotations()
    again = Job.objects.get(pk=made)
    world.work(again)
    assert again.state == "succeeded", world.words(again)
    made_versions_agree(world)


@pytest.mark.parametrize(
    "text",
    [
        "Key creation was disallowed by policy. Policy: Keys should have the specified maximum validity period.",
        "Operation is not allowed because of the state of the subscription.",
        "The vault is under legal hold.",
    ],
)
@pytest.mark.parametrize("call", [("POST", KEKS + "/create"), ("PUT", KEY)], ids=["KEK", "import"])
def test_a_403_for_another_reason_is_told_in_azures_words(world, text, call):
    world.damage(envelope(403, "Forbidden", text), *call, count=None)
    job = push_one(world)
    words = world.words(job)
    assert text.rstrip(".") in words
    assert "lacks the key permission" not in words
    assert "grant" not in words.lower()
