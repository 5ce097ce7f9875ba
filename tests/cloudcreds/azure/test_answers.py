"""What may be believed of an answer: only a whole answer of the service that was asked, in its own words."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cloudcreds.azure.answers import (
    Answer,
    AskedService,
    RedirectedAnswer,
    SignInPlace,
    UnknownAnswer,
    WrongChallenge,
    judge,
)
from cloudcreds.azure.retry_after import read_retry_after
from cloudcreds.azure.vault_documents import host_of

TENANT = "11111111-1111-1111-1111-111111111111"
VAULT = "https://kv.vault.azure.net"
LOGIN = "https://login.microsoftonline.com"
PLACE = SignInPlace(frozenset({"login.microsoftonline.com:443"}), TENANT, "https://vault.azure.net")
JSON = {"content-type": "application/json; charset=utf-8"}
ATTRIBUTES = {"enabled": True, "created": 1_700_000_000}
BUNDLE = {"key": {"kid": f"{VAULT}/keys/k/{'0' * 32}", "kty": "RSA-HSM"}, "attributes": ATTRIBUTES}
OWN_WORDS = {
    400: "BadParameter",
    403: "Forbidden",
    404: "KeyNotFound",
    409: "Conflict",
    429: "Throttled",
}
# Each changing call of the console.
CHANGES = [("PUT", "/keys/k"), ("POST", "/keys/k/create"), ("PATCH", f"/keys/k/{'0' * 32}"), ("DELETE", "/keys/k")]


def vault(method, path, status, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    judge(AskedService.VAULT, Answer(method, f"{VAULT}{path}?api-version=7.6", status, JSON | headers, raw), PLACE)


def error(code, message="words"):
    return {"error": {"code": code, "message": message}}


# --- Key Vault -------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_bundle_of_the_key_that_was_asked_about_is_believed(method, path):
    vault(method, path, 200, BUNDLE)


@pytest.mark.parametrize(
    "bundle",
    [
        {},
        {"key": BUNDLE["key"]},
        {"value": []},
        BUNDLE | {"key": {"kid": f"{VAULT}/keys/other/1", "kty": "RSA-HSM"}},
        BUNDLE | {"key": {"kid": "https://other.vault.azure.net/keys/k/1", "kty": "RSA-HSM"}},
        BUNDLE | {"key": {"kid": "https://kv.vault.azure.net@evil.example/keys/k/1", "kty": "RSA-HSM"}},
        BUNDLE | {"key": {"kid": f"{VAULT}/keys/k/1"}},
        BUNDLE | {"key": "k"},
    ],
)
def test_a_success_about_something_else_is_not_believed(bundle):
    with pytest.raises(UnknownAnswer):
        vault("PUT", "/keys/k", 200, bundle)


@pytest.mark.parametrize("status", OWN_WORDS)
def test_a_refusal_in_key_vaults_own_words_is_believed(status):
    vault("PUT", "/keys/k", status, error(OWN_WORDS[status]))


@given(
    status=st.sampled_from([400, 401, 403, 404, 408, 409, 418, 421, 429, 451, 499]),
    code=st.text(max_size=20),
    call=st.sampled_from([("GET", "/keys/k"), ("GET", "/keys/k/versions"), ("GET", "/deletedkeys/k"), *CHANGES]),
)
@example(404, "NotFound", ("GET", "/keys/k/versions"))
@example(404, "ResourceNotFound", ("DELETE", "/deletedkeys/k"))
@example(429, "TooManyRequests", ("PUT", "/keys/k"))
def test_a_refusal_in_other_words_says_nothing(status, code, call):
    assume(OWN_WORDS.get(status) != code)
    assume((status, code) != (401, "Unauthorized"))
    assume((status, code) != (400, "Malformed backup blob"))
    with pytest.raises(UnknownAnswer):
        vault(*call, status, error(code))


@given(
    status=st.sampled_from([200, 201, 204, 404, 403, 409, 429, 500, 503]),
    kind=st.sampled_from(["text/html", "", "text/plain"]),
)
def test_a_web_page_says_nothing_whatever_its_status(status, kind):
    with pytest.raises(UnknownAnswer):
        vault("PUT", "/keys/k", status, b"<html>Not Found</html>", **{"content-type": kind})
    with pytest.raises(UnknownAnswer):
        vault("GET", "/keys/k/versions", status, json.dumps(error("KeyNotFound")).encode(), **{"content-type": kind})


@given(cut=st.integers(min_value=0))
def test_an_answer_cut_anywhere_is_not_believed(cut):
    for status, document in ((200, BUNDLE), (404, error("KeyNotFound")), (429, error("Throttled"))):
        whole = json.dumps(document).encode()
        with pytest.raises(UnknownAnswer):
            vault("PUT", "/keys/k", status, whole[: cut % len(whole)])


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 100, 500, 502, 503, 504, 599])
def test_any_other_status_says_nothing(status):
    with pytest.raises(UnknownAnswer):
        vault("PUT", "/keys/k", status, BUNDLE)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(BUNDLE).encode("utf-16"),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
        json.dumps(BUNDLE | {"attributes": {"enabled": True, "created": float("nan")}}).encode(),
        b'{"key": ' + b"9" * 5000 + b"}",
    ],
    ids=["UTF-16", "deep object", "deep list", "NaN", "number without end"],
)
def test_a_body_that_the_sdk_would_trip_over_says_nothing(body):
    with pytest.raises(UnknownAnswer):
        vault("PUT", "/keys/k", 200, body)


def test_a_byte_order_mark_changes_nothing():
    vault("PUT", "/keys/k", 200, b"\xef\xbb\xbf" + json.dumps(BUNDLE).encode())


def test_a_purge_is_believed_only_by_its_own_status():
    vault("DELETE", "/deletedkeys/k", 204, b"")
    for status in (200, 202):
        with pytest.raises(UnknownAnswer):
            vault("DELETE", "/deletedkeys/k", status, b"{}")


def test_a_purge_is_not_believed_from_an_answer_that_announces_a_body():
    vault("DELETE", "/deletedkeys/k", 204, b"", **{"content-length": "0"})
    with pytest.raises(UnknownAnswer):
        vault("DELETE", "/deletedkeys/k", 204, b"", **{"content-length": "9"})
    with pytest.raises(UnknownAnswer):
        vault("DELETE", "/deletedkeys/k", 204, b"<html>")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_an_answer(status):
    with pytest.raises(RedirectedAnswer):
        vault("GET", "/keys/k", status, b"", location="https://evil.example/")


@pytest.mark.parametrize("status", [300, 304, 305])
def test_what_names_no_other_address_is_not_called_a_redirect(status):
    with pytest.raises(UnknownAnswer) as refused:
        vault("GET", "/keys/k", status, b"")
    assert not isinstance(refused.value, RedirectedAnswer)


def test_rows_of_a_listing_must_be_of_the_vault():
    row = {"kid": f"{VAULT}/keys/k/1", "attributes": ATTRIBUTES}
    vault("GET", "/keys/k/versions", 200, {"value": [row], "nextLink": None})
    vault("GET", "/keys/k/versions", 200, {"value": [], "nextLink": None})
    for rows in (None, {}, [1], [{"kid": "https://evil.example/keys/k/1"}], [{}]):
        with pytest.raises(UnknownAnswer):
            vault("GET", "/keys/k/versions", 200, {"value": rows})


# --- The challenge ---------------------------------------------------------------------------
def challenge(text):
    vault("GET", "/keys/k", 401, error("Unauthorized"), **{"www-authenticate": text})


def test_a_challenge_of_the_credentials_tenant_is_believed():
    challenge(f'Bearer authorization="{LOGIN}/{TENANT}", resource="https://vault.azure.net"')
    challenge(f'Bearer authorization="https://login.windows.net/{TENANT.upper()}", resource="https://vault.azure.net"')


def test_a_challenge_of_another_tenant_is_told_apart():
    with pytest.raises(WrongChallenge, match="2222"):
        challenge(f'Bearer authorization="{LOGIN}/{TENANT.replace("1", "2")}", resource="https://vault.azure.net"')


SIGN_IN_HERE = f'Bearer authorization="{LOGIN}/{TENANT}"'


@pytest.mark.parametrize(
    "more",
    [
        'resource="https://management.azure.com"',
        "resource=https://management.azure.com",
        'resource="https://vault.azure.net.evil.example"',
        'scope="https://graph.microsoft.com/.default"',
        'resource="https://vault.azure.net", scope="https://graph.microsoft.com/.default"',
        'resource="https://vault.azure.net", resource="https://management.azure.com"',
        f'resource="https://vault.azure.net", authorization="{LOGIN}/{TENANT.replace("1", "2")}"',
    ],
)
def test_a_challenge_for_any_token_but_a_vaults_gets_none(more):
    with pytest.raises(UnknownAnswer):
        challenge(f"{SIGN_IN_HERE}, {more}")


def test_a_challenge_beside_that_of_a_proxy_is_believed_when_it_comes_first():
    challenge(f'{SIGN_IN_HERE}, resource="https://vault.azure.net", Basic realm="proxy"')
    challenge(f'{SIGN_IN_HERE}, scope="https://vault.azure.net/.default"')


@pytest.mark.parametrize(
    "text", ["", "Basic realm=proxy", "Bearer realm=x", "Negotiate", 'Bearer authorization="https://["']
)
def test_a_401_of_somebody_else_is_not_believed(text):
    with pytest.raises(UnknownAnswer):
        challenge(text)


# --- Entra and Resource Manager --------------------------------------------------------------
def sign_in(method, status, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    judge(AskedService.SIGN_IN, Answer(method, f"{LOGIN}/{TENANT}/x", status, JSON | headers, raw), PLACE)


TOKEN = {"access_token": "t", "token_type": "Bearer", "expires_in": 3599}


def test_a_token_and_a_refusal_of_entra_are_believed():
    sign_in("POST", 200, TOKEN)
    sign_in("POST", 200, TOKEN | {"expires_in": "3599", "ext_expires_in": 3599})
    sign_in("POST", 401, {"error": "invalid_client", "error_description": "AADSTS7000215"})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"access_token": "half'),
        (200, {"token_type": "Bearer"}),
        (200, {"access_token": ""}),
        (429, {"error": "throttled"}),
        (503, {"error": "temporarily_unavailable"}),
        (404, b"<html>"),
        (407, {"error": "proxy"}),
        (403, {"error": "blocked"}),
        (400, {"message": "Bad Request"}),
        (400, {"error": "bad request"}),
        (401, {"error": "login required", "error_description": "Sign in to the guest network."}),
        (200, TOKEN | {"access_token": "a\r\nX-Injected: 1"}),
        (200, TOKEN | {"access_token": "t\u00f6ken"}),
        (200, TOKEN | {"token_type": "pop"}),
        (200, TOKEN | {"expires_in": "soon"}),
        (200, TOKEN | {"expires_in": -1}),
        (200, TOKEN | {"expires_in": None}),
        (200, TOKEN | {"expires_in": 10**30}),
        (200, TOKEN | {"refresh_in": "soon"}),
        (200, TOKEN | {"id_token": "x"}),
        (200, TOKEN | {"scope": 5}),
    ],
)
def test_what_entra_would_not_say_is_not_a_refusal_of_the_credential(status, body):
    with pytest.raises(UnknownAnswer):
        sign_in("POST", status, body)


def test_a_discovery_may_name_addresses_of_the_credentials_cloud_only():
    good = {
        "issuer": f"{LOGIN}/{TENANT}/v2.0",
        "token_endpoint": f"{LOGIN}/{TENANT}/token",
        "authorization_endpoint": f"{LOGIN}/{TENANT}/authorize",
    }
    sign_in("GET", 200, good)
    for bad in (
        "https://evil.example/token",
        "http://login.microsoftonline.com/t",
        f"{LOGIN}@evil.example/t",
        f"{LOGIN}:444/t",
        f"{LOGIN}/{TENANT.replace('1', '2')}/token",
        f"{LOGIN}/captive",
    ):
        with pytest.raises(UnknownAnswer):
            sign_in("GET", 200, good | {"token_endpoint": bad})


def test_resource_manager_is_believed_in_its_own_words_only():
    def ask(status, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        judge(AskedService.RESOURCE_MANAGER, Answer("GET", "https://management.azure.com/x", status, JSON, raw), PLACE)

    ask(200, {"value": []})
    ask(403, error("AuthorizationFailed"))
    for status, body in ((200, {}), (403, {}), (404, b"<html>"), (503, error("ServerBusy")), (408, error("Timeout"))):
        with pytest.raises(UnknownAnswer):
            ask(status, body)


# --- Addresses and pauses --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://KV.vault.azure.net/keys", "kv.vault.azure.net:443"),
        ("https://127.0.0.1:8443", "127.0.0.1:8443"),
        ("http://kv.vault.azure.net", ""),
        ("https://user@kv.vault.azure.net", ""),
        ("https://kv.vault.azure.net@evil.example", ""),
        ("https://kv.vault.azure.net:port", ""),
        ("//kv.vault.azure.net", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_address_is_exact(url, host):
    assert host_of(url) == host


@given(st.text())
@example("0")
@example("-1")
@example("nan")
@example("inf")
@example("1e400")
@example("Fri, 27 Nov 2026 10:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 GMT")
@example("Fri, 31 Dec 99999999999 23:59:59 GMT")
@example("Fri, 31 Dec 2026 23:59:59 +99999999999")
@example("Mon, 01 Jan 0001 00:00:00 +2300")
def test_any_retry_after_is_a_pause_that_is_not_negative_or_none(text):
    found = read_retry_after(text)
    assert found is None or (found >= 0 and found != float("inf"))


def test_a_date_and_seconds_are_understood():
    assert read_retry_after("17") == 17
    assert read_retry_after(" 2.5 ") == 2.5
    assert read_retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert read_retry_after("soon") is None
