"""A push into a vault with Azure Policy: fitted at its first call, refused before it, or not concerned, per policy."""

from __future__ import annotations

import pytest

from cloudcreds.models import KeyVault
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.models import KeyGroup
from tests.jobs.builders import make_group, make_keys, messages, work
from tests.jobs.pages.browsing import body

pytestmark = pytest.mark.django_db(transaction=True)


def assign(stand_in, policy, value=None):
    entries = [{"policy": policy, "effect": "deny", **({} if value is None else {"value": value})}] if policy else []
    stand_in.control("POST", "/_emulator/vaults/kv-premium", {"policies": entries})


def changes(stand_in):
    """The calls that could have changed the vault, with their status."""
    entries = stand_in.control("GET", "/_emulator/requests")
    return [
        (e["method"], e["status"])
        for e in entries
        if "/keys/" in e["path"] and e["method"] in {"POST", "PUT", "PATCH", "DELETE"} and e["status"] != 401
    ]


def make(credential, stand_in, *, spec="P-256", valid_for=None):
    return make_group(credential, stand_in.vault_url("kv-premium"), name="payments", spec=spec, valid_for=valid_for)


def push(group, admin):
    keys = make_keys(group, "one", actor=admin)
    return work(request_synchronize(keys=keys, actor=admin))


@pytest.mark.parametrize(
    ("policy", "value", "group", "bits", "days"),
    [
        ("minimum_days_before_expiration", 1, {"valid_for": 90}, None, 2),
        ("minimum_rsa_size", 4096, {}, 4096, None),
        ("expiration_required", None, {"valid_for": 90}, None, None),
        ("maximum_validity", 90, {"valid_for": 90}, None, None),
        ("maximum_active_days", 1, {}, None, None),
        ("allowed_key_types", ["RSA-HSM", "EC-HSM"], {}, None, None),
        ("allowed_curves", ["P-256"], {}, None, None),
        ("hsm_backed", None, {}, None, None),
        ("rotation_scheduled", 90, {}, None, None),
    ],
)
def test_a_policy_that_was_read_is_met_at_the_first_call(
    policy, value, group, bits, days, credential, admin, vault, azure_stand_in
):
    made = make(credential, azure_stand_in, **group)
    assign(azure_stand_in, policy, value)
    work(request_vault_list(credential=credential, actor=admin))
    job = push(made, admin)
    assert job.state == "succeeded", job.error_what
    assert [status for _method, status in changes(azure_stand_in)].count(403) == 0
    known = KeyVault.objects.get(pk=made.vault_id)
    assert (known.kek_bits, known.kek_days) == (bits, days)
    assert vault.keks() == []


DENIED = [
    ("expiration_required", None, {}, "Set “Keep key valid for”"),
    ("minimum_days_before_expiration", 30, {"valid_for": 10}, "live for more than 30 days"),
    ("maximum_validity", 30, {"valid_for": 90}, "valid for 30 days at most"),
    ("minimum_rsa_size", 3072, {"spec": "RSA-2048"}, "This key has 2048"),
    ("allowed_key_types", ["EC", "EC-HSM"], {}, "BYOK needs an ephemeral RSA key"),
    ("allowed_curves", ["P-384"], {}, "This key is on P-256"),
]


@pytest.mark.parametrize(("policy", "value", "group", "said"), DENIED, ids=[case[0] for case in DENIED])
def test_a_policy_that_denies_the_keys_is_said_before_anything_is_made(
    policy, value, group, said, credential, admin, azure_stand_in, client, django_user_model
):
    made = make(credential, azure_stand_in, **group)
    assign(azure_stand_in, policy, value)
    work(request_vault_list(credential=credential, actor=admin))
    keys = make_keys(made, "one", actor=admin)
    client.force_login(django_user_model.objects.get(pk=admin.user_id))
    assert said in body(client.get(f"/jobs/start/synchronize/?key={keys[0].pk}"))
    job = work(request_synchronize(keys=keys, actor=admin))
    assert (job.state, job.error_code) == ("failed", "denied_by_policy")
    assert said in job.error_what
    assert changes(azure_stand_in) == []


def test_a_policy_that_has_gone_since_does_not_refuse_the_push(credential, admin, azure_stand_in):
    made = make(credential, azure_stand_in)
    assign(azure_stand_in, "expiration_required")
    work(request_vault_list(credential=credential, actor=admin))
    assign(azure_stand_in, "")
    assert push(made, admin).state == "succeeded"
    assert KeyVault.objects.get(pk=made.vault_id).policies == []


def test_policies_that_can_not_be_read_any_more_leave_the_decision_to_the_vault(credential, admin, azure_stand_in):
    made = make(credential, azure_stand_in)
    assign(azure_stand_in, "expiration_required")
    work(request_vault_list(credential=credential, actor=admin))
    azure_stand_in.control(
        "POST", "/_emulator/clients", {"client_id": "22222222-2222-2222-2222-222222222222", "arm": False}
    )
    job = push(made, admin)
    assert job.error_code == "azure.refused_otherwise"
    assert ("PUT", 403) in changes(azure_stand_in)
    assert "Azure Policy is the usual reason" in f"{job.error_what} {job.error_remedy}"
    assert KeyVault.objects.get(pk=made.vault_id).policies is None


def test_an_ordinary_push_asks_resource_manager_nothing(credential, admin, azure_stand_in):
    made = make(credential, azure_stand_in)
    work(request_vault_list(credential=credential, actor=admin))
    azure_stand_in.control("DELETE", "/_emulator/requests")
    assert push(made, admin).state == "succeeded"
    entries = azure_stand_in.control("GET", "/_emulator/requests")
    assert not [entry["path"] for entry in entries if entry["path"].startswith("/subscriptions")]


def test_a_group_that_is_denied_leaves_the_others_of_the_job_alone(credential, admin, azure_stand_in):
    made = make(credential, azure_stand_in)
    other = make_group(credential, azure_stand_in.vault_url("kv-premium"), name="billing", valid_for=30, rotate=False)
    assign(azure_stand_in, "expiration_required")
    work(request_vault_list(credential=credential, actor=admin))
    keys = make_keys(made, "one", actor=admin) + make_keys(KeyGroup.objects.get(pk=other.pk), "two", actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "partly_failed", messages(job)
    assert {target.key.name: target.state for target in job.targets.all()} == {"one": "not_tried", "two": "done"}
