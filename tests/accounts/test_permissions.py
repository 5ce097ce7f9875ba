"""“What may this user do” on a user's page, and “who may do what here” on key groups, credentials and vaults."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kmes.accounts import permissions
from kmes.accounts.models import CustomRole
from kmes.core.clock import now
from tests.keygroups.builders import make_credential, make_group, make_vault
from tests.people import FRAGMENT, body, pages, people, static_root

__all__ = ["pages", "people", "static_root"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def rita(people):
    """Somebody whose role may rotate and no more."""
    CustomRole.objects.create(
        code="role-rotators", name="Rotators", rights=["console.read", "key.rotate"], changed_at=now()
    )
    return get_user_model().objects.create_user("rita", role="role-rotators")


@pytest.fixture
def group(db):
    return make_group(make_vault(make_credential()))


def text_of(answer) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", body(answer)).split())


def test_the_page_of_a_user_says_what_they_may_do(pages, rita):
    page = text_of(pages.get(f"/users/{rita.pk}/"))
    assert "Keys:Rotate key.rotate Force a rotation, and let scheduled rotations go on after they were held yes" in page
    assert "Cloud Keys:Push key.push Synchronize keys to the vault, and compare a group with its vault no" in page
    get_user_model().objects.filter(pk=rita.pk).update(is_active=False)
    page = text_of(pages.get(f"/users/{rita.pk}/"))
    assert "Nothing: the user is deactivated." in page
    assert "Keys:Rotate" not in page


def test_a_user_whose_role_is_gone_may_do_nothing_and_has_a_page(pages):
    lost = get_user_model().objects.create_user("lost", role="no such role")
    page = text_of(pages.get(f"/users/{lost.pk}/"))
    assert " yes" not in page.partition("What this user may do")[2].partition("Activity of this user")[0]


def test_each_object_says_who_may_do_what_with_it(pages, rita, group):
    for path in (
        f"/keys/groups/{group.pk}/permissions/",
        f"/keys/vaults/{group.vault_id}/permissions/",
        f"/cloud-credentials/{group.credential_id}/permissions/",
    ):
        page = text_of(pages.get(path))
        assert re.search(r"Keys:Rotate key\.rotate .*? Rotators : rita", page), path
        assert re.search(r"Cloud Keys:Purge cloud\.purge .*? Administrator : the-admin", page), path
        assert "Permissions of" in text_of(pages.get(path, **FRAGMENT))


def test_a_deactivated_user_is_not_among_them_and_many_are_counted(pages, rita, group):
    make = get_user_model().objects.create_user
    for number in range(permissions.USERS_NAMED + 3):
        make(f"rotator-{number:02}", role=rita.role)
    get_user_model().objects.filter(pk=rita.pk).update(is_active=False)
    with CaptureQueriesContext(connection) as queries:
        page = text_of(pages.get(f"/keys/groups/{group.pk}/permissions/"))
    assert len(queries) <= 12
    assert "rita" not in page
    assert "and 3 more" in page


@pytest.mark.parametrize("role", ["auditor", "admin"])
def test_the_menu_of_each_object_leads_there_whoever_looks(client, people, group, role):
    client.force_login(people[role])
    for path in (
        f"/keys/groups/{group.pk}/",
        f"/keys/vaults/{group.vault_id}/",
        f"/cloud-credentials/{group.credential_id}/",
    ):
        assert f"{path}permissions/" in body(client.get(f"{path}actions/")), path
