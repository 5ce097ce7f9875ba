"""The page on which an administrator sets company sign-on up, tests it, and switches it on."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
import time_machine

from kmes.accounts.company_sign_on import seals
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.models import CustomRole, User
from kmes.accounts.rights import Right
from kmes.accounts.roles.services import RoleValues, create_role, update_role
from kmes.core.actor import SYSTEM, Actor
from kmes.core.clock import now
from kmes.core.errors import InputError
from logging_reports.models import LogEntry
from logging_reports.notices.models import Notice
from tests.accounts.sign_on_pages import PAGE, TEST, TRIAL, begin, provider, running, save, sign_in
from tests.accounts.sign_on_provider import CLIENT, SECRET
from tests.people import body, make_people, pages, people, static_root

__all__ = ["pages", "people", "provider", "running", "static_root"]
pytestmark = pytest.mark.django_db
TYPED = {
    "name": "Example",
    "client_id": CLIENT,
    "scopes": "openid profile",
    "username_claim": "preferred_username",
    "groups_claim": "groups",
    "groups_admin": "kmes-admins\nkmes-owners\n",
    "groups_auditor": "kmes-auditors",
}


def typed(provider, **changes):
    return {**TYPED, "issuer": provider.issuer, "client_secret": SECRET, **changes}


def test_it_is_off_until_somebody_sets_it_up_and_switches_it_on(provider, pages, client):
    SignOnProvider.objects.all().delete()
    assert "Off" in body(pages.get(PAGE))
    assert pages.post(PAGE, typed(provider, client_secret="")).status_code == 422
    assert pages.post(PAGE, typed(provider)).status_code == 302
    found = SignOnProvider.objects.get()
    assert found.group_roles == {"kmes-admins": "admin", "kmes-owners": "admin", "kmes-auditors": "auditor"}
    assert not found.is_enabled
    assert pages.post(PAGE, typed(provider, client_secret="", is_enabled="on")).status_code == 302
    assert SignOnProvider.objects.get().is_enabled
    assert seals.open_provider(SignOnProvider.objects.get()).reveal() == SECRET


def test_each_change_names_old_and_new_but_never_the_secret(provider, pages):
    pages.post(PAGE, typed(provider, name="New name", client_secret="another-secret-of-the-client"))
    row = LogEntry.objects.filter(event="access.sign_on_changed").latest("sequence")
    assert row.severity == "warning"
    assert row.data["changes"]["name"] == ["Example", "New name"]
    assert row.data["changes"]["is_enabled"] == [True, False]
    assert row.data["is_secret_new"] is True
    assert "another-secret" not in f"{row.message} {row.data}"
    assert Notice.objects.filter(event="access.sign_on_changed", user_id=None).exists()


def test_the_secret_is_stored_sealed_and_never_shown(provider, pages):
    sealed = bytes(SignOnProvider.objects.get().sealed)
    assert SECRET.encode() not in sealed
    assert SECRET not in html.unescape(body(pages.get(PAGE)))
    assert SECRET not in html.unescape(body(pages.post(PAGE, typed(provider, name=""))))


@pytest.mark.parametrize("changed", [{"issuer": "https://127.0.0.1:1"}, {"client_id": "another"}])
def test_another_issuer_or_client_needs_the_secret_again(provider, pages, changed):
    answer = pages.post(PAGE, typed(provider, client_secret="", **changed))
    assert answer.status_code == 422
    assert "Enter it again" in body(answer)
    assert SignOnProvider.objects.get().client_id == CLIENT


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"issuer": "http://login.example.com"}, "https"),
        ({"issuer": "https://user@login.example.com"}, "https"),
        ({"issuer": "https://10.0.0.7"}, "KMES_SIGN_ON_PRIVATE_HOSTS"),
        ({"issuer": "https://169.254.169.254"}, "KMES_SIGN_ON_PRIVATE_HOSTS"),
        ({"scopes": "profile"}, "openid"),
        ({"groups_auditor": "kmes-admins"}, "another role"),
        ({"groups_admin": "", "groups_auditor": "", "is_enabled": "on"}, "Nobody could sign in"),
        ({"unmatched_role": "admin"}, "valid choice"),
    ],
)
def test_what_can_t_work_or_is_not_safe_is_refused(provider, pages, changed, said):
    answer = pages.post(PAGE, typed(provider, **changed))
    assert (answer.status_code, said in html.unescape(body(answer))) == (422, True)


def test_only_who_manages_users_sees_or_changes_it(provider, client):
    found = make_people("some")
    for role in ("custodian", "operator", "auditor"):
        client.force_login(found[role])
        assert {client.get(PAGE).status_code, client.post(PAGE, typed(provider)).status_code} == {403}
        assert {client.post(TEST).status_code, client.get(TRIAL).status_code} == {403}


def test_the_test_says_what_discovery_and_keys_say(provider, pages):
    page = html.unescape(body(pages.post(TEST)))
    assert "1 of 1 keys can be used" in page
    assert "S256" in page
    assert "Failed" not in page
    provider.metadata["issuer"] = "https://somebody.else"
    page = html.unescape(body(pages.post(TEST)))
    assert "the metadata is of the issuer 'https://somebody.else'" in page
    row = LogEntry.objects.filter(event="access.sign_on_tested").latest("sequence")
    assert row.message == "Test of company sign-on: failed: metadata"


def test_a_trial_shows_what_a_sign_in_would_give_and_does_nothing(provider, pages):
    _client, answer = sign_in(provider, pages, path=TRIAL, groups=["kmes-admins", "x"], amr=["pwd"])
    page = html.unescape(body(answer))
    for said in ("subject-of-ada", "2, of which these count: kmes-admins", "Administrator", "Not proven there: pwd"):
        assert said in page
    assert not User.objects.filter(username="ada").exists()
    provider.make_token = lambda claims: provider.sign({**claims, "nonce": "another"})
    _client, answer = sign_in(provider, pages, path=TRIAL)
    assert "its nonce differs" in body(answer)


def test_a_trial_works_before_it_is_switched_on(provider, pages):
    pages.post(PAGE, typed(provider))
    assert "subject-of-ada" in body(sign_in(provider, pages, path=TRIAL)[1])


def test_the_answer_to_a_trial_counts_in_the_session_that_began_it(provider, pages, django_user_model):
    address = begin(pages, TRIAL)
    pages.force_login(django_user_model.objects.create_user("eve", role="admin"))
    assert pages.get(provider.authorize(address)).status_code == 403


def test_changing_it_asks_for_the_second_factor_again(provider):
    client, _answer = sign_in(provider, groups=["kmes-admins"])
    assert client.get(PAGE).url.startswith("/profile/second-factor/confirm/")
    address = begin(client, f"/profile/second-factor/confirm/company/?next={PAGE}")
    assert client.get(provider.authorize(address)).url == PAGE
    assert client.get(PAGE).status_code == 200
    with time_machine.travel(now() + timedelta(minutes=6)):
        assert client.post(PAGE, typed(provider)).status_code == 302
    assert SignOnProvider.objects.get().is_enabled


@pytest.fixture
def added_role(people):
    values = RoleValues("Pushers", "", frozenset({Right.KEY_PUSH}), needs_second_factor=False)
    return create_role(values=values, actor=Actor.from_user(people["admin"]))


def test_groups_give_an_added_role_and_renaming_it_changes_nothing(provider, pages, added_role):
    assert "Groups of the role Pushers" in body(pages.get(PAGE))
    field = f"groups_{added_role.code}"
    assert pages.post(PAGE, typed(provider, is_enabled="on", **{field: "kmes-pushers"})).status_code == 302
    row = LogEntry.objects.filter(event="access.sign_on_changed").latest("sequence")
    assert row.data["role_names"][added_role.code] == "Pushers"
    values = RoleValues("Senders", "", frozenset({Right.KEY_PUSH}), needs_second_factor=False)
    update_role(code=added_role.code, values=values, lock_version=1, actor=SYSTEM)
    sign_in(provider, groups=["kmes-pushers"])
    ada = User.objects.get(username="ada")
    assert (ada.role, ada.rights) == (added_role.code, {Right.CONSOLE_READ, Right.KEY_PUSH})
    assert "created by company sign-on as Senders" in LogEntry.objects.get(event="user.created").message
    assert "Senders" in body(sign_in(provider, pages, path=TRIAL, groups=["kmes-pushers"])[1])


def test_of_several_roles_the_one_with_the_most_rights_counts(provider, added_role):
    save(provider, group_roles={"a": "auditor", "p": added_role.code, "o": "operator"})
    for groups, role in ((["p", "o", "a"], "operator"), (["p", "a"], "auditor"), (["p"], added_role.code)):
        sign_in(provider, groups=groups)
        assert User.objects.get(username="ada").role == role


def test_a_role_that_groups_give_is_not_deleted(provider, pages, added_role):
    save(provider, group_roles={"kmes-pushers": added_role.code})
    answer = pages.post(f"/roles/{added_role.code}/delete/")
    assert (answer.status_code, "kmes-pushers" in html.unescape(body(answer))) == (409, True)
    assert "Company sign-on gives it to the group" in body(pages.get(f"/roles/{added_role.code}/"))
    save(provider, group_roles={"kmes-admins": "admin"}, unmatched_role=added_role.code)
    assert pages.post(f"/roles/{added_role.code}/delete/").status_code == 409
    save(provider, group_roles={"kmes-admins": "admin"})
    assert pages.post(f"/roles/{added_role.code}/delete/").status_code == 302


def test_a_role_that_is_gone_is_refused_in_settings_and_gives_nothing(provider, added_role):
    save(provider, group_roles={"kmes-pushers": added_role.code})
    CustomRole.objects.all().delete()
    with pytest.raises(InputError, match="deleted meanwhile"):
        save(provider, group_roles={"kmes-pushers": added_role.code})
    assert sign_in(provider, groups=["kmes-pushers"])[1].status_code == 403
    assert not User.objects.filter(username="ada").exists()


def test_users_in_no_group_get_no_right_that_only_administrators_have(provider, added_role):
    save(provider, unmatched_role=added_role.code)
    sign_in(provider, groups=[])
    assert User.objects.get(username="ada").role == added_role.code
    strong = frozenset({Right.USER_MANAGE})
    update_role(
        code=added_role.code,
        values=RoleValues("Pushers", "", strong, needs_second_factor=False),
        lock_version=1,
        actor=SYSTEM,
    )
    with pytest.raises(InputError, match="only administrators"):
        save(provider, unmatched_role=added_role.code)
    assert sign_in(provider, groups=[])[1].status_code == 403
