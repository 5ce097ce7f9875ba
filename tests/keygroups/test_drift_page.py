"""The page of differences, and a key's three columns: what each says and offers, and to whom."""

from __future__ import annotations

import pytest
from django.urls import reverse

from keygroups import drift, lifecycle
from keygroups.selectors import has_vault_answered
from kmes.core.clock import now
from tests.keygroups.builders import make_group, make_key, push


def text_of(response) -> str:
    assert response.status_code == 200, response.content[:400]
    return " ".join(response.content.decode().split())


@pytest.fixture
def version(group):
    return push(make_key(group, "one"))


@pytest.fixture
def address(group):
    return reverse("keygroups:drift", args=[group.pk])


def look(group, version, **changes):
    """Keep what a look at the vault found: the version as it was pushed, but for the changes."""
    seen = {
        "azure_version": version.azure_version if version else "9" * 32,
        "kid": version.kid if version else "",
        "enabled": True,
        "tags": drift.console_tags(version) if version else {},
        **changes,
    }
    row = drift.observe(group, version, drift.Seen(**seen))
    drift.recount(group, is_compared=True)
    return row


def test_a_vault_that_never_answered_leads_to_its_credential(pages, group, address) -> None:
    page = text_of(pages.get(address))
    assert "The vault was never reached" in page
    assert "empty-link" in page
    assert f'class="btn btn-primary" href="{group.credential.get_absolute_url()}"' in page


def test_a_push_has_reached_the_vault(pages, group, version, address) -> None:
    assert has_vault_answered(group)
    assert "The vault was never reached" not in text_of(pages.get(address))


def test_before_the_first_look_the_page_offers_one(pages, group, address) -> None:
    group.vault.seen_at = now()
    group.vault.save()
    page = text_of(pages.get(address))
    assert "Not compared yet" in page
    assert reverse("jobs:start", args=["check_drift"]) in page


def test_when_nothing_differs_it_says_so(pages, group, version, address) -> None:
    look(group, version)
    page = text_of(pages.get(address))
    assert "Nothing differs" in page
    assert "1 version matches" in page


def test_a_difference_is_shown_in_three_columns_with_what_can_be_done(pages, group, version, address) -> None:
    row = look(group, version, enabled=False)
    page = text_of(pages.get(address))
    for wanted in ("Here", "Last known", "Live", "differs", "Revert to known values", "Accept what the vault shows"):
        assert wanted in page
    assert f"{reverse('jobs:start', args=['repair'])}?observation={row.pk}" in page
    head = text_of(pages.get("/keys/", {"group": group.pk}))
    assert "1 difference" in head
    assert address in head


def test_accepting_takes_the_vaults_value_over(pages, group, version, address) -> None:
    row = look(group, version, enabled=False)
    answer = pages.post(reverse("keygroups:drift_accept", args=[group.pk, row.pk]), follow=True)
    assert "is accepted as the vault shows it" in text_of(answer)
    assert "Nothing differs" in text_of(answer)
    version.refresh_from_db()
    assert (version.state, version.enabled) == ("disabled", False)
    again = pages.post(reverse("keygroups:drift_accept", args=[group.pk, row.pk]), follow=True)
    assert "Nothing differs here any more" in text_of(again)


def test_a_version_of_others_can_be_disabled_or_left(pages, group, version, address) -> None:
    row = look(group, None)
    page = text_of(pages.get(address))
    for wanted in ("A version made by somebody else", "Disable it in the vault", "Ignore this version"):
        assert wanted in page
    pages.post(reverse("keygroups:drift_accept", args=[group.pk, row.pk]))
    assert "1 version made by others was left as it is" in text_of(pages.get(address))


def test_a_missing_version_can_be_pushed_again_while_its_material_is_here(pages, group, version, address) -> None:
    lifecycle.record_missing(version=version)
    drift.observe_missing(group, version)
    drift.recount(group, is_compared=True)
    assert f"{reverse('jobs:start', args=['synchronize'])}?key={version.key_id}" in text_of(pages.get(address))
    lifecycle.destroy_key(key=version.key)
    page = text_of(pages.get(address))
    assert "it can't be pushed again" in page
    assert "Synchronize again" not in page


def test_other_key_material_can_be_neither_accepted_nor_set_back(pages, group, version, address) -> None:
    row = look(group, version, public_spki=b"another")
    page = text_of(pages.get(address))
    assert "Other key material" in page
    assert "Accept what the vault shows" not in page
    assert "Revert" not in page
    answer = pages.post(reverse("keygroups:drift_accept", args=[group.pk, row.pk]), follow=True)
    assert "can&#x27;t be accepted" in text_of(answer)


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_decide_sees_it_without_buttons(pages, group, version, address, role) -> None:
    row = look(group, version, enabled=False)
    browser = pages.as_role(role)
    page = text_of(browser.get(address))
    assert "differs" in page
    assert "Accept what" not in page
    assert "Revert" not in page
    assert browser.post(reverse("keygroups:drift_accept", args=[group.pk, row.pk])).status_code == 403


def test_a_row_of_another_group_is_not_found(pages, vault, group, version) -> None:
    row = look(group, version, enabled=False)
    other = make_group(vault, "orders")
    assert pages.post(reverse("keygroups:drift_accept", args=[other.pk, row.pk])).status_code == 404


def test_many_differences_cost_few_queries(pages, group, address, django_assert_max_num_queries) -> None:
    for number in range(20):
        look(group, push(make_key(group, f"key-{number}")), enabled=False)
    with django_assert_max_num_queries(12):
        pages.get(address)


def test_a_keys_page_shows_the_columns_the_check_value_and_the_repair(pages, group, version) -> None:
    page = text_of(pages.get(version.key.get_absolute_url()))
    assert "not compared yet" in page
    assert f">{version.key.thumbprint[:6].upper()}<" in page
    row = look(group, version, enabled=False)
    page = text_of(pages.get(version.key.get_absolute_url()))
    assert f"{reverse('jobs:start', args=['repair'])}?observation={row.pk}" in page
    assert "See the differences" in page
