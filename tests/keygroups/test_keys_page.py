"""The Keys view and a key's page, by a browser without script."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from django.urls import reverse

from keygroups import lifecycle
from keygroups.models import CloudVersion, KeyGroup
from kmes.core.clock import now
from tests.keygroups.builders import make_group, make_key, make_vault, public_half, push

KEYS = "/keys/"


def text_of(response) -> str:
    assert response.status_code == 200, response.content[:400]
    return " ".join(response.content.decode().split())


def test_strangers_are_led_to_sign_in(client, db) -> None:
    response = client.get(KEYS)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("accounts:login"))


def test_without_groups_the_page_explains_and_offers_the_first(pages) -> None:
    page = text_of(pages.get(KEYS))
    assert "No key group yet" in page
    assert reverse("keygroups:group_add") in page


def test_without_groups_a_reader_is_told_which_right_is_missing(pages) -> None:
    page = text_of(pages.as_role("auditor").get(KEYS))
    assert "Key Groups:Manage" in page
    assert reverse("keygroups:group_add") not in page


def test_a_group_without_keys_offers_create_random(pages, group) -> None:
    page = text_of(pages.get(KEYS))
    assert "No key yet" in page
    assert f"{reverse('jobs:start', args=['create'])}?group={group.pk}" in page
    assert "Rotates every 90 days, next on" in page
    assert "pushes to kv-prod (Premium)." in page


def test_a_group_without_keys_says_that_its_vault_was_never_reached(pages, group) -> None:
    page = text_of(pages.get(KEYS))
    assert "The vault has not been reached yet" in page
    group.vault.seen_at = now()
    group.vault.save()
    assert "The vault has not been reached yet" not in text_of(pages.get(KEYS))


def test_a_reader_is_told_which_right_makes_the_first_key(pages, group) -> None:
    page = text_of(pages.as_role("auditor").get(KEYS))
    assert "empty-right" in page
    assert "Keys:Create" in page


def test_the_search_answers_while_one_types(pages, group) -> None:
    make_key(group)
    page = pages.get(KEYS).content.decode()
    parts = re.search(r'data-quick-search="([^"]*)"', page)
    assert parts
    # The pane holds the count that is announced; a part that isn't there would be silently left out.
    assert parts[1].split()[0] == "keys-pane"
    for part in parts[1].split():
        assert page.count(f'id="{part}"') == 1, part
    assert "data-count" in page[page.index('id="keys-pane"') :]
    nothing = pages.get(KEYS, {"q": "nothing of the kind"}).content.decode()
    for part in parts[1].split():
        assert nothing.count(f'id="{part}"') == 1, part


def test_the_background_of_the_keys_has_the_menu_of_their_group_or_adds_one(pages, group) -> None:
    make_key(group)
    whole = pages.get(KEYS, {"q": "no such key"}).content.decode()
    chosen = pages.get(KEYS, {"group": str(group.pk)}).content.decode()
    for page, menu in ((whole, "/keys/actions/"), (chosen, f"/keys/groups/{group.pk}/actions/")):
        assert f'data-menu="{menu}"' in re.search(r'<section id="keys-pane"[^>]*>', page)[0]


def test_the_box_for_all_rows_stands_in_the_heading(pages, group) -> None:
    make_key(group, 'odd "name"')
    page = pages.get(KEYS).content.decode()
    heading = page[page.index("<thead") : page.index("</thead")]
    assert 'data-check-all aria-label="Select all shown"' in heading
    # The cell's label is the word alone, so that no markup ends up in an attribute.
    assert 'data-label="Select"' in page
    assert 'aria-label="Select odd &quot;name&quot;"' in page


def test_the_table_shows_each_key_here_and_in_azure(pages, group) -> None:
    pushed, fresh = make_key(group, "one"), make_key(group, "two")
    version = push(pushed)
    page = text_of(pages.get(KEYS, {"group": group.pk}))
    for wanted in ("one", "two", "Active", "Not synchronized", version.azure_version[:8], "In the vault", "2 keys"):
        assert wanted in page
    assert f'data-open="{fresh.get_absolute_url()}"' in page
    assert f'data-menu="{reverse("keygroups:key_actions", args=[fresh.pk])}"' in page
    assert f'name="key" value="{fresh.pk}"' in page


def test_picking_keys_leads_to_the_confirmations_of_what_can_be_done_with_several(pages, group) -> None:
    make_key(group)
    page = text_of(pages.get(KEYS))
    assert f'formaction="{reverse("jobs:start", args=["synchronize"])}"' in page
    assert f'formaction="{reverse("jobs:start", args=["destroy"])}"' in page
    assert f'data-pick="{reverse("keygroups:selection_actions")}"' in page


def test_who_may_not_push_has_no_boxes_and_no_buttons(pages, group) -> None:
    make_key(group)
    page = text_of(pages.as_role("auditor").get(KEYS))
    assert 'type="checkbox"' not in page
    assert "formaction" not in page
    assert reverse("keygroups:group_edit", args=[group.pk]) not in page


@pytest.mark.parametrize("role", ["admin", "custodian", "operator", "auditor"])
def test_every_role_reads_groups_keys_and_properties(pages, group, role) -> None:
    key = make_key(group)
    browser = pages.as_role(role)
    for url in (
        KEYS,
        key.get_absolute_url(),
        reverse("keygroups:key_actions", args=[key.pk]),
        reverse("keygroups:group_actions", args=[group.pk]),
        reverse("keygroups:groups_actions"),
    ):
        assert browser.get(url).status_code == 200, url


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_manage_groups_gets_the_page_that_names_the_right(pages, group, role) -> None:
    browser = pages.as_role(role)
    for name, arguments in (("group_add", []), ("group_edit", [group.pk]), ("group_delete", [group.pk])):
        response = browser.get(reverse(f"keygroups:{name}", args=arguments))
        assert response.status_code == 403
        assert b"Key Groups:Manage" in response.content
    assert browser.post(reverse("keygroups:preview")).status_code == 403


def test_a_search_finds_keys_of_all_groups_and_says_when_none_match(pages, vault, group) -> None:
    other = make_group(vault, "archive")
    make_key(group, "needle-1")
    make_key(other, "needle-2")
    make_key(other, "hay")
    page = text_of(pages.get(KEYS, {"q": "NEEDLE"}))
    assert "needle-1" in page
    assert "needle-2" in page
    assert ">hay<" not in page
    assert "No key matches" in text_of(pages.get(KEYS, {"q": "nothing of the kind"}))
    assert "No key matches" in text_of(pages.get(KEYS, {"q": "nothing", "group": group.pk}))


def test_a_search_finds_by_thumbprint_and_azure_version(pages, group) -> None:
    key, version = make_key(group, "one"), None
    version = push(key)
    make_key(group, "two")
    for wanted in (key.thumbprint[:12], version.azure_version[:12].upper()):
        page = text_of(pages.get(KEYS, {"q": wanted}))
        assert ">one<" in page
        assert ">two<" not in page


@pytest.mark.parametrize("query", ["group=nonsense", "show=nonsense&page=-3&groups=x", "sort=evil", "page=99"])
def test_a_nonsense_address_shows_the_page(pages, group, query) -> None:
    make_key(group)
    assert pages.get(f"{KEYS}?{query}").status_code == 200


def test_an_unknown_group_or_key_is_not_found(pages, group) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert pages.get(KEYS, {"group": unknown}).status_code == 404
    assert pages.get(f"/keys/{unknown}/").status_code == 404
    assert pages.get(f"/keys/groups/{unknown}/edit/").status_code == 404


def test_the_attention_filters_single_out_what_the_dashboard_counts(pages, vault, group) -> None:
    late, due = make_group(vault, "late-one"), make_group(vault, "due-one")
    KeyGroup.objects.filter(pk=late.pk).update(next_due_at=now() - timedelta(hours=1))
    KeyGroup.objects.filter(pk=due.pk).update(next_due_at=now() + timedelta(days=3))
    gone, ending = push(make_key(group, "gone")), push(make_key(due, "ending"))
    CloudVersion.objects.filter(pk=gone.pk).update(state="missing")
    CloudVersion.objects.filter(pk=ending.pk).update(expires_at=now() + timedelta(days=5))
    found = {
        show: [each.label for each in pages.get(KEYS, {"show": show}).context["tree_branch"].nodes]
        for show in ("late", "due", "missing", "expiring")
    }
    assert found == {"late": ["late-one"], "due": ["due-one"], "missing": ["payments"], "expiring": ["due-one"]}


def test_the_right_side_renews_itself_only_when_something_changed(pages, group) -> None:
    key = make_key(group)
    page = pages.get(KEYS)
    headers = {"HX-Request": "true", "HX-Target": "keys-pane", "X-Kmes-Seen": page.context["pane"]["digest"]}
    assert pages.get(KEYS, headers=headers).status_code == 204
    push(key)
    renewed = pages.get(KEYS, headers=headers)
    assert renewed.status_code == 200
    assert b"<html" not in renewed.content
    assert b"Active" in renewed.content


def test_a_new_first_group_does_not_take_the_place_of_the_one_that_is_shown(pages, vault, group) -> None:
    page = pages.get(KEYS)
    assert page.context["pane"]["group"] == group
    headers = {"HX-Request": "true", "HX-Target": "keys-pane", "X-Kmes-Group": str(group.pk)}
    make_group(vault, "earlier")
    assert pages.get(KEYS).context["pane"]["group"].name == "earlier"
    assert pages.get(KEYS, headers=headers).context["pane"]["group"] == group
    group.delete()
    assert pages.get(KEYS, headers=headers).context["pane"]["group"].name == "earlier"


def test_a_node_the_tree_of_the_page_lacks_is_not_renewed(pages, group) -> None:
    headers = {"HX-Request": "true", "HX-Target": "keys-pane"}
    assert b'id="node-group' in pages.get(KEYS, headers=headers).content
    assert b'id="node-group' not in pages.get(KEYS, headers=headers | {"X-Kmes-No-Node": "1"}).content


@pytest.mark.parametrize("sort", ["name", "-name", "key_spec", "state", "created_at", "pushed", "-pushed", "-expires"])
def test_the_table_sorts(pages, group, sort) -> None:
    push(make_key(group, "a"))
    make_key(group, "b")
    page = pages.get(KEYS, {"sort": sort})
    assert page.status_code == 200
    if sort in {"name", "pushed", "-pushed"}:
        assert [row.record.name for row in page.context["pane"]["table"].rows] == ["a", "b"]


def test_many_rows_cost_few_queries_and_are_paged(pages, vault, django_assert_max_num_queries) -> None:
    groups = [make_group(vault, f"group-{number:03}") for number in range(105)]
    for number in range(60):
        key = make_key(groups[0], f"key-{number:03}")
        if number % 2:
            push(key)
    for query in ({}, {"group": groups[0].pk, "page": 2}, {"q": "key-0"}, {"groups": 2}):
        with django_assert_max_num_queries(13):
            page = pages.get(KEYS, query)
        assert page.status_code == 200
    assert "Page 1 of 2" in text_of(pages.get(KEYS))


def test_a_keys_page_costs_few_queries_with_many_versions(pages, group, django_assert_max_num_queries) -> None:
    for number in range(30):
        key = make_key(group, f"key-{number:03}")
        push(key)
    with django_assert_max_num_queries(12):
        assert pages.get(key.get_absolute_url()).status_code == 200


def test_the_menu_is_a_fragment_for_script_and_a_page_without(pages, group) -> None:
    key = make_key(group)
    url = reverse("keygroups:key_actions", args=[key.pk])
    assert b'role="menu"' in pages.get(url, headers={"HX-Request": "true"}).content
    page = text_of(pages.get(url))
    assert "<html" in page
    assert "Properties" in page
    assert "Copy key identifier: Not synchronized yet" in page
    version = push(key)
    assert version.kid in text_of(pages.get(url))


def test_a_group_with_keys_leads_to_the_removal_of_its_material_and_without_any_left_says_why_not(pages, group) -> None:
    key = make_key(group)
    actions = reverse("keygroups:group_actions", args=[group.pk])
    assert f'href="{reverse("jobs:remove")}?group={group.pk}&amp;scope=local"' in text_of(pages.get(actions))
    lifecycle.destroy_key(key=key)
    assert "Delete (local): “payments” has 1 key" in text_of(pages.get(actions))


def test_a_key_shows_both_sides_identifiers_and_where_to_read_on(pages, group) -> None:
    key = make_key(group)
    assert "this key is not in Azure" in text_of(pages.get(key.get_absolute_url()))
    version = push(key)
    page = text_of(pages.get(key.get_absolute_url()))
    for wanted in (
        key.thumbprint,
        version.azure_version,
        version.kid,
        "https://kv-prod.vault.azure.net/keys/payments<",
        f"{reverse('jobs:list')}?key={key.pk}",
        f"{reverse('logs:list')}?service=azure&amp;key={key.pk}",
        "BEGIN PUBLIC KEY",
    ):
        assert wanted in page
    assert "wrapped" not in page.replace("only wrapped", "")


def test_older_versions_of_the_group_stand_below(pages, group) -> None:
    old, new = make_key(group, "old"), make_key(group, "new")
    push(old)
    push(new)
    page = text_of(pages.get(old.get_absolute_url()))
    table = page[page.index("Versions of payments") :]
    assert table.index(">new<") < table.index("(this key)")
    assert "Superseded" in table


@pytest.mark.parametrize("spec", ["RSA-2048", "P-256", "P-384", "P-521", "P-256K"])
def test_the_public_half_downloads_as_pem_and_as_jwk(pages, group, spec) -> None:
    key = make_key(group, "a/b:ü", spec=spec)
    url = reverse("keygroups:key_public", args=[key.pk])
    pem = pages.get(url, {"format": "pem"})
    loaded = load_pem_public_key(pem.content)
    assert loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public_half(spec)
    assert "attachment" in pem["Content-Disposition"]
    assert "/" not in pem["Content-Disposition"]
    jwk = json.loads(pages.get(url, {"format": "jwk"}).content)
    assert jwk["kid"] == key.thumbprint
    assert _numbers(jwk) == _numbers_of(loaded)
    assert pages.get(url, {"format": "exe"}).status_code == 400


def _numbers(jwk):
    names = ("n", "e") if jwk["kty"] == "RSA" else ("x", "y")
    raw = [urlsafe_b64decode(jwk[name] + "==") for name in names]
    if jwk["kty"] == "EC":
        sizes = {"P-256": 32, "secp256k1": 32, "P-384": 48, "P-521": 66}
        assert {len(part) for part in raw} == {sizes[jwk["crv"]]}
    return [int.from_bytes(part, "big") for part in raw]


def _numbers_of(public):
    numbers = public.public_numbers()
    return [numbers.n, numbers.e] if hasattr(numbers, "n") else [numbers.x, numbers.y]


def test_names_with_markup_are_shown_as_text(pages, credential) -> None:
    vault = make_vault(credential, "kv-two")
    group = make_group(vault, "<script>alert(1)</script>", azure_name="safe")
    key = make_key(group, "<img src=x>")
    for url in (KEYS, key.get_absolute_url(), reverse("keygroups:group_delete", args=[group.pk])):
        page = pages.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
