"""Changes of users and roles under a policy, over HTTP: from the form to the request, its approval, and what is applied."""

from __future__ import annotations

import pytest

from jobs.models import Job
from keygroups.models import KeyGroup
from kmes.accounts.company_sign_on.models import SignOnIdentity, SignOnProvider
from kmes.accounts.models import CustomRole, RoleAssignment, User
from kmes.core.actor import Actor
from kmes.core.clock import now
from logging_reports.models import LogEntry
from tests.jobs.approving import REASON, set_policy
from tests.jobs.pages.browsing import group, pages, people, static_root
from tests.jobs.pages.requesting import approve, asked, second, text

__all__ = ["group", "pages", "people", "second", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)

NEW_USER = {"username": "kim", "role": "custodian", "first_name": "Kim", "last_name": "", "email": ""}


@pytest.fixture
def policies(people, second):
    """Users and roles are changed only with the approval of another administrator."""
    for action in ("change_users", "change_roles"):
        set_policy(action, actor=Actor.from_user(people["admin"]))


def test_a_user_is_added_after_another_administrator_approved(pages, second, policies):
    shown = text(pages.get("/users/add/"))
    assert "Others have to approve this first" in shown
    assert "1 approval by a user with the role Administrator" in shown
    refused = pages.post("/users/add/", NEW_USER)
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    sent = {**NEW_USER, "approval_reason": REASON}
    job = asked(pages.post("/users/add/", sent), "change_users")
    # Sent twice, it is one request.
    assert asked(pages.post("/users/add/", sent), "change_users") == job
    page = f"/approvals/{job.code}/"
    seen = text(second.get(f"{page}decide/"))
    for told in ("Add the user kim", "Key custodian", "Keys:Create", REASON):
        assert told in seen
    assert "Apply change" not in text(pages.get(page))
    assert pages.post(f"{page}apply/").status_code == 409
    approve(second, job)
    assert not User.objects.filter(username="kim").exists()

    assert "For you to apply" in text(pages.get("/approvals/"))
    assert str(job) in text(pages.get("/approvals/?show=apply"))
    assert "To be applied" in text(pages.get(page))
    assert "Apply change" in text(pages.get(page))
    assert "Apply change" not in text(second.get(page))
    assert second.post(f"{page}apply/").status_code == 403
    made = pages.post(f"{page}apply/")
    user = User.objects.get(username="kim")
    assert (user.role, user.first_name) == ("custodian", "Kim")
    assert "This password is shown now and never again" in text(made)
    assert made.headers["Cache-Control"] == "no-store"
    assert pages.post(f"{page}apply/").status_code == 409
    job.refresh_from_db()
    assert job.state == "succeeded"
    assert "Approved" in text(pages.get(page))
    assert LogEntry.objects.get(event="user.created").actor_name == "the-admin"


@pytest.mark.parametrize("act", ["reset-password", "reactivate"])
def test_a_password_is_made_when_the_requester_applies_it(pages, second, policies, people, act):
    user = people["operator"]
    if act == "reactivate":
        User.objects.filter(pk=user.pk).update(is_active=False)
    address = f"/users/{user.pk}/{act}/"
    assert "Others have to approve this first" in text(pages.get(address))
    assert pages.post(address).status_code == 400
    job = asked(pages.post(address, {"approval_reason": REASON}), "change_users")
    approve(second, job)
    user.refresh_from_db()
    assert user.one_time_until is None
    assert "shown now and never again" in text(pages.post(f"/approvals/{job.code}/apply/"))
    user.refresh_from_db()
    assert user.one_time_until is not None
    assert user.is_active


def test_a_user_is_unlinked_after_another_administrator_approved(pages, second, policies, people):
    user = people["operator"]
    SignOnIdentity.objects.create(user=user, issuer="https://idp.example", subject="x", seal=b"-", added_at=now())
    address = f"/users/{user.pk}/unlink/"
    assert "Others have to approve this first" in text(pages.get(address))
    job = asked(pages.post(address, {"approval_reason": REASON}), "change_users")
    assert "Unlink the-operator from company sign-on" in text(second.get(f"/approvals/{job.code}/"))
    assert SignOnIdentity.objects.exists()
    approve(second, job)
    assert pages.post(f"/approvals/{job.code}/apply/").url == f"/users/{user.pk}/"
    assert not SignOnIdentity.objects.exists()


def test_names_are_changed_without_approval_and_roles_with_it(pages, second, policies, people):
    user = people["operator"]
    address = f"/users/{user.pk}/edit/"
    assert "Others have to approve another role first" in text(pages.get(address))
    names = {"role": "operator", "first_name": "Olga", "last_name": "", "email": ""}
    assert pages.post(address, names).url == f"/users/{user.pk}/"
    job = asked(pages.post(address, {**names, "role": "auditor", "approval_reason": REASON}), "change_users")
    assert "Operator → Auditor" in text(second.get(f"/approvals/{job.code}/"))
    approve(second, job)
    assert pages.post(f"/approvals/{job.code}/apply/").url == f"/users/{user.pk}/"
    user.refresh_from_db()
    assert (user.role, user.first_name) == ("auditor", "Olga")


@pytest.fixture
def tagged(group):
    """A key group with the tags env=prod and team=payments."""
    KeyGroup.objects.filter(pk=group.pk).update(tags={"env": "prod", "team": "payments"})


def test_a_role_for_a_scope_is_given_after_another_administrator_approved(pages, second, policies, people, tagged):
    user = people["operator"]
    address = f"/users/{user.pk}/scopes/give/"
    sent = {"role": "custodian", "tag": "env=prod"}
    assert "Others have to approve this first" in text(pages.get(address))
    refused = pages.post(address, sent)
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    job = asked(pages.post(address, {**sent, "approval_reason": REASON}), "change_users")
    page = f"/approvals/{job.code}/"
    seen = text(second.get(f"{page}decide/"))
    for told in ("Give the-operator a role for a scope", "Key custodian", "env=prod", "Keys:Create", REASON):
        assert told in seen
    approve(second, job)
    assert not RoleAssignment.objects.exists()
    assert second.post(f"{page}apply/").status_code == 403
    assert pages.post(f"{page}apply/").url == f"/users/{user.pk}/"
    given = RoleAssignment.objects.get()
    assert (given.user, given.role, given.scope_kind, given.scope_value) == (user, "custodian", "tag", "env=prod")
    assert "env=prod" in text(pages.get(f"/users/{user.pk}/"))
    assert pages.post(f"{page}apply/").status_code == 409
    job.refresh_from_db()
    assert job.state == "succeeded"


def test_another_role_for_a_scope_meanwhile_makes_it_another_plan(pages, second, policies, people, tagged):
    user = people["operator"]
    sent = {"role": "custodian", "tag": "env=prod", "approval_reason": REASON}
    job = asked(pages.post(f"/users/{user.pk}/scopes/give/", sent), "change_users")
    approve(second, job)
    RoleAssignment.objects.create(
        user=user, role="custodian", scope_kind="tag", scope_value="team=payments", given_at=now(), given_by="ben"
    )
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 409
    assert RoleAssignment.objects.count() == 1


def test_a_deactivation_needs_no_approval(pages, policies, people):
    user = people["operator"]
    assert "Others have to approve" not in text(pages.get(f"/users/{user.pk}/deactivate/"))
    assert pages.post(f"/users/{user.pk}/deactivate/").status_code == 302
    user.refresh_from_db()
    assert not user.is_active


def test_who_leaves_too_few_approvers_behind_is_told_so_before(pages, second, people, django_user_model):
    set_policy("cloud_purge", actor=Actor.from_user(people["admin"]))
    ben = django_user_model.objects.get(username="ben")
    told = "“Purge an Azure key” then has too few approvers: it takes 1 besides the requester."
    assert told in text(pages.get(f"/users/{ben.pk}/deactivate/"))
    assert told in text(pages.get(f"/users/{ben.pk}/edit/"))
    assert "too few approvers" not in text(pages.get(f"/users/{people['operator'].pk}/deactivate/"))
    django_user_model.objects.create_user("cy", role="admin")
    assert "too few approvers" not in text(pages.get(f"/users/{ben.pk}/deactivate/"))


def test_several_users_are_not_reactivated_at_once(pages, policies, people):
    ids = [people[role].pk for role in ("operator", "auditor")]
    User.objects.filter(pk__in=ids).update(is_active=False)
    sent = pages.post("/users/selection/reactivate/", {"key": ids, "approval_reason": REASON})
    assert "A policy asks for approvals of this" in text(pages.get(sent.url) if sent.status_code == 302 else sent)
    assert not User.objects.filter(pk__in=ids, is_active=True).exists()
    assert not Job.objects.filter(kind="change_users").exists()


def test_a_role_is_added_and_changed_with_approval(pages, second, policies):
    sent = {"name": "Watch", "description": "", "rights": ["log.read"], "approval_reason": REASON}
    assert "Others have to approve this first" in text(pages.get("/roles/add/"))
    job = asked(pages.post("/roles/add/", sent), "change_roles")
    approve(second, job)
    pages.post(f"/approvals/{job.code}/apply/")
    role = CustomRole.objects.get(name="Watch")
    changed = {**sent, "rights": ["log.read", "log.export"], "lock_version": role.lock_version}
    job = asked(pages.post(f"/roles/{role.code}/edit/", changed), "change_roles")
    shown = text(second.get(f"/approvals/{job.code}/"))
    assert "Gains the rights" in shown
    assert "System Logs:Export" in shown
    approve(second, job)
    pages.post(f"/approvals/{job.code}/apply/")
    role.refresh_from_db()
    assert "log.export" in role.rights


def test_without_a_policy_nothing_asks(pages, people):
    assert "Others have to approve" not in text(pages.get("/users/add/"))
    assert "shown now and never again" in text(pages.post("/users/add/", NEW_USER))


def test_company_sign_on_is_set_up_with_approval(pages, second, policies):
    """Its groups give roles, so that it would be a way round the policy on users."""
    page, secret = "/company-sign-on/", "known-secret-of-the-provider-01"
    assert "Others have to approve this first" in text(pages.get(page))
    sent = {
        "name": "Example", "issuer": "https://login.example.com", "client_id": "kmes", "scopes": "openid",
        "username_claim": "preferred_username", "groups_claim": "groups", "groups_admin": "kmes-admins",
        "unmatched_role": "", "factor_values": "", "client_secret": secret,
    }  # fmt: skip
    assert "Approvers need a reason" in text(pages.post(page, sent))
    job = asked(pages.post(page, {**sent, "approval_reason": REASON}), "change_users")
    shown = text(second.get(f"/approvals/{job.code}/"))
    assert "kmes-admins: Administrator" in shown
    assert secret not in repr(job.params)
    approve(second, job)
    form = pages.post(f"/approvals/{job.code}/apply/").url
    assert "kmes-admins" in text(pages.get(form))
    assert not SignOnProvider.objects.exists()
    assert pages.post(page, {**sent, "groups_operator": "others"}).status_code == 422
    assert pages.post(page, sent).status_code == 302
    assert SignOnProvider.objects.get().group_roles == {"kmes-admins": "admin"}
