"""A requester tries to have others approve less than what is done: what a plan leaves out, and a way around it."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudcreds import certificates
from cloudcreds.models import CloudCredential
from cloudcreds.services import create_credential
from jobs.engine.approval_checks import ApprovalVoid
from kmes.accounts.company_sign_on.services import ProviderValues
from kmes.accounts.company_sign_on.services import save as save_sign_on
from kmes.accounts.models import RoleAssignment, User
from kmes.accounts.roles.services import RoleValues, create_role, update_role
from kmes.accounts.services import UserValues, reset_password, update_user
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from kmes.core.guarded_changes import find_operation
from kmes.core.secret_types import SecretText
from tests.cloudcreds.builders import SECRET, make_device, values
from tests.cloudcreds.test_certificates import keep, thumbprint
from tests.jobs.approving import approve, make_approvers, request_of, set_policy
from tests.jobs.changing import apply, ask
from tests.jobs.conftest import admin
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["admin", "log_can_be_flushed"]
pytestmark = pytest.mark.django_db(transaction=True)

SIGN_ON = ProviderValues(
    name="Contoso",
    issuer="https://id.example.com",
    client_id="kmes",
    scopes="openid",
    username_claim="preferred_username",
    groups_claim="groups",
    group_roles={"keys": "operator"},
    is_enabled=True,
)
OTHERWISE = {
    **dict.fromkeys(("name", "issuer", "client_id", "scopes", "username_claim", "groups_claim"), "other"),
    **dict.fromkeys(("may_link", "are_local_for_emergencies", "signs_out_there"), True),
    "group_roles": {"keys": "custodian"},
    "unmatched_role": "auditor",
    "factor_values": ["mfa"],
    "is_enabled": False,
}


@pytest.fixture
def ben(admin):
    return make_approvers("ben")[0]


@pytest.fixture
def kim(admin):
    return User.objects.create_user("kim", role="auditor")


def give_scope(user, role):
    return RoleAssignment.objects.create(
        user=user, role=role, scope_kind="tag", scope_value="team=payments", given_at=now(), given_by="test"
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda kim, admin: reset_password(user=kim, actor=admin),
        lambda kim, admin: update_user(user=kim, values=UserValues("operator"), actor=admin),
    ],
    ids=["password", "role"],
)
def test_whoever_approves_a_change_of_a_user_sees_the_roles_for_scopes_and_one_more_is_another_plan(
    act, kim, admin, ben
):
    give_scope(kim, "custodian")
    set_policy("change_users", actor=admin)
    job = approve(ask(lambda: act(kim, admin), actor=admin), ben)
    assert "Key custodian: key groups with the tag team=payments" in str(request_of(job).plan)
    give_scope(kim, "admin")
    with pytest.raises(ApprovalVoid, match="has changed since it was approved"):
        apply(job, admin)


def test_whoever_approves_a_change_of_a_role_sees_who_has_it_for_a_scope(kim, admin, ben):
    given = RoleValues("Keepers", "", frozenset({"console.read"}), needs_second_factor=False)
    role = create_role(values=given, actor=admin)
    give_scope(kim, role.code)
    set_policy("change_roles", actor=admin)
    wider = replace(given, rights=given.rights | {"cloud.purge"})
    job = ask(lambda: update_role(code=role.code, values=wider, lock_version=1, actor=admin), actor=admin)
    assert ["Users with the role", "kim"] in request_of(job).plan["facts"]


@pytest.mark.parametrize("name", list(asdict(SIGN_ON)))
def test_a_plan_names_each_setting_of_company_sign_on_that_changes(name, admin, ben):
    save_sign_on(SIGN_ON, SecretText("secret"), actor=admin)
    describe = find_operation("sign_on.save").describe
    same, other = asdict(SIGN_ON) | {"has_secret": False}, {name: OTHERWISE[name]}
    assert describe(same).facts != describe(same | other).facts


def test_a_credential_takes_no_certificate_instead_of_its_secret_without_the_approvals(admin, ben):
    make_device(rsa.generate_private_key(65537, 2048))
    credential = create_credential(values=values(secret=SECRET), actor=admin)
    keep(credential, 1, admin)
    set_policy("change_credentials", actor=admin)

    def use(number=1):
        certificates.use_waiting(credential=credential, thumbprint=thumbprint(number), actor=admin)

    job = ask(use, actor=admin)
    assert thumbprint(1) in str(request_of(job).plan)
    approve(job, ben)
    # Another one that was made meanwhile is not the one that was approved.
    keep(credential, 2, admin)
    with pytest.raises(ConflictError):
        apply(job, admin)
    job = approve(ask(lambda: use(2), actor=admin), ben)
    apply(job, admin)
    assert CloudCredential.objects.get().sign_in == "device_certificate"
    # A renewed certificate needs none.
    keep(credential, 3, admin)
    use(3)
