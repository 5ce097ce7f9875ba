"""Whoever manages users and roles, but has few rights, tries to get more: by roles, accounts, passwords and races."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client

from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.company_sign_on.services import ProviderValues
from kmes.accounts.company_sign_on.services import save as save_sign_on
from kmes.accounts.models import CustomRole, User
from kmes.accounts.rights import Right, Role
from kmes.accounts.roles.services import RoleValues, update_role
from kmes.accounts.second_factor import services as second_factor
from kmes.accounts.selectors import locked_sign_ins
from kmes.accounts.services import UserValues, deactivate_user, update_user
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, PermissionRefused
from kmes.core.secret_types import SecretText
from logging_reports.models import LogEntry
from tests.people import body

pytestmark = pytest.mark.django_db
CLERK = ["console.read", "user.manage", "role.manage", "key.push"]


def make_role(code: str, *rights: str) -> CustomRole:
    return CustomRole.objects.create(
        code=code, name=code, rights=["console.read", *rights], needs_second_factor=False, changed_at=now()
    )


@pytest.fixture
def clerk(db):
    """Manages users and roles, and may push."""
    make_role("clerks", *CLERK)
    return get_user_model().objects.create_user("clara", role="clerks")


@pytest.fixture
def browser(clerk):
    client = Client()
    client.force_login(clerk)
    return client


@pytest.fixture
def boss(db):
    return get_user_model().objects.create_user("ada", role="admin")


@pytest.fixture
def helper(db):
    """Somebody with less than the clerk."""
    make_role("helpers", "key.push")
    return get_user_model().objects.create_user("hugo", role="helpers")


def form(code: str, *rights: str, version: int = 1):
    return {"name": code, "description": "", "rights": list(rights), "lock_version": version}


def user_form(role: str, **changes: str):
    return {"username": "puppet", "first_name": "", "last_name": "", "email": "", "role": role, **changes}


def roles_now() -> list[tuple[str, list[str]]]:
    return list(CustomRole.objects.order_by("code").values_list("code", "rights"))


def test_the_clerk_does_what_the_job_needs(browser, helper):
    assert browser.post("/roles/add/", form("pushers", "key.push")).status_code == 302
    assert browser.post("/users/add/", user_form("helpers")).status_code == 200
    assert browser.post("/roles/helpers/edit/", form("helpers")).status_code == 302
    assert browser.post(f"/users/{helper.pk}/reset-password/").status_code == 200
    assert browser.post(f"/users/{helper.pk}/deactivate/").status_code == 302


@pytest.mark.parametrize("right", sorted({right.value for right in Right} - set(CLERK)))
def test_no_role_is_added_or_changed_to_have_a_right_that_its_maker_lacks(browser, helper, right):
    before = roles_now()
    assert browser.post("/roles/add/", form("more", "key.push", right)).status_code == 403
    assert browser.post("/roles/add/?template=admin", form("more", right)).status_code == 403
    assert browser.post("/roles/helpers/edit/", form("helpers", "key.push", right)).status_code == 403
    assert roles_now() == before
    refused = LogEntry.objects.filter(event="access.refused", actor_name="clara")
    assert "lacks rights of" in refused.latest("sequence").message


def test_the_form_offers_a_copy_of_the_administrator_only_with_rights_that_one_has(browser):
    page = body(browser.get("/roles/add/?template=admin"))
    assert "Not all rights of Administrator are copied" in page
    assert page.count(" checked") == len(CLERK) + 1  # the second factor


def test_nobody_changes_the_role_they_have(browser):
    before = roles_now()
    for rights in (CLERK, [*CLERK, "cloud.purge"], []):
        assert browser.post("/roles/clerks/edit/", form("clerks", *rights)).status_code in {403, 422}
    assert browser.post("/roles/clerks/delete/").status_code == 409
    assert roles_now() == before


def test_a_role_with_more_rights_is_neither_changed_nor_deleted_nor_given(browser, helper):
    make_role("purgers", "cloud.purge")
    before = roles_now()
    assert browser.post("/roles/purgers/edit/", form("purgers")).status_code == 403
    assert browser.post("/roles/purgers/delete/").status_code == 403
    for role in ("purgers", "admin", "auditor"):
        # The form does not offer it; the service refuses it as well.
        assert browser.post(f"/users/{helper.pk}/edit/", user_form(role)).status_code == 422
        assert browser.post("/users/add/", user_form(role)).status_code == 422
    assert roles_now() == before
    assert not User.objects.filter(username="puppet").exists()
    assert User.objects.get(pk=helper.pk).role == "helpers"


@pytest.mark.parametrize("role", ["purgers", "admin"])
def test_the_services_refuse_to_give_a_role_with_more_rights(clerk, helper, role):
    make_role("purgers", "cloud.purge")
    with pytest.raises(PermissionRefused, match="lacks rights of"):
        update_user(user=helper, values=UserValues(role), actor=Actor.from_user(clerk))


@pytest.mark.parametrize("act", ["edit", "reset-password", "reset-second-factor", "deactivate", "reactivate"])
def test_nobody_takes_over_the_account_of_somebody_with_more_rights(browser, boss, act, django_user_model):
    django_user_model.objects.create_user("second", role="admin")
    if act == "reactivate":
        User.objects.filter(pk=boss.pk).update(is_active=False)
    before = User.objects.filter(pk=boss.pk).values().get()
    answer = browser.post(f"/users/{boss.pk}/{act}/", user_form("admin", email="clara@example.com"))
    assert answer.status_code == 403
    assert User.objects.filter(pk=boss.pk).values().get() == before
    assert "rights that you lack" in body(browser.get(f"/users/{boss.pk}/actions/"))


def test_nobody_gives_themselves_more_guesses_at_the_password_of_somebody_with_more_rights(browser, boss, helper):
    def lock(name: str) -> None:
        for _each in range(5):
            Client().post("/login/", {"username": name, "password": "wrong"})

    for name in (boss.username, helper.username):
        lock(name)
    assert browser.post(f"/users/unlock/?name={boss.username}").status_code == 403
    assert "rights that you lack" in body(browser.get(f"/users/unlock/?name={boss.username}"))
    assert browser.post(f"/users/unlock/?name={helper.username}").status_code == 302
    assert [each.username for each in locked_sign_ins()] == [boss.username]


def test_a_mail_address_of_somebody_with_more_rights_stays_where_it_is(clerk, boss):
    with pytest.raises(PermissionRefused):
        update_user(user=boss, values=UserValues("admin", email="clara@example.com"), actor=Actor.from_user(clerk))


def test_the_second_factor_of_somebody_with_more_rights_stays(clerk, boss):
    second_factor.AuthenticatorApp.objects.create(user=boss, sealed_seed=b"-", added_at=now(), last_step=0)
    with pytest.raises(PermissionRefused):
        second_factor.reset(user=boss, actor=Actor.from_user(clerk))
    assert second_factor.has_factor(boss)


def test_nobody_with_fewer_rights_says_which_groups_of_the_provider_get_which_role(clerk):
    given = {"name": "x", "issuer": "https://login.example.com", "client_id": "x", "scopes": "openid"}
    claims = {"username_claim": "name", "groups_claim": "groups", "group_roles": {"everybody": "admin"}}
    with pytest.raises(PermissionRefused, match="lacks rights of"):
        save_sign_on(ProviderValues(**given, **claims), SecretText("secret"), actor=Actor.from_user(clerk))
    assert not SignOnProvider.objects.exists()


def test_the_last_administrator_goes_by_no_path_whoever_else_may_manage_users(boss, clerk):
    make_role("almost", *(right.value for right in Right))
    full = get_user_model().objects.create_user("full", role="almost")
    actor = Actor.from_user(full)
    for refused in (
        lambda: update_user(user=boss, values=UserValues("almost"), actor=actor),
        lambda: deactivate_user(user=boss, actor=actor),
    ):
        with pytest.raises(ConflictError, match="last active administrator"):
            refused()
    everything = RoleValues("Administrator 2", "", frozenset(), needs_second_factor=False)
    for code in Role.values:
        with pytest.raises(ConflictError, match="Built-in roles do not change"):
            update_role(code=code, values=everything, lock_version=1, actor=actor)
    assert User.objects.get(pk=boss.pk).is_active


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_end_each_other_at_the_same_moment_one_stays():
    people = [get_user_model().objects.create_user(name, role="admin") for name in ("ada", "ben")]
    start, failures = threading.Barrier(2), []

    def end(own: User, other: User) -> None:
        try:
            start.wait(timeout=60)
            update_user(user=other, values=UserValues("auditor"), actor=Actor.from_user(own))
        except (ConflictError, PermissionRefused) as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=end, args=pair) for pair in (people, people[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 1
    assert User.objects.filter(role="admin", is_active=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_right_that_is_being_taken_away_is_not_given_on_at_the_same_moment():
    boss = get_user_model().objects.create_user("ada", role="admin")
    make_role("clerks", *CLERK)
    make_role("helpers")
    clerk = get_user_model().objects.create_user("clara", role="clerks")
    start, given = threading.Barrier(2), []

    def give() -> None:
        wanted = RoleValues("helpers", "", frozenset({Right.KEY_PUSH}), needs_second_factor=False)
        try:
            start.wait(timeout=60)
            update_role(code="helpers", values=wanted, lock_version=1, actor=Actor.from_user(clerk))
            given.append(LogEntry.objects.get(event="role.updated", data__role="helpers").sequence)
        except PermissionRefused:
            pass
        finally:
            connection.close()

    thread = threading.Thread(target=give)
    thread.start()
    start.wait(timeout=60)
    less = RoleValues("clerks", "", frozenset({Right.USER_MANAGE, Right.ROLE_MANAGE}), needs_second_factor=False)
    update_role(code="clerks", values=less, lock_version=1, actor=Actor.from_user(boss))
    thread.join()
    # Either it was given on before, or not at all.
    taken = LogEntry.objects.get(event="role.updated", data__role="clerks").sequence
    assert all(sequence < taken for sequence in given)
