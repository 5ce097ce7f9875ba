"""Pages of roles for a scope: given, shown where people look for it, and taken away."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from keygroups.selectors import list_groups
from kmes.accounts.models import RoleAssignment
from logging_reports.models import LogEntry
from tests.keygroups.builders import make_credential, make_group, make_vault
from tests.logging_reports.harness import log_can_be_flushed
from tests.people import body, pages, people, static_root

__all__ = ["log_can_be_flushed", "pages", "people", "static_root"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def group(db):
    credential = make_credential("Contoso")
    make_group(make_vault(credential, "kv-other"), "other")
    return make_group(make_vault(credential, "kv-own"), "own", tags={"team": "payments"})


@pytest.fixture
def sue(db):
    return get_user_model().objects.create_user("sue", role="auditor")


def give(pages, user, **typed):
    return pages.post(reverse("accounts:user_give_role", args=[user.pk]), {"role": "operator", **typed})


def test_a_role_for_a_scope_is_given_shown_and_taken_away(pages, people, sue, group):
    assert give(pages, sue, tag="team=payments").status_code == 302
    given = RoleAssignment.objects.get()
    row = LogEntry.objects.get(event="user.role_given")
    assert (row.severity, row.message) == (
        "warning",
        "Role Operator given to sue for key groups with the tag team=payments",
    )
    assert row.data["changes"]["scoped_roles"] == [[], ["Operator: tag team=payments"]]
    shown = body(pages.get(sue.get_absolute_url()))
    assert "key groups with the tag team=payments" in shown
    assert "Cloud Keys:Push, Keys:Rotate, Jobs:Cancel" in shown
    permissions = body(pages.get(reverse("keygroups:group_permissions", args=[group.pk])))
    assert "(key groups with the tag team=payments): <a" in permissions
    elsewhere = type(group).objects.get(name="other")
    assert "team=payments" not in body(pages.get(reverse("keygroups:group_permissions", args=[elsewhere.pk])))
    pages.force_login(sue)
    assert "key groups with the tag team=payments: " in body(pages.get("/profile/"))
    pages.force_login(people["admin"])
    take = reverse("accounts:user_take_role", args=[sue.pk, given.pk])
    assert "no longer has the role Operator for: key groups" in body(pages.get(take))
    assert pages.post(take).status_code == 302
    assert not RoleAssignment.objects.exists()


def test_the_list_of_users_counts_roles_for_a_scope_beside_the_role_everywhere(pages, sue, group):
    def listed():
        return body(pages.get(reverse("accounts:users")))

    assert "for a scope" not in listed()
    with CaptureQueriesContext(connection) as without:
        listed()
    give(pages, sue, tag="team=payments")
    give(pages, sue, group="own")
    told = "Operator: key groups with the tag team=payments; Operator: key group own"
    row = listed().partition(f'id="user-{sue.pk}"')[2].partition("</tr>")[0]
    assert "+2 for a scope" in row
    assert all(part in row for part in told.split("; "))
    # The scopes of all users are read at once: one query for each kind of scope, and one for names of roles.
    with CaptureQueriesContext(connection) as within:
        listed()
    assert len(within) <= len(without) + 3


def test_the_form_says_which_rights_of_a_role_have_no_effect_and_asks_for_one_scope(pages, sue, group):
    address = reverse("accounts:user_give_role", args=[sue.pk])
    form = body(pages.get(address))
    assert "Without effect for a scope: Cloud Credentials:Manage" in form
    # One of the three fields is required.
    assert "optional" not in form.partition("<form method")[2].partition("</form>")[0]
    for typed in ({}, {"vault": "kv-own", "group": "own"}):
        assert "Choose one scope" in body(give(pages, sue, **typed))
    assert "no such scope" in body(give(pages, sue, vault="kv-nowhere"))
    assert not RoleAssignment.objects.exists()


@pytest.mark.parametrize(("kind", "text", "names"), [
    ("vault", "kv-o", ["kv-other", "kv-own"]),
    ("group", "wn", ["own"]),
    ("tag", "pay", ["team=payments"]),
    ("tag", "", []),
])  # fmt: skip
def test_scopes_are_suggested_by_name(pages, group, kind, text, names):
    answer = pages.get(reverse("accounts:scope_names", args=[kind]), {"q": text})
    assert answer.json() == {"names": names}


def test_the_tree_finds_key_groups_by_their_tag(group):
    assert [each.name for each in list_groups(search="team=payments")] == ["own"]
    assert not list_groups(search="team=others").exists()
