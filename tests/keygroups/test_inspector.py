"""The inspector of the Keys view, by a browser without script, and what the table leaves to it."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from keygroups.models import KeyGroup
from tests.keygroups.builders import make_group, make_key, push

KEYS = "/keys/"
FRAGMENT = {"HX-Request": "true"}


def text_of(response) -> str:
    assert response.status_code == 200, response.content[:400]
    return " ".join(response.content.decode().split())


def inspector_of(page: str) -> str:
    return page[page.index('id="inspector-body"') :]


def test_the_address_names_the_key_that_is_inspected(pages, group) -> None:
    key = make_key(group, "one")
    version = push(key)
    shown = inspector_of(text_of(pages.get(KEYS, {"group": group.pk, "inspect": key.pk})))
    for wanted in ("one", key.thumbprint, version.kid, version.azure_version, "Expires", "Last job", "Active"):
        assert wanted in shown
    assert f'data-key="{key.pk}"' in shown
    assert f'href="{reverse("keygroups:key_actions", args=[key.pk])}"' in shown


def test_without_a_key_the_inspector_shows_the_group(pages, group) -> None:
    KeyGroup.objects.filter(pk=group.pk).update(notes="kept for the auditors")
    shown = inspector_of(text_of(pages.get(KEYS, {"group": group.pk})))
    assert "kept for the auditors" in shown
    assert "Rotates every 90 days" in shown


@pytest.mark.parametrize("inspected", ["nonsense", "00000000-0000-4000-8000-000000000000", ""])
def test_a_key_that_does_not_exist_leaves_the_group_in_the_inspector(pages, group, inspected) -> None:
    make_key(group)
    page = pages.get(KEYS, {"group": group.pk, "inspect": inspected})
    assert "Rotates every 90 days" in inspector_of(text_of(page))


def test_the_inspector_is_a_fragment_and_without_script_a_place_in_the_view(pages, group) -> None:
    key = make_key(group, "one")
    key_url = reverse("keygroups:key_inspector", args=[key.pk])
    group_url = reverse("keygroups:group_inspector", args=[group.pk])
    assert "<html" not in text_of(pages.get(key_url, headers=FRAGMENT))
    assert "Rotates every 90 days" in text_of(pages.get(group_url, headers=FRAGMENT))
    assert pages.get(key_url)["Location"] == f"{KEYS}?group={group.pk}&inspect={key.pk}"
    assert pages.get(group_url)["Location"] == f"{KEYS}?group={group.pk}"
    unknown = reverse("keygroups:key_inspector", args=["00000000-0000-4000-8000-000000000000"])
    assert pages.get(unknown, headers=FRAGMENT).status_code == 404


def test_the_inspector_has_every_column_in_the_users_order_with_those_they_hid(pages, group) -> None:
    key = make_key(group, "one")
    pages.post(
        reverse("ui:table", args=["keys"]),
        {"order": ["name", "expires", "key_spec", "pushed"], "shown": ["name", "expires"], "page_size": 50},
    )
    shown = text_of(pages.get(reverse("keygroups:key_inspector", args=[key.pk]), headers=FRAGMENT))
    facts = re.findall(r"<dt>([^<]+)</dt>", shown.partition("<h3>")[0])
    assert facts[0] == "Expires"
    assert {"Type", "Pushed", "Created", "Last job", "In Azure", "Here", "Azure version"} <= set(facts)


def test_a_renewed_page_keeps_the_key_that_is_inspected(pages, group) -> None:
    key = make_key(group, "one")
    headers = FRAGMENT | {"HX-Target": "keys-pane"}
    assert "Rotates every 90 days" in inspector_of(text_of(pages.get(KEYS, headers=headers)))
    renewed = text_of(pages.get(KEYS, headers=headers | {"X-Kmes-Inspected": str(key.pk)}))
    assert f'data-key="{key.pk}"' in inspector_of(renewed)


def test_the_active_key_comes_first_in_its_group_and_not_among_several_groups(pages, vault, group) -> None:
    push(make_key(group, "b-active"))
    make_key(group, "a-new")
    push(make_key(make_group(vault, "other"), "c-active"))
    for sort in ("name", "-name", "-created_at", "cloud_state"):
        page = pages.get(KEYS, {"group": group.pk, "sort": sort})
        assert page.context["pane"]["table"].paginated_rows[0].record.name == "b-active", sort
    assert "is-pinned" in text_of(pages.get(KEYS, {"group": group.pk}))
    found = pages.get(KEYS, {"q": "a", "sort": "name"})
    assert next(row.record.name for row in found.context["pane"]["table"].paginated_rows) == "a-new"
    assert "is-pinned" not in text_of(found)


def test_a_group_offers_what_comes_next_as_its_one_button(pages, group) -> None:
    def offered() -> list[str]:
        page = text_of(pages.get(KEYS, {"group": group.pk}))
        return re.findall(r'btn-primary" href="[^"]*" data-dialog>([^<]+)<', page[page.index('class="group-head"') :])

    assert offered() == ["Create › Random"]
    key = make_key(group)
    assert offered() == ["Synchronize All"]
    push(key)
    KeyGroup.objects.filter(pk=group.pk).update(cloud_state="live")
    assert offered() == ["Force Rotation"]


def test_the_page_with_an_inspected_key_costs_few_queries(pages, group, django_assert_max_num_queries) -> None:
    keys = [make_key(group, f"key-{number}") for number in range(30)]
    push(keys[0])
    with django_assert_max_num_queries(12):
        assert pages.get(reverse("keygroups:key_inspector", args=[keys[0].pk]), headers=FRAGMENT).status_code == 200
    with django_assert_max_num_queries(20):
        assert pages.get(KEYS, {"group": group.pk, "inspect": keys[0].pk}).status_code == 200
