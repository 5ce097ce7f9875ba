"""A policy may name a role that users made: who has it counts, whatever rights the role gets or loses."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from jobs.kinds.destroy.spec import request_destroy
from kmes.accounts.permissions import conditions_of
from kmes.accounts.rights import Right
from kmes.accounts.roles.services import RoleValues, create_role, delete_role, update_role
from kmes.core.errors import ConflictError, PermissionRefused
from logging_reports.models import LogEntry
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.builders import make_keys, work

pytestmark = pytest.mark.django_db(transaction=True)


def values(*rights, name="Approvers"):
    return RoleValues(name, "", frozenset(rights), needs_second_factor=False)


def test_a_role_that_users_made_approves_by_membership_and_stays_while_a_policy_names_it(group, admin):
    keys = make_keys(group, "k1", actor=admin)
    role = create_role(values=values(), actor=admin)
    dora, _emil = make_approvers("dora", "emil", role=role.code)
    (ben,) = make_approvers("ben")
    set_policy("destroy", actor=admin, role=role.code)
    assert "with the role Approvers" in LogEntry.objects.get(event="approval.policy_changed").message
    assert conditions_of([Right.KEY_DESTROY, Right.CLOUD_PURGE]) == {
        Right.KEY_DESTROY: ["Destroy key material here: 1 approval by a user with the role Approvers"],
        Right.CLOUD_PURGE: [],
    }
    job = request_destroy(keys=keys, actor=admin, reason=REASON)
    assert request_of(job).requirements[0]["role"] == role.code
    with pytest.raises(PermissionRefused, match="Users with the role Approvers decide"):
        approve(job, ben)
    update_role(code=role.code, values=values(Right.KEY_PUSH, name="Deciders"), lock_version=1, actor=admin)
    assert approve(job, dora).state == "queued"
    get_user_model().objects.filter(role=role.code).exclude(pk=dora.user_id).update(role="auditor")
    assert work(job).state == "succeeded"
    get_user_model().objects.filter(role=role.code).update(role="auditor")
    with pytest.raises(ConflictError, match="approval policy of “Destroy key material here” names it"):
        delete_role(code=role.code, actor=admin)


def test_an_approver_who_lost_the_role_counts_no_more(group, admin):
    keys = make_keys(group, "k1", actor=admin)
    role = create_role(values=values(), actor=admin)
    dora, _emil = make_approvers("dora", "emil", role=role.code)
    set_policy("destroy", actor=admin, role=role.code)
    job = approve(request_destroy(keys=keys, actor=admin, reason=REASON), dora)
    # A copy under the same name is another role.
    copy = create_role(values=values(name="Approvers 2"), actor=admin)
    get_user_model().objects.filter(pk=dora.user_id).update(role=copy.code)
    assert (work(job).state, job.error_code) == ("failed", "approval_void")
