"""What each role may do, told as a table; and that the check looks anew each time."""

from __future__ import annotations

import pytest

from kmes.accounts.rights import ROLE_RIGHTS, Right, Role, check
from kmes.core.actor import SCHEDULE, SYSTEM, Actor
from kmes.core.errors import PermissionRefused

pytestmark = pytest.mark.django_db
ONLY_ADMIN = {
    Right.CREDENTIAL_MANAGE,
    Right.CLOUD_PURGE,
    Right.DEVICE_MANAGE,
    Right.USER_MANAGE,
    Right.ROLE_MANAGE,
    Right.APPROVAL_MANAGE,
    Right.APPROVAL_BREAK_GLASS,
    Right.NOTICE_MANAGE,
    Right.LOG_FORWARD,
    Right.CONFIGURATION_MANAGE,
}
READING = {Right.CONSOLE_READ, Right.LOG_READ}


def test_an_administrator_may_do_everything():
    assert ROLE_RIGHTS[Role.ADMIN] == set(Right)


def test_a_custodian_keeps_keys_but_neither_credentials_nor_purge():
    assert ROLE_RIGHTS[Role.CUSTODIAN] == set(Right) - ONLY_ADMIN


def test_an_operator_pushes_and_rotates():
    assert ROLE_RIGHTS[Role.OPERATOR] == READING | {Right.KEY_PUSH, Right.KEY_ROTATE, Right.JOB_CANCEL}


def test_an_auditor_reads_and_exports():
    assert ROLE_RIGHTS[Role.AUDITOR] == READING | {Right.LOG_EXPORT}


@pytest.mark.parametrize("role", Role)
def test_whoever_manages_credentials_or_groups_lists_vaults_and_nobody_else(role):
    manages = {Right.CREDENTIAL_MANAGE, Right.GROUP_MANAGE} & ROLE_RIGHTS[role]
    assert (Right.VAULT_LIST in ROLE_RIGHTS[role]) == bool(manages)


@pytest.mark.parametrize("actor", [SCHEDULE, SYSTEM])
def test_the_schedule_and_the_system_pass(actor):
    check(actor, Right.KEY_ROTATE)


def test_a_right_that_was_taken_away_counts_at_once(django_user_model):
    user = django_user_model.objects.create_user("ops", role=Role.OPERATOR)
    actor = Actor.from_user(user)
    check(actor, Right.KEY_PUSH)
    user.role = Role.AUDITOR
    user.save()
    with pytest.raises(PermissionRefused, match="Cloud Keys:Push"):
        check(actor, Right.KEY_PUSH)


def test_a_deleted_or_switched_off_user_may_do_nothing(django_user_model):
    user = django_user_model.objects.create_user("gone", role=Role.ADMIN)
    actor = Actor.from_user(user)
    user.is_active = False
    user.save()
    with pytest.raises(PermissionRefused):
        check(actor, Right.CONSOLE_READ)
    assert not user.has_right(Right.CONSOLE_READ)
    user.delete()
    with pytest.raises(PermissionRefused):
        check(actor, Right.CONSOLE_READ)
