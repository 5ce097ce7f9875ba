"""Where keys go under a policy: on each way by which a key group gets a destination, over HTTP, nothing goes without others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from cloudcreds.models import CloudCredential
from jobs.approvals import changes
from jobs.certifications.models import Certification
from jobs.engine.approval_checks import ApprovalVoid
from jobs.models import Job
from keygroups.models import KeyGroup, Observation
from kmes.accounts.assignments.services import give_role
from kmes.accounts.rights import Right
from kmes.accounts.roles.services import RoleValues, create_role
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError
from logging_reports.models import LogEntry
from tests.cloudcreds.builders import make_device
from tests.jobs.approving import REASON, approve, make_approvers, request_of, set_policy
from tests.jobs.changing import apply
from tests.jobs.pages.browsing import make_job, make_key, pages, people, push, static_root
from tests.jobs.pages.requesting import asked, second, text
from tests.keygroups.builders import edit_form, make_credential, make_group, make_vault, typed
from tests.logging_reports.harness import log_can_be_flushed

__all__ = ["log_can_be_flushed", "pages", "people", "second", "static_root"]
pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/keys/groups/add/"


@pytest.fixture
def credential(people):
    make_device(rsa.generate_private_key(65537, 2048))
    return make_credential("Contoso")


@pytest.fixture
def group(credential):
    return make_group(make_vault(credential, "kv-prod", tier="premium"), "payments")


@pytest.fixture
def admin(people):
    return Actor.from_user(people["admin"])


@pytest.fixture
def policy(admin, second, group):
    """The policy on where keys go, in force."""
    set_policy("change_destinations", actor=admin)
    return Actor.from_user(get_user_model().objects.get(username="ben"))


def edit(group):
    return f"/keys/groups/{group.pk}/edit/"


def places():
    rows = KeyGroup.objects.order_by("name").values_list("name", "vault__url", "credential__name", "azure_name")
    return list(rows)


def test_the_edit_form_moves_a_group_only_as_others_approved_it(pages, second, policy, group, admin):
    before = places()
    form = edit(group)
    assert "approve another vault, credential or Azure key name first" in text(pages.get(form))
    moved = edit_form(group, azure_name="stolen", vault="", vault_url="kv-evil")
    refused = pages.post(form, moved)
    assert refused.status_code == 422
    assert "Approvers need a reason" in text(refused)
    job = asked(pages.post(form, {**moved, "approval_reason": REASON}), "change_destinations")
    assert job.group == group
    assert places() == before
    shown = text(second.get(f"/approvals/{job.code}/"))
    for words in ("→ https://kv-evil.vault.azure.net", "payments → stolen", "Credential: Tenant"):
        assert words in shown, words
    # Nobody applies it before, and its requester does not approve it.
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 409
    sent = {"verdict": "approve", "seen": request_of(job).digest}
    assert pages.post(f"/approvals/{job.code}/decide/", sent).status_code == 403
    approve(job, policy)
    # Approved is this move, not another one, nor the same one without applying the request.
    other = {**moved, "vault_url": "kv-worse"}
    assert pages.post(form, other).status_code == 422
    assert pages.post(form, moved).status_code == 422
    assert places() == before
    assert second.post(f"/approvals/{job.code}/apply/").status_code == 403
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 302
    assert places() == [("payments", "https://kv-evil.vault.azure.net", "Contoso", "stolen")]
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 409


def test_what_says_nothing_of_the_destination_needs_nobody(pages, policy, group):
    assert pages.post(edit(group), edit_form(group, owner="Ada", rotate_every="30")).status_code == 302
    assert KeyGroup.objects.get().owner == "Ada"
    assert not Job.objects.filter(kind="change_destinations").exists()


def test_a_group_is_added_only_as_others_approved_it(pages, policy, credential):
    assert "Others have to approve this first" in text(pages.get(f"{ADD}?key_kind=asymmetric&storage=hsm"))
    sent = typed(credential, name="orders")
    assert pages.post(ADD, sent).status_code == 422
    job = asked(pages.post(ADD, {**sent, "approval_reason": REASON}), "change_destinations")
    assert KeyGroup.objects.count() == 1
    approve(job, policy)
    assert pages.post(f"/approvals/{job.code}/apply/").status_code == 302
    made = KeyGroup.objects.get(name="orders")
    assert (made.azure_name, made.vault.url) == ("orders", "https://kv-prod.vault.azure.net")
    assert bytes(made.save_signature)
    assert LogEntry.objects.get(event="group.created").actor_name == job.actor_name


def test_the_set_up_makes_no_group_alone(pages, policy, group):
    sent = {"vault": group.vault_id, "name": "first-group", "key_spec": "RSA-3072"}
    address = reverse("setup:push")
    refused = pages.post(address, sent)
    assert refused.status_code == 422
    assert "Others have to approve this first" in text(refused)
    job = asked(pages.post(address, {**sent, "approval_reason": REASON}), "change_destinations")
    assert job.params["operation"] == "group.create"
    assert KeyGroup.objects.count() == 1
    assert not Job.objects.filter(kind="rotate").exists()


def test_a_self_certification_makes_no_group_alone(pages, policy, group):
    address = reverse("certifications:begin")
    refused = pages.post(address, {"vault": group.vault_id, "key_spec": "P-256", "approval_reason": REASON})
    assert refused.status_code == 422
    assert "a self-certification makes one" in text(refused)
    assert KeyGroup.objects.count() == 1
    assert not Certification.objects.exists()


def test_an_azure_key_of_others_is_adopted_only_as_others_approved_it(pages, policy, group):
    for version in ("v1", "v2"):
        Observation.objects.create(
            group=group, azure_version=version, is_present=True, enabled=True, seen_at=now(), tags={"owner": "billing"}
        )
    job = make_job(group, state="failed", error_code="name_taken")
    address = f"/jobs/{job.code}/adopt/{group.pk}/"
    sent = {"typed": group.azure_name, "version": ["v1", "v2"]}
    assert "Others have to approve this first" in text(pages.get(address))
    assert pages.post(address, sent).status_code == 422
    waiting = asked(pages.post(address, {**sent, "approval_reason": REASON}), "change_destinations")
    assert KeyGroup.objects.get().adopted_versions == []
    assert not job.retries.exists()
    approve(waiting, policy)
    # A version that was seen since makes it another key than the one that they approved.
    later = Observation.objects.create(
        group=group, azure_version="v3", is_present=True, enabled=True, seen_at=now(), tags={}
    )
    assert pages.post(f"/approvals/{waiting.code}/apply/").status_code == 409
    assert KeyGroup.objects.get().adopted_versions == []
    later.delete()
    assert pages.post(f"/approvals/{waiting.code}/apply/").status_code == 302
    assert KeyGroup.objects.get().adopted_versions == ["v1", "v2"]


@pytest.mark.parametrize(
    "changed", ["saved", "tenant_id", "client_id", "authority_url", "arm_url", "key", "pushed", "tags"]
)
def test_a_move_is_void_when_what_it_is_about_has_changed(changed, pages, policy, group, admin):
    moved = {**edit_form(group, azure_name="other"), "approval_reason": REASON}
    job = asked(pages.post(edit(group), moved), "change_destinations")
    approve(job, policy)
    if changed == "saved":
        pages.post(edit(group), edit_form(group, owner="Ada"))
    elif changed in {"tenant_id", "client_id", "authority_url", "arm_url"}:
        CloudCredential.objects.update(**{changed: "https://another.example"})
    elif changed == "tags":
        KeyGroup.objects.update(tags={"stage": "live"})
    else:
        key = make_key(group)
        if changed == "pushed":
            push(key)
    with pytest.raises(ApprovalVoid, match="changed since it was approved"):
        apply(job, admin)
    assert KeyGroup.objects.get().azure_name == "payments"


def test_a_manager_of_two_vaults_requests_a_move_and_their_like_do_not_approve_it(group, admin):
    """A role for a scope requests what lies in it; what counts for a change of settings is a role everywhere."""
    given = RoleValues("Movers", "", frozenset({Right.GROUP_MANAGE}), needs_second_factor=False)
    role = create_role(values=given, actor=admin).code
    boss, _spare = make_approvers("boss", "spare", role=role)
    set_policy("change_destinations", actor=admin, role=role)
    two = make_vault(group.credential, "kv-two")
    browsers = []
    for name in ("eve", "fred"):
        user = get_user_model().objects.create_user(name, role="auditor")
        for scope in (group.vault.url, two.url):
            give_role(user=user, role=role, scope_kind="vault", scope=scope, actor=admin)
        browsers.append(Client())
        browsers[-1].force_login(user)
    moved = edit_form(group, vault="", vault_url="kv-two", approval_reason=REASON)
    job = asked(browsers[0].post(edit(group), moved), "change_destinations")
    sent = {"verdict": "approve", "seen": request_of(job).digest}
    assert browsers[1].post(f"/approvals/{job.code}/decide/", sent).status_code == 403
    approve(job, boss)
    assert browsers[0].post(f"/approvals/{job.code}/apply/").status_code == 302
    assert KeyGroup.objects.get().vault.name == "kv-two"


def test_no_page_of_jobs_starts_such_a_change(pages, policy, group):
    assert pages.post("/jobs/start/change_destinations/", {"group": group.pk}).status_code == 404
    assert pages.post("/jobs/start-many/change_destinations/", {"picked": group.pk}).status_code == 404


@pytest.mark.parametrize("operation", ["group.create", "group.update", "group.adopt_name"])
def test_a_crash_while_it_is_applied_leaves_all_as_it_was_and_it_is_made_once(
    operation, pages, policy, group, admin, monkeypatch
):
    row = {"azure_version": "v1", "is_present": True, "enabled": True, "seen_at": now()}
    Observation.objects.create(group=group, **row)
    adopts = f"/jobs/{make_job(group, state='failed', error_code='name_taken').code}/adopt/{group.pk}/"
    address, sent = {
        "group.create": (ADD, typed(group.credential, name="orders")),
        "group.update": (edit(group), edit_form(group, azure_name="other")),
        "group.adopt_name": (adopts, {"typed": group.azure_name, "version": ["v1"]}),
    }[operation]
    job = asked(pages.post(address, {**sent, "approval_reason": REASON}), "change_destinations")
    assert job.params["operation"] == operation
    approve(job, policy)
    before = (places(), KeyGroup.objects.get(pk=group.pk).adopted_versions)
    with monkeypatch.context() as broken:
        broken.setattr(changes.lifecycle, "end_applied", lambda _job: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            apply(job, admin)
    assert (places(), KeyGroup.objects.get(pk=group.pk).adopted_versions) == before
    apply(job, admin)
    assert (places(), KeyGroup.objects.get(pk=group.pk).adopted_versions) != before
    with pytest.raises(ConflictError, match="no longer waits"):
        apply(job, admin)
