"""Signing out of the console leads to the sign-out at the provider, where the settings say so, and depends on it never."""

from __future__ import annotations

import html
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.test import Client

from kmes.accounts.company_sign_on import documents, seals
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.models import ConsoleSession
from tests.accounts.sign_on_pages import TEST, is_in, provider, running, save, sign_in
from tests.accounts.sign_on_provider import CLIENT
from tests.people import body, pages, people, static_root

__all__ = ["pages", "people", "provider", "running", "static_root"]
pytestmark = pytest.mark.django_db
OUT, BACK = "/logout/", "/login/company/signed-out/"


@pytest.fixture
def leading(provider):
    provider.metadata["end_session_endpoint"] = f"{provider.issuer}/session/end"
    save(provider, signs_out_there=True)
    return provider


def led_to(answer) -> dict[str, str]:
    """Return the parameters with which the page leads to the provider."""
    address = answer["Refresh"].removeprefix("0; url=")
    assert f'href="{html.escape(address)}"' in body(answer)
    return {"": address.partition("?")[0], **{name: text for name, [text] in parse_qs(urlsplit(address).query).items()}}


def test_signing_out_ends_the_session_and_leads_to_the_provider(leading):
    client, _answer = sign_in(leading)
    answer = client.post(OUT)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert not is_in(client)
    given = led_to(answer)
    assert given[""] == f"{leading.issuer}/session/end"
    assert given["client_id"] == CLIENT
    assert given["post_logout_redirect_uri"] == f"http://testserver{BACK}"
    hint = jwt.decode(given["id_token_hint"], options={"verify_signature": False}, algorithms=["RS256"])
    assert hint["sub"] == "subject-of-ada"
    assert "sessions of this console and of the identity provider" in body(client.get(f"{BACK}?state={given['state']}"))
    # Once, and in this browser only.
    assert client.get(f"{BACK}?state={given['state']}").url == "/login/"
    assert Client().get(f"{BACK}?state=").url == "/login/"


def test_the_session_s_row_does_not_hold_the_token_in_clear(leading):
    sign_in(leading)
    noted = ConsoleSession.objects.get(user__username="ada").get_decoded()["kmes_sign_on"]
    assert noted["hint"]
    assert ".ey" not in str(noted)


def test_a_token_that_is_too_long_for_an_address_is_left_out(leading):
    client, _answer = sign_in(leading, filler="x" * 5000)
    given = led_to(client.post(OUT))
    assert "id_token_hint" not in given
    assert given["client_id"] == CLIENT


@pytest.mark.parametrize("why", ["away", "no endpoint", "a bad endpoint", "settings off", "another issuer", "unsealed"])
def test_without_the_provider_signing_out_ends_the_session_all_the_same(leading, why):
    client, _answer = sign_in(leading)
    if why == "away":
        leading.status = 500
    elif why == "no endpoint":
        del leading.metadata["end_session_endpoint"]
    elif why == "a bad endpoint":
        leading.metadata["end_session_endpoint"] = "javascript:alert(1)"
    elif why == "settings off":
        save(leading)
    elif why == "another issuer":
        save(leading, issuer="https://other.example", signs_out_there=True)
    else:
        SignOnProvider.objects.update(name="changed past the console")
    documents.forget()
    assert client.post(OUT).url == "/login/"
    assert not is_in(client)


def test_a_session_that_began_here_leads_nowhere(leading, pages):
    assert pages.post(OUT).url == "/login/"


def test_settings_that_were_saved_before_the_switch_keep_their_seal(provider):
    row = SignOnProvider.objects.get()
    before = seals.COLUMNS
    assert "signs_out_there" in before
    seals.open_provider(row)
    SignOnProvider.objects.update(signs_out_there=True)
    with pytest.raises(seals.NotAsSaved):
        seals.open_provider(SignOnProvider.objects.get())


def test_the_test_says_whether_the_provider_has_a_sign_out(leading, pages):
    assert "Sign-out there" in body(pages.post(TEST))
    del leading.metadata["end_session_endpoint"]
    assert "names no allowed end session endpoint" in body(pages.post(TEST))
