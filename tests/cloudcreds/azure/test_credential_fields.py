"""What the fields of a credential for Azure accept and refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudcreds.azure import credential_fields as fields
from cloudcreds.choices import CloudName
from kmes.core.errors import InputError

GUID = "11111111-2222-3333-4444-555555555555"


@given(st.text(alphabet=" \t\r\n\u00a0\u200b\ufeff", max_size=6), st.text(alphabet=" \r\n\u2028", max_size=6))
def test_blanks_around_an_id_do_not_matter(before: str, after: str) -> None:
    assert fields.clean_tenant_id(f"{before}{GUID}{after}") == GUID
    assert fields.clean_client_id(f"{before}{GUID.upper()}{after}", sign_in="secret") == GUID
    assert fields.clean_secret(f"{before}abc~DEF.8Q{after}", cloud=CloudName.PUBLIC).reveal() == "abc~DEF.8Q"


@pytest.mark.parametrize("tenant", ["contoso.onmicrosoft.com", "Contoso.COM", "a.b-c.example"])
def test_a_verified_domain_is_a_tenant(tenant: str) -> None:
    assert fields.clean_tenant_id(tenant) == tenant.lower()


@pytest.mark.parametrize(
    "tenant",
    [
        "",
        "common",
        "organizations",
        GUID[:-1],
        GUID.replace("-", ""),
        f"{{{GUID}}}",
        f"{GUID}/x",
        "10.0.0.1",
        "contoso..com",
        "-contoso.com",
        "contoso.com/evil",
        "contoso.com?x",
        "bücher.example",
        "a" * 70 + ".com",
        "1111111١-2222-3333-4444-555555555555",
    ],
)
def test_other_texts_are_no_tenant_and_the_error_says_what_is_expected(tenant: str) -> None:
    with pytest.raises(InputError, match="GUID") as caught:
        fields.clean_tenant_id(tenant)
    assert caught.value.field == "tenant_id"


@pytest.mark.parametrize("client", ["", "my-app", "contoso.com", GUID[1:], GUID + "0", GUID.replace("5", "g")])
def test_a_client_id_is_a_guid_and_nothing_else(client: str) -> None:
    with pytest.raises(InputError, match="Expected a GUID") as caught:
        fields.clean_client_id(client, sign_in="secret")
    assert caught.value.field == "client_id"


def test_only_a_managed_identity_needs_no_client_id() -> None:
    assert fields.clean_client_id("", sign_in="managed_identity") == ""
    for way in ("secret", "certificate", "device_certificate", "federation"):
        with pytest.raises(InputError):
            fields.clean_client_id("", sign_in=way)
    with pytest.raises(InputError):
        fields.clean_client_id("my-app", sign_in="managed_identity")


def test_federation_is_offered_only_where_the_installation_names_a_file(settings) -> None:
    settings.KMES_FEDERATED_TOKEN_FILE = ""
    with pytest.raises(InputError, match="names no token file") as caught:
        fields.clean_sign_in("federation")
    assert caught.value.field == "sign_in"
    settings.KMES_FEDERATED_TOKEN_FILE = "/run/token"
    assert fields.clean_sign_in("federation") == "federation"


def test_an_unknown_way_to_sign_in_is_refused() -> None:
    with pytest.raises(InputError):
        fields.clean_sign_in("password")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "missing"),
        (" \r\n ", "missing"),
        ("abc def", "space or a line break"),
        ("abc\ndef", "space or a line break"),
        ("abc\u00a0def", "space or a line break"),
        ("abc\u200bdef", "no client secret has"),
        ("päss", "no client secret has"),
        ("abc\x00def", "no client secret has"),
        ("🔑", "no client secret has"),
        ("x" * 513, "longer than 512"),
        (GUID, "secret's ID"),
    ],
)
def test_a_broken_secret_is_told_without_being_repeated(secret: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fields.clean_secret(secret, cloud=CloudName.PUBLIC)
    assert caught.value.field == "secret"
    assert len(secret) < 3 or secret not in str(caught.value)


def test_a_stand_in_may_have_any_secret() -> None:
    assert fields.clean_secret(GUID, cloud=CloudName.CUSTOM).reveal() == GUID
