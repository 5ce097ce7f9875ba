"""Listings in pages."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from azure.keyvault.keys import KeyClient

from tests.azure_emulator.harness import API, Emulator

# base64url of 3,000 opening brackets.
DEEP = "W1tb" * 1000


@pytest.fixture
def names(emulator: Emulator, keys: KeyClient) -> list[str]:
    made = ["b", "C", "a", "e", "D", "f", "g"]
    for name in made:
        keys.create_ec_key(name)
    return ["a", "b", "C", "D", "e", "f", "g"]


@pytest.mark.parametrize("size", [1, 3, 7, 25])
def test_all_keys_come_in_order_whatever_the_page(keys: KeyClient, names: list[str], size: int):
    pages = list(keys.list_properties_of_keys(max_page_size=size).by_page())
    listed = [[key.name for key in page] for page in pages]
    assert [name for page in listed for name in page] == names
    assert all(len(page) == size for page in listed[:-1])
    assert len(listed) == -(-len(names) // size)


def test_a_link_is_absolute_with_port_token_and_size(emulator: Emulator, names: list[str]):
    found = emulator.raw("GET", f"/keys?api-version={API}&maxresults=3").json()
    link = urlsplit(found["nextLink"])
    assert f"{link.scheme}://{link.netloc}" == emulator.url()
    assert set(parse_qs(link.query)) == {"api-version", "$skiptoken", "maxresults"}
    mapped = {"Host": "kv-premium.vault.azure.net"}
    found = emulator.raw("GET", f"/keys?api-version={API}&maxresults=3", headers=mapped).json()
    assert found["nextLink"].startswith("https://kv-premium.vault.azure.net:443/keys?")
    assert found["value"][0]["kid"] == "https://kv-premium.vault.azure.net/keys/a"
    assert emulator.raw("GET", "/keys").json()["nextLink"] is None


def test_items_carry_a_version_only_among_versions(emulator: Emulator, keys: KeyClient):
    made = keys.create_ec_key("k", tags={"x": "y"})
    assert emulator.raw("GET", "/keys").json()["value"][0]["kid"] == f"{emulator.url()}/keys/k"
    item = emulator.raw("GET", "/keys/k/versions").json()["value"][0]
    assert (item["kid"], item["tags"]) == (made.id, {"x": "y"})
    assert set(item) == {"kid", "attributes", "tags"}


def test_keys_removed_meanwhile_shift_nothing(emulator: Emulator, keys: KeyClient, names: list[str]):
    pages = keys.list_properties_of_keys(max_page_size=3).by_page()
    first = [key.name for key in next(pages)]
    keys.begin_delete_key("a")
    assert first + [key.name for page in pages for key in page] == names


def test_versions_and_deleted_keys_come_in_pages_too(emulator: Emulator, keys: KeyClient):
    made = {keys.create_ec_key("k").id for _ in range(5)}
    assert {version.id for version in keys.list_properties_of_key_versions("k", max_page_size=2)} == made
    emulator.control("POST", "settings", {"page_size": 1})
    for name in ("x", "y", "z"):
        keys.create_ec_key(name)
        keys.begin_delete_key(name)
    assert [key.name for key in keys.list_deleted_keys()] == ["x", "y", "z"]


@pytest.mark.parametrize(
    "query",
    ["maxresults=0", "maxresults=26", "maxresults=x", "maxresults=-1", "maxresults=%D9%A1", "maxresults=" + "9" * 5000,
     "$skiptoken=x", "$skiptoken=e30", "$skiptoken=W10", "$skiptoken=eyJOZXh0TWFya2VyIjoxfQ", "$skiptoken=" + DEEP],
)  # fmt: skip
def test_a_bad_page_request_is_400(emulator: Emulator, query: str):
    assert emulator.raw("GET", f"/keys?api-version={API}&{query}").status_code == 400


def test_names_of_query_parameters_are_read_in_any_case(emulator: Emulator, names: list[str]):
    found = emulator.raw("GET", f"/keys?API-Version={API}&MaxResults=3").json()
    assert len(found["value"]) == 3
    link = found["nextLink"].replace("$skiptoken", "$SkipToken")
    assert emulator.raw("GET", link.removeprefix(emulator.url())).json()["value"][0]["kid"].endswith("/D")
