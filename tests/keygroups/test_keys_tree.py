"""The tree of groups and keys: its orders, its branches, and what thousands of groups cost."""

from __future__ import annotations

import re

import pytest
from django.http import QueryDict
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keygroups.filters import KeysFilter
from keygroups.models import KeyGroup
from tests.keygroups.builders import make_group, make_key, make_vault, push

KEYS = "/keys/"
BRANCH = "/keys/tree/"


def labels(response) -> list[str]:
    assert response.status_code == 200, response.content[:300]
    return re.findall(r'class="tree-label">([^<]+)<', response.content.decode())


def test_each_order_of_the_tree_has_an_address(pages, credential, vault, group) -> None:
    other = make_group(make_vault(credential, "kv-other", tier="standard"), "orders")
    push(make_key(other))
    assert labels(pages.get(KEYS)) == ["orders", "payments"]
    assert labels(pages.get(KEYS, {"view": "vault"})) == ["kv-other", "kv-prod"]
    states = labels(pages.get(KEYS, {"view": "state"}))
    assert states == ["Not in the vault", "In the vault", "Deleted, recoverable", "Purged"]


def test_a_branch_of_the_tree_holds_the_keys_with_state_and_menu(pages, group) -> None:
    key = make_key(group, "one")
    push(key)
    make_key(group, "two")
    branch = pages.get(BRANCH, {"node": f"group:{group.pk}"})
    assert labels(branch) == ["two", "one"]
    text = branch.content.decode()
    assert "Active" in text
    assert "Not synchronized" in text
    assert f'data-menu="{reverse("keygroups:key_actions", args=[key.pk])}"' in text
    assert key.get_absolute_url() in text


def test_a_vault_and_a_state_fill_both_sides(pages, credential, vault, group) -> None:
    other = make_group(make_vault(credential, "kv-other"), "orders")
    push(make_key(other, "theirs"))
    make_key(group, "mine")
    for query, wanted in (
        ({"view": "vault", "vault": vault.pk}, ("payments", "mine")),
        ({"view": "state", "state": "live"}, ("orders", "theirs")),
    ):
        page = pages.get(KEYS, query)
        assert wanted[0] in labels(page)
        assert [row.record.name for row in page.context["pane"]["table"].rows] == [wanted[1]]
        node = f"vault:{vault.pk}" if "vault" in query else "state:live"
        assert labels(pages.get(BRANCH, {"view": query["view"], "node": node})) == [wanted[0]]


def test_the_branch_of_the_chosen_group_is_open_in_every_order(pages, vault, group) -> None:
    for view in ("vault", "state"):
        page = pages.get(KEYS, {"view": view, "group": group.pk})
        assert "payments" in labels(page)
        assert re.search(rf'id="node-group:{group.pk}"[^>]*aria-current="true"', page.content.decode())


@pytest.mark.parametrize("node", ["", "group:nonsense", "vault:", "state:nowhere", "key:1"])
def test_an_unknown_branch_is_not_found(pages, group, node) -> None:
    assert pages.get(BRANCH, {"node": node}).status_code == 404


def test_thousands_of_groups_come_a_page_at_a_time(pages, vault, django_assert_max_num_queries) -> None:
    KeyGroup.objects.bulk_create(
        KeyGroup(
            name=f"group-{number:04}",
            azure_name=f"group-{number:04}",
            key_spec="RSA-2048",
            credential=vault.credential,
            vault=vault,
        )
        for number in range(1050)
    )
    for query in ({}, {"view": "vault"}, {"view": "state"}, {"view": "vault", "vault": vault.pk}):
        with django_assert_max_num_queries(12):
            pages.get(KEYS, query)
    with django_assert_max_num_queries(8):
        branch = pages.get(BRANCH, {"view": "vault", "node": f"vault:{vault.pk}"})
    assert len(labels(branch)) == 100
    assert "950" in branch.content.decode()
    following = re.search(r'data-more="([^"]+)"', branch.content.decode())[1].replace("&amp;", "&")
    assert labels(pages.get(following))[0] == "group-0100"


def test_a_branch_of_many_keys_costs_few_queries(pages, group, django_assert_max_num_queries) -> None:
    for number in range(30):
        push(make_key(group, f"key-{number}"))
    with django_assert_max_num_queries(8):
        pages.get(BRANCH, {"node": f"group:{group.pk}"})


def test_choosing_a_group_renews_the_right_side_and_its_line_in_the_tree(pages, group) -> None:
    headers = {"HX-Request": "true", "HX-Target": "keys-pane"}
    piece = pages.get(KEYS, {"group": group.pk}, headers=headers).content.decode()
    assert "<html" not in piece
    assert "<title>payments · Keys" in piece
    assert 'hx-swap-oob="innerHTML:.breadcrumb"' in piece
    assert re.search(rf'id="node-group:{group.pk}"[^>]*hx-swap-oob="true"', piece)


TEXT = st.text(max_size=30)


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    group=st.one_of(st.none(), st.uuids()),
    vault=st.one_of(st.none(), st.uuids()),
    q=TEXT,
    show=st.sampled_from(["", "late", "due", "expiring", "missing", "drift"]),
    view=st.sampled_from(["", "vault", "state"]),
    state=st.sampled_from(["", "live", "absent", "purged"]),
)
def test_a_filter_survives_its_own_address(group, vault, q, show, view, state) -> None:
    typed = QueryDict(mutable=True)
    typed.update({"group": str(group or ""), "vault": str(vault or ""), "q": q, "show": show, "view": view})
    typed["state"] = state
    once = KeysFilter.read(typed)
    assert KeysFilter.read(QueryDict(once.query())) == once
    assert KeysFilter.read(QueryDict(once.link(group=group or "")[1:])).q == once.q


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(["group", "vault", "q", "show", "view", "state"]), TEXT))
def test_nonsense_in_an_address_is_no_filter_and_no_error(values) -> None:
    data = QueryDict(mutable=True)
    data.update(values)
    found = KeysFilter.read(data)
    assert found.show in {"", "late", "due", "expiring", "missing", "drift"}
    assert found.view in {"", "vault", "state"}
