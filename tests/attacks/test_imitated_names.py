"""Names at the identity provider that look like those of others, or are those of others."""

from __future__ import annotations

import pytest

from kmes.accounts.company_sign_on.models import SignOnIdentity
from kmes.accounts.models import User
from logging_reports.models import LogEntry
from tests.accounts.sign_on_pages import provider, running, save, sign_in

__all__ = ["provider", "running"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["\u0430da", "ad\u0430", "ada\u0455", "\u03b1da"])
def test_a_name_that_imitates_another_one_by_letters_of_another_alphabet_makes_no_user(provider, name):
    assert sign_in(provider, preferred_username=name)[1].status_code == 403
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["adm\u0131n", "\uff41dmin", "ADMIN"])
def test_a_name_that_databases_take_for_another_one_makes_no_second_user(provider, django_user_model, name):
    django_user_model.objects.create_user("admin", role="admin")
    assert sign_in(provider, preferred_username=name)[1].status_code == 403
    save(provider, may_link=True)
    sign_in(provider, preferred_username=name, groups=["kmes-admins"])
    assert User.objects.count() == 1
    # The i without a dot is another letter, which has the same capital.
    assert SignOnIdentity.objects.exists() == ("\u0131" not in name)


def test_nobody_takes_the_account_of_somebody_with_more_rights_by_its_name(provider, django_user_model):
    """An operator who calls themselves as the administrator does, at a provider where names are free."""
    boss = django_user_model.objects.create_user("boss", role="admin")
    django_user_model.objects.create_user("other", role="admin")
    save(provider, may_link=True)
    assert sign_in(provider, preferred_username="boss")[1].status_code == 403
    boss.refresh_from_db()
    assert (boss.role, SignOnIdentity.objects.exists()) == ("admin", False)
    assert "rights that the groups do not give" in LogEntry.objects.latest("sequence").message
