"""NUL characters and endless texts: refused or shortened, on every page and from every vault, never an error 500."""

from __future__ import annotations

import pytest
from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver

from cloudcreds import vaults
from cloudcreds.models import KeyVault
from cloudcreds.provider.types import VaultInfo
from kmes.core import columns
from kmes.core.errors import KmesError
from tests.keygroups.builders import make_credential

pytestmark = pytest.mark.django_db
# What a list is filtered, searched and sorted by.
PARAMETERS = (
    "q",
    "text",
    "search",
    "sort",
    "show",
    "page",
    "per_page",
    "view",
    "since",
    "until",
    "actor",
    "state",
    "seen",
)


def listed(**changes):
    values = {"name": "v", "url": "https://v.vault.azure.net", "tier": "premium", "retention_days": 90}
    return VaultInfo(**{**values, "soft_delete": True, "purge_protected": False, **changes})


def addresses(patterns=None, prefix=""):
    """Every page whose address needs no argument."""
    for each in patterns if patterns is not None else get_resolver().url_patterns:
        route = f"{prefix}{each.pattern}"
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, route)
        elif isinstance(each, URLPattern) and "<" not in route:
            yield f"/{route}"


PAGES = sorted(set(addresses()))


@pytest.fixture
def admin(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("ada", role="admin"))
    return client


def test_the_pages_are_found():
    assert {"/jobs/", "/login/", "/search/"} <= set(PAGES)


def test_no_page_takes_a_nul_character(admin):
    for page in PAGES:
        assert admin.get(page, {"q": "a\0b"}).status_code == 400, page
    assert admin.get("/jobs/%00").status_code == 400
    assert admin.get("/jobs/?%00=1").status_code == 400
    assert admin.post("/login/", {"username": "a\0b", "password": "x"}).status_code == 400
    admin.cookies["kmes_session"] = r"a\000b"
    assert admin.get("/jobs/", headers={"cookie": 'kmes_session="a\\000b"'}).status_code == 400


@pytest.mark.parametrize("text", ["x" * 3000, "-1", "1e9", "9" * 30, "\ufffd\u202e", "%", "_%'\"\\"])
def test_no_page_answers_an_odd_text_with_an_error(admin, text):
    for page in PAGES:
        if page in {"/logout/", "/readyz", "/metrics"}:
            continue
        assert admin.get(page, dict.fromkeys(PARAMETERS, text)).status_code < 500, page


def test_an_error_that_quotes_a_nul_character_can_be_stored():
    error = KmesError("Azure said a\0b \ud800", "Do\0this")
    assert (error.what, error.remedy) == ("Azure said a\ufffdb \ufffd", "Do\ufffdthis")


def test_a_vault_with_a_name_that_no_vault_has_is_recorded_shortened():
    vault = vaults.record_listed(make_credential(), listed(name="v" * 65 + "\0"))
    vault.refresh_from_db()
    assert vault.name == "v" * 64


@pytest.mark.parametrize("url", ["https://" + "v" * 250 + ".net", "https://a\0b.net", "https://a\ud800.net"])
def test_a_vault_with_an_address_that_no_vault_has_is_none(url):
    assert not vaults.can_keep(listed(url=url))
    assert vaults.can_keep(listed())


def test_a_text_is_cut_by_characters_as_the_database_counts():
    assert columns.cut(KeyVault, "name", "ü" * 70) == "ü" * 64
    assert reverse("jobs:list") in PAGES
