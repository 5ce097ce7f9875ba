"""An administrator unlinks a user from the company account, so that the next sign-in can link another one."""

from __future__ import annotations

import html

import pytest
from django.test import Client

from kmes.accounts.company_sign_on import unlinking
from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.models import User
from kmes.accounts.rights import Right
from kmes.accounts.roles.services import RoleValues, create_role
from kmes.core.actor import SYSTEM, Actor
from kmes.core.errors import ConflictError, PermissionRefused
from logging_reports.models import LogEntry
from tests.accounts.sign_on_pages import is_in, provider, running, save, sign_in
from tests.people import body, make_people, pages, people, static_root

__all__ = ["pages", "people", "provider", "running", "static_root"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(provider):
    """A user of the provider's, and the browser."""
    client, _answer = sign_in(provider, groups=["kmes-operators"])
    return User.objects.get(username="ada"), client


def test_an_unlinked_user_is_linked_anew_by_another_account_of_the_name(provider, pages, ada):
    user, browser = ada
    page = html.unescape(body(pages.get(f"/users/{user.pk}/unlink/")))
    assert "no password of this console" in page
    assert "not linked by name" in page
    save(provider, may_link=True)
    assert sign_in(provider, sub="after-the-change")[1].status_code == 403
    assert pages.post(f"/users/{user.pk}/unlink/").status_code == 302
    assert not is_in(browser)
    row = LogEntry.objects.get(event="user.unlinked")
    assert (row.severity, row.data["user_id"]) == ("warning", user.pk)
    assert row.data["accounts"] == [{"issuer": provider.issuer, "subject": "subject-of-ada"}]
    assert is_in(sign_in(provider, sub="after-the-change")[0])
    assert SignOnIdentity.objects.get(user=user).subject == "after-the-change"


def test_who_chooses_the_name_of_an_unlinked_user_needs_groups_with_all_its_rights(provider, ada):
    user, _browser = ada
    unlinking.unlink(user=user, actor=SYSTEM)
    assert sign_in(provider, sub="somebody-else")[1].status_code == 403
    save(provider, may_link=True)
    assert sign_in(provider, sub="somebody-else", groups=["kmes-auditors"])[1].status_code == 403
    assert not SignOnIdentity.objects.exists()


def test_nobody_unlinks_themselves_or_who_has_more_rights(provider, ada, django_user_model):
    boss_browser, _answer = sign_in(provider, sub="boss", preferred_username="boss", groups=["kmes-admins"])
    boss = User.objects.get(username="boss")
    values = RoleValues("Clerk", "", frozenset({Right.USER_MANAGE}), needs_second_factor=False)
    role = create_role(values=values, actor=SYSTEM)
    clerk = django_user_model.objects.create_user("clerk", role=role.code)
    for victim in (boss, ada[0]):
        with pytest.raises(PermissionRefused):
            unlinking.unlink(user=victim, actor=Actor.from_user(clerk))
    with pytest.raises(ConflictError):
        unlinking.unlink(user=boss, actor=Actor.from_user(boss))
    assert is_in(boss_browser)
    client = Client()
    client.force_login(make_people("some")["operator"])
    assert client.post(f"/users/{boss.pk}/unlink/").status_code == 403


def test_a_sign_in_that_waits_for_its_second_factor_ends_with_the_link(provider, ada, monkeypatch):
    user, _browser = ada
    monkeypatch.setattr("kmes.accounts.second_factor.services.has_factor", lambda _user: True)
    browser, answer = sign_in(provider)
    assert answer.url == "/login/second-factor/"
    assert browser.get("/login/second-factor/").status_code == 200
    unlinking.unlink(user=user, actor=SYSTEM)
    assert browser.get("/login/second-factor/").status_code == 302
