"""Somebody who forges, replays or exchanges what the identity provider says, or leads sign-ins to another provider."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.db import connection
from django.test import Client

from kmes.accounts.company_sign_on import documents, seals
from kmes.accounts.company_sign_on.errors import SignOnRefused
from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.models import UsedChallenge, User
from kmes.core.clock import now
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts.sign_on_pages import (
    ANSWER,
    LOGOUT,
    START,
    be_patient,
    begin,
    is_in,
    provider,
    running,
    save,
    sign_in,
)
from tests.accounts.sign_on_provider import CLIENT, EVENT, Key
from tests.people import body

__all__ = ["provider", "running"]
pytestmark = pytest.mark.django_db
MOMENT = 1_000_000


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def unsigned(provider, claims):
    return f"{part({'alg': 'none', 'kid': 'first'})}.{part(claims)}."


def by_public_key(provider, claims):
    """Sign with HMAC, under the public key as everybody can read it."""
    public = provider.key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims)}"
    signature = hmac.digest(public, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def by_embedded_key(provider, claims):
    """Sign with a key that the token brings itself."""
    other = Key("first")
    kept, provider.key = provider.key, other
    try:
        return provider.sign(claims, jwk=other.published, jku="https://evil.example/keys")
    finally:
        provider.key = kept


def changed(**claims):
    return lambda provider, given: provider.sign(
        {name: value for name, value in {**given, **claims}.items() if value is not None}
    )


def with_header(**header):
    return lambda provider, given: provider.sign(given, **header)


def tampered(provider, claims):
    header, _claims, signature = provider.sign(claims).split(".")
    return f"{header}.{part({**claims, 'groups': ['kmes-admins']})}.{signature}"


def weak(provider, claims):
    key = Key("weak")
    key.private = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weakness is the attack
    provider.keys = [key.published]
    text = f"{part({'alg': 'RS256', 'kid': 'weak'})}.{part(claims)}"
    signature = key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGED = {
    "unsigned": unsigned,
    "HMAC with the public key": by_public_key,
    "a key in the token": by_embedded_key,
    "claims changed afterwards": tampered,
    "a key of 1024 bits": weak,
    "another nonce": changed(nonce="another"),
    "no nonce": changed(nonce=None),
    "another audience": changed(aud="another client"),
    "several audiences": changed(aud=[CLIENT, "another client"]),
    "made for another party": changed(azp="another client"),
    "another issuer": changed(iss="https://evil.example"),
    "no issuer": changed(iss=None),
    "expired": changed(exp=MOMENT),
    "without an end": changed(exp=None),
    "made long ago": changed(iat=MOMENT),
    "without a time": changed(iat=None),
    "made in the future": changed(iat=2**33),
    "not valid yet": changed(nbf=2**33),
    "no subject": changed(sub=None),
    "empty subject": changed(sub=""),
    "long subject": changed(sub="x" * 256),
    "a number as subject": changed(sub=7),
    "a logout token": changed(events={EVENT: {}}),
    "an access token": with_header(typ="at+jwt"),
    "the type of a logout token": with_header(typ="logout+jwt"),
    "unknown extensions": with_header(crit=["x"], x=1),
    "another key's id": with_header(kid="another"),
    "no token": lambda _provider, _claims: "",
    "no JWT": lambda _provider, _claims: "x.y",
}


@pytest.mark.parametrize("how", FORGED)
def test_an_id_token_that_does_not_hold_signs_nobody_in(provider, how):
    provider.make_token = lambda claims: FORGED[how](provider, claims)
    client, answer = sign_in(provider)
    assert answer.status_code == 403
    assert not is_in(client)
    assert not User.objects.exists()
    assert "Company sign-on refused" in LogEntry.objects.filter(event="access.login_failed").latest("sequence").message


def test_the_same_token_with_nothing_wrong_signs_in(provider):
    provider.make_token = lambda claims: changed(aud=[CLIENT], azp=CLIENT, nbf=int(time.time()) + 30)(provider, claims)
    assert is_in(sign_in(provider)[0])


def test_a_rolled_key_is_found_and_a_former_one_refused(provider, monkeypatch):
    former = provider.key
    assert is_in(sign_in(provider)[0])
    provider.key = Key("second")
    provider.keys = [provider.key.published]
    # Not read again at once, or a stranger would make the console ask for every made-up key.
    assert not is_in(sign_in(provider)[0])
    assert provider.asked.count("/keys") == 1
    monkeypatch.setattr(documents, "PAUSE_SECONDS", 0)
    assert is_in(sign_in(provider)[0])
    provider.make_token = lambda claims: with_former(provider, former, claims)
    assert not is_in(sign_in(provider)[0])
    provider.key = former


def with_former(provider, former, claims):
    kept, provider.key = provider.key, former
    try:
        return provider.sign(claims)
    finally:
        provider.key = kept


# --- The way to the provider and back --------------------------------------------------------------
def test_an_answer_is_taken_once_and_only_by_the_browser_that_began(provider, client):
    # Whatever the provider makes of it.
    provider.takes_codes_once = False
    back = provider.authorize(begin(client))
    cookies = client.cookies["kmes_sign_on"].value
    # Login CSRF: the victim's browser is led to the attacker's answer.
    victim = Client()
    assert (victim.get(back).status_code, is_in(victim)) == (403, False)
    begin(victim)
    assert (victim.get(back).status_code, is_in(victim)) == (403, False)
    assert client.get(back).status_code == 302
    for replayed in (client, Client()):
        replayed.cookies["kmes_sign_on"] = cookies
        replayed.cookies.pop("kmes_session", None)
        assert (replayed.get(back).status_code, is_in(replayed)) == (403, False)


def test_another_site_begins_no_sign_in(provider, client):
    assert client.get(START, HTTP_SEC_FETCH_SITE="cross-site").url == "/login/?next=/"
    assert client.get(START, HTTP_SEC_FETCH_SITE="same-origin").url.startswith(provider.issuer)


def test_a_code_of_somebody_else_s_sign_in_does_not_fit(provider, client):
    """The attacker puts a stolen code into an answer to a sign-in of their own: PKCE and nonce differ."""
    stolen = provider.authorize(begin(Client()), groups=["kmes-admins"]).partition("code=")[2].partition("&")[0]
    own = provider.authorize(begin(client))
    answer = client.get(own.replace(own.partition("code=")[2].partition("&")[0], stolen))
    assert (answer.status_code, is_in(client)) == (403, False)


def test_of_two_answers_at_the_same_moment_one_is_taken(transactional_db, running, settings, monkeypatch):
    be_patient(monkeypatch)
    found, authority = running
    found.reset()
    found.takes_codes_once = False
    documents.forget()
    settings.KMES_CA_FILE, settings.KMES_SIGN_ON_PRIVATE_HOSTS = str(authority), ["127.0.0.1"]
    save(found)
    first = Client()
    back, statuses = found.authorize(begin(first)), []
    cookie = first.cookies["kmes_sign_on"].value

    def take():
        try:
            browser = Client()
            browser.cookies["kmes_sign_on"] = cookie
            statuses.append(browser.get(back).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(statuses) == [302, 403]


def test_an_answer_that_comes_too_late_is_refused(provider, client):
    back = provider.authorize(begin(client))
    with time_machine.travel(now() + timedelta(minutes=11)):
        assert client.get(back).status_code == 403


@pytest.mark.parametrize("iss", ["https://evil.example", "", None])
def test_an_answer_of_another_issuer_is_refused_before_the_code_goes_anywhere(provider, client, iss):
    back = provider.authorize(begin(client))
    address, _, own = back.partition("&iss=")
    assert own
    assert client.get(address if iss is None else f"{address}&iss={iss}").status_code == 403
    assert "/token" not in provider.asked


@pytest.mark.parametrize("more", ["&state=x", "&code=x", "&iss=x", "&error=" + "x" * 5000])
def test_an_answer_with_a_parameter_twice_or_too_long_is_refused(provider, client, more):
    assert client.get(f"{provider.authorize(begin(client))}{more}").status_code == 403
    assert not is_in(client)


def test_settings_that_changed_meanwhile_end_the_sign_ins_on_their_way(provider, client):
    back = provider.authorize(begin(client))
    save(provider, client_id="another")
    assert client.get(back).status_code == 403
    assert "/token" not in provider.asked


def test_a_stranger_who_guesses_answers_is_held_back_and_leaves_no_rows(provider, settings):
    settings.KMES_SIGN_IN_TRIES_PER_ADDRESS = 3
    statuses = [Client().get(f"{ANSWER}?state={number}&code=x").status_code for number in range(5)]
    assert statuses == [403, 403, 403, 429, 429]
    assert provider.asked == []
    assert LogEntry.objects.filter(event="access.login_failed", actor_name="(company sign-on)").count() == 1


def test_answers_in_which_the_provider_refuses_leave_no_rows(provider):
    for _each in range(3):
        client = Client()
        back = provider.authorize(begin(client)).replace("code=", "error=access_denied&was=")
        assert client.get(back).status_code == 403
    assert not UsedChallenge.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issuer", "https://evil.example"),
        ("token_endpoint", "http://127.0.0.1/token"),
        ("token_endpoint", "https://169.254.169.254/token"),
        ("token_endpoint", "https://127.0.0.1@evil.example/token"),
        ("jwks_uri", "https://10.0.0.1/keys"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("authorization_endpoint", None),
    ],
)
def test_metadata_that_leads_elsewhere_is_refused(provider, name, value):
    provider.metadata[name] = value
    answer = Client().get(START)
    assert answer.status_code in {403, 503}
    assert set(provider.asked) == {"/.well-known/openid-configuration"}


def test_a_redirect_or_a_flood_is_no_answer(provider, monkeypatch):
    provider.metadata["x"] = "y" * 300_000
    assert Client().get(START).status_code == 503
    documents.forget()
    provider.metadata.pop("x")
    provider.status = 302
    assert Client().get(START).status_code == 503


# --- The database -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "written",
    [
        {"issuer": "https://evil.example"},
        {"group_roles": {"kmes-operators": "admin"}},
        {"unmatched_role": "admin"},
        {"may_link": True},
        {"is_enabled": True, "factor_values": ["pwd"]},
    ],
)
def test_settings_that_were_written_into_the_database_sign_nobody_in(provider, written):
    SignOnProvider.objects.update(**written)
    assert Client().get(START).status_code == 403
    assert provider.asked == []
    assert Notice.objects.filter(event="access.sign_on_not_genuine").exists()
    with pytest.raises(SignOnRefused):
        seals.open_provider(SignOnProvider.objects.get())


def test_a_link_that_was_moved_to_another_user_signs_nobody_in(provider, django_user_model):
    sign_in(provider)
    boss = django_user_model.objects.create_user("boss", role="admin")
    SignOnIdentity.objects.update(user=boss)
    assert not is_in(sign_in(provider)[0])
    SignOnIdentity.objects.update(user=User.objects.get(username="ada"), subject="eve")
    assert not is_in(sign_in(provider, sub="eve")[0])


# --- Logout tokens ------------------------------------------------------------------------------
BAD_LOGOUTS = {
    "no event": {"events": {}},
    "another event": {"events": {"https://example.com": {}}},
    "a nonce": {"nonce": "x"},
    "neither account nor session": {"sub": None, "sid": None},
    "no jti": {"jti": None},
    "another audience": {"aud": "another client"},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": MOMENT},
    "made long ago": {"iat": MOMENT},
}


@pytest.mark.parametrize("how", BAD_LOGOUTS)
def test_a_logout_token_that_does_not_hold_ends_no_session(provider, how):
    client, _answer = sign_in(provider, sid="one")
    token = provider.logout_token(**{"sub": "subject-of-ada", "sid": "one", **BAD_LOGOUTS[how]})
    answer = Client().post(LOGOUT, {"logout_token": token})
    assert (answer.status_code, body(answer)) == (400, '{"error": "invalid_request"}')
    assert is_in(client)


def test_neither_an_id_token_nor_a_forged_one_ends_a_session(provider):
    tokens = []
    provider.make_token = lambda claims: tokens.append(provider.sign(claims)) or tokens[-1]
    client, _answer = sign_in(provider, sid="one")
    claims = provider.claims(sub="subject-of-ada", nonce=None, jti="1", events={EVENT: {}})
    for token in (*tokens, unsigned(provider, claims), by_public_key(provider, claims), "", "x"):
        assert Client().post(LOGOUT, {"logout_token": token}).status_code == 400
    assert is_in(client)


def test_a_logout_token_works_once(provider):
    token = provider.logout_token(sub="subject-of-ada")
    assert Client().post(LOGOUT, {"logout_token": token}).status_code == 200
    client, _answer = sign_in(provider)
    assert Client().post(LOGOUT, {"logout_token": token}).status_code == 400
    assert is_in(client)


def test_the_provider_of_another_session_ends_none_by_the_same_id(provider):
    client, _answer = sign_in(provider, sid="one")
    assert Client().post(LOGOUT, {"logout_token": provider.logout_token(sid="two")}).status_code == 200
    assert is_in(client)
