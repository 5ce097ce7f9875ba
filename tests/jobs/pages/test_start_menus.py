"""The menus that lead to jobs: order, what a role never sees, and the reason why something can't be done now."""

from __future__ import annotations

import pytest

from jobs.pages.actions import register_all
from jobs.planning import blockers
from keygroups.models import Key, KeyGroup
from kmes.ui.actions import flat_menu, menu_for
from tests.jobs.pages.browsing import group, make_job, make_key, people, push, static_root

__all__ = ["group", "people", "static_root"]
pytestmark = pytest.mark.django_db


def menu(target, obj, user) -> dict[str, str]:
    """The menu as label → reason ("" when it can be done), in order."""
    return {
        f"{submenu} > {item.label}" if submenu else item.label: item.reason
        for submenu, item in flat_menu(menu_for(target, obj, user))
        if "/jobs/start/" in item.url or item.reason
    }


@pytest.fixture(autouse=True)
def registered():
    """The menus, whatever other tests registered."""
    register_all()


def test_a_groups_menu_has_the_console_s_items_in_order(people, group):
    found = [label for label in menu("group", group, people["admin"]) if label.startswith(("Create", "Cloud"))]
    assert found == [
        "Create > Random",
        "Create > Keys by pattern",
        "Cloud > Synchronize All",
        "Cloud > Force Rotation",
        "Cloud > Delete",
        "Cloud > Recover",
        "Cloud > Purge",
        "Cloud > Check Drift",
        "Cloud > Edit Tags",
    ]


def test_a_menu_leaves_out_what_the_role_may_never_do(people, group):
    assert "Cloud > Purge" not in menu("group", group, people["custodian"])
    assert not [label for label in menu("group", group, people["auditor"]) if label.startswith("Cloud")]


def test_a_groups_menu_gives_reasons(people, group):
    found = menu("group", group, people["admin"])
    assert found["Create > Random"] == found["Cloud > Force Rotation"] == ""
    assert found["Cloud > Synchronize All"] == "The group has no key yet"
    assert found["Cloud > Delete"] == "The vault holds no key of this group"
    assert found["Cloud > Recover"] == "Not deleted in the vault"


def test_another_job_on_the_group_is_named_as_reason(people, group):
    push(make_key(group))
    group.refresh_from_db()
    job = make_job(group, azure_lock=group.azure_lock)
    assert menu("group", group, people["admin"])["Cloud > Delete"] == f"Another job is running ({job})"


def test_purge_protection_is_named_as_reason(people, group):
    push(make_key(group), state="soft_deleted")
    group.refresh_from_db()
    group.vault.recovery_level = "Recoverable"
    assert menu("group", group, people["admin"])["Cloud > Purge"] == "The vault has purge protection"


def test_a_keys_menu_follows_its_state(people, group):
    fresh, pushed, gone = make_key(group, "a"), make_key(group, "b"), make_key(group, "c", state="destroyed")
    push(pushed)
    user = people["admin"]
    assert menu("key", fresh, user)["Cloud > Synchronize"] == ""
    assert menu("key", fresh, user)["Cloud > Disable"] == "Nothing was synchronized yet"
    assert menu("key", pushed, user)["Cloud > Synchronize"] == "Synchronized already (Active)"
    assert menu("key", pushed, user)["Cloud > Disable"] == ""
    assert menu("key", pushed, user)["Cloud > Enable"] == "Enabled already"
    assert menu("key", gone, user)["Cloud > Synchronize"] == "The key was destroyed here"
    assert menu("key", gone, user)["Delete (local)"] == "The key was destroyed already"


def test_a_key_of_a_deleted_azure_key_says_so(people, group):
    key = make_key(group)
    push(key, state="soft_deleted")
    assert "recover or purge it first" in menu("key", key, people["admin"])["Cloud > Synchronize"]


def test_what_bars_a_menus_actions_costs_two_queries(group, django_assert_max_num_queries):
    version = push(make_key(group))
    key, fresh = Key.objects.get(pk=version.key_id), KeyGroup.objects.get(pk=group.pk)
    with django_assert_max_num_queries(2):
        for bars in ("synchronize_all", "rotate", "delete", "recover", "purge", "check_drift"):
            getattr(blockers, f"why_not_{bars}")(fresh)
    with django_assert_max_num_queries(2):
        for bars in ("synchronize", "enable", "disable", "destroy"):
            getattr(blockers, f"why_not_{bars}")(key)
