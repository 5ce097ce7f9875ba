"""Step 2 of the wizard: two administrators with passwords of their own, and where it leads them."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from tests.accounts.dual_login_pages import make_user, turn_on
from tests.cloudcreds.conftest import admin, people
from tests.dashboard.test_setup import choose_password, step, texts
from tests.people import body, pages

__all__ = ["admin", "pages", "people"]
pytestmark = pytest.mark.django_db


def test_two_administrators_with_passwords_of_their_own_are_needed(people):
    assert "Two people are needed" in texts(2)
    second = get_user_model().objects.create_user("second", role="admin")
    assert "Two people are needed" not in texts(2)
    assert "second still has the password given at the start." in texts(2)
    choose_password(second)
    assert not step(2).is_done
    choose_password(people["admin"])
    assert step(2).is_done
    get_user_model().objects.filter(pk=second.pk).update(is_active=False)
    assert not step(2).is_done


def test_only_who_has_the_first_password_is_led_to_change_it(pages, people):
    get_user_model().objects.create_user("second", role="admin")
    page = body(pages.get("/setup/2/"))
    assert page.count("still has the password given at the start.") >= 2
    assert page.count("Change my password") == 1


def test_it_leads_to_ones_own_second_factor_and_to_approvals(pages, people, client):
    assert "Without a second factor: a-admin." in texts(2)
    page = body(pages.get("/setup/2/"))
    assert 'href="/profile/second-factor/?next=%2Fsetup%2F2%2F"' in page
    assert 'href="/approvals/policies/"' in page
    # Nobody sets up that of another.
    make_user("ada")
    page = body(pages.get("/setup/2/"))
    assert "Without a second factor: a-admin." in page
    assert page.count("Set up my second factor") == 1


def test_it_says_whether_dual_login_is_on_and_leads_to_it(pages, people):
    assert "Dual login is off" in texts(2)
    assert 'href="/dual-login/"' in body(pages.get("/setup/2/"))
    for name in ("ada", "bob", "cy"):
        make_user(name)
    turn_on(get_user_model().objects.get(username="ada"))
    assert "Dual login is on" in texts(2)
