"""What a vault's challenge asks for, as the SDK reads it."""

from __future__ import annotations

import pytest
from azure.keyvault.keys._shared.http_challenge import HttpChallenge
from hypothesis import given
from hypothesis import strategies as st

from cloudcreds.azure.challenges import read_challenge

TENANT = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
HERE, FOR_VAULTS = f'authorization="https://login.microsoftonline.com/{TENANT}"', 'resource="https://vault.azure.net"'
CLAIMS = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzI2MDc3NTk1In19fQ"
WITHDRAWN = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims"'


@pytest.mark.parametrize(
    "text",
    [
        f"Bearer {HERE}, {FOR_VAULTS}",
        f"bearer {HERE},{FOR_VAULTS}",
        f"Bearer authorization_uri=https://login.windows.net/{TENANT}, scope=https://vault.azure.net/.default",
        f"Bearer {HERE.replace(TENANT, TENANT.upper())}, {FOR_VAULTS}",
        f'Bearer {HERE}, {FOR_VAULTS}, PoP nonce="x"',
    ],
)
def test_a_challenge_names_the_tenant_and_what_the_token_is_for(text):
    found = read_challenge(text)
    assert found is not None
    assert found.tenant.lower() == TENANT
    assert found.resources == ("https://vault.azure.net",)


@pytest.mark.parametrize("claims", [CLAIMS, f"{CLAIMS}=="])
def test_a_challenge_for_a_withdrawn_token_names_no_tenant(claims):
    found = read_challenge(f'{WITHDRAWN}, claims="{claims}"')
    assert found is not None
    assert (found.tenant, found.resources) == ("", ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer",
        f'Basic realm="x", Bearer {HERE}, {FOR_VAULTS}',
        f"Bearer {HERE.capitalize()}, {FOR_VAULTS}",
        f"Bearer {HERE}",
        f"Bearer {HERE}, {HERE}, {FOR_VAULTS}",
        f'Bearer authorization="https://login.microsoftonline.com/{TENANT}?p=1", {FOR_VAULTS}',
        f'Bearer authorization="https://login.microsoftonline.com/", {FOR_VAULTS}',
        f'Bearer authorization="https://login.microsoftonline.com/common", {FOR_VAULTS}',
        f'Bearer authorization="https://login.microsoftonline.com/Organizations", {FOR_VAULTS}',
        f'{WITHDRAWN}, claims=""',
        f'{WITHDRAWN}, claims="bm90IGpzb24"',
        f'{WITHDRAWN}, claims="Iltd"',
    ],
)
def test_what_asks_for_no_sign_in_that_the_sdk_can_make_is_no_challenge(text):
    assert read_challenge(text) is None


PARTS = st.lists(
    st.sampled_from(
        [HERE, FOR_VAULTS, f'claims="{CLAIMS}"', 'claims="x"', "Authorization=x", 'error="y"', "=", "a=b=c", ""]
    ),
    max_size=5,
)


@given(scheme=st.sampled_from(["Bearer ", "bearer  ", "Basic ", "Bearer"]), parts=PARTS)
def test_the_sdk_finds_in_each_challenge_what_was_read(scheme, parts):
    text = scheme + ", ".join(parts)
    found = read_challenge(text)
    if found is not None:
        sdk = HttpChallenge("https://kv.vault.azure.net/keys", text)
        assert bool(sdk.claims) == (found.tenant == "")
        assert found.tenant in {"", sdk.tenant_id}
        assert found.resources in {(), (sdk.get_resource(),)}
