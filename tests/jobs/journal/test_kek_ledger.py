"""The KEK where a vault's policies refuse the usual one: other shapes are tried, and the one that was taken is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.kek_shapes import further_shapes
from cloudcreds.models import KeyVault
from jobs.journal import kek_ledger
from jobs.kinds.synchronize.spec import request_synchronize
from jobs.models import EphemeralKek, Job
from kmes.core.clock import now
from tests.jobs.builders import make_group, make_keys, messages, work

pytestmark = pytest.mark.django_db(transaction=True)


def assign(stand_in, *policies, **vault):
    entries = [
        {"policy": name, "effect": "deny", **({} if value is None else {"value": value})} for name, value in policies
    ]
    stand_in.control("POST", "/_emulator/vaults/kv-premium", {"policies": entries, **vault})


def push(group, admin, name="one"):
    return work(request_synchronize(keys=make_keys(group, name, actor=admin), actor=admin))


def creations(stand_in):
    entries = stand_in.control("GET", "/_emulator/requests")
    return [
        e["status"] for e in entries if e["method"] == "POST" and "/keys/kmes-kek-" in e["path"] and e["status"] != 401
    ]


@pytest.mark.parametrize(
    ("policies", "tries", "bits", "days"),
    [
        ([("minimum_rsa_size", 4096)], 2, 4096, 0),
        ([("minimum_days_before_expiration", 90)], 3, 4096, 100),
        ([("minimum_days_before_expiration", 30), ("maximum_validity", 90)], 4, 4096, 35),
        ([("minimum_days_before_expiration", 365)], 5, 4096, 400),
    ],
    ids=["size", "life", "life within a maximum", "long life"],
)
def test_a_refused_kek_is_fitted_and_the_next_push_begins_with_what_worked(
    policies, tries, bits, days, group, admin, vault, azure_stand_in
):
    # Keys of the group must pass as well.
    group.valid_for = 36 if not days else {100: 120, 35: 60, 400: 500}[days]
    group.save(update_fields=["valid_for"])
    assign(azure_stand_in, *policies)
    job = push(group, admin)
    assert job.state == "succeeded", job.error_what
    assert creations(azure_stand_in) == [403] * (tries - 1) + [200]
    assert sum("The vault refused an ephemeral key" in line for line in messages(job)) == tries - 1
    assert "the next push begins with it" in " ".join(messages(job))
    known = KeyVault.objects.get(pk=group.vault_id)
    assert (known.kek_bits, known.kek_days) == (bits, days or None)
    assert vault.keks() == [], "deleted and purged, however long it might have lived"

    azure_stand_in.control("DELETE", "/_emulator/requests")
    assert push(group, admin, "two").state == "succeeded"
    assert creations(azure_stand_in) == [200]
    assert len(vault.versions("payments")) == 2


def test_an_ordinary_vault_is_asked_once_and_nothing_is_remembered(group, admin, azure_stand_in):
    assert push(group, admin).state == "succeeded"
    assert creations(azure_stand_in) == [200]
    known = KeyVault.objects.get(pk=group.vault_id)
    assert (known.kek_bits, known.kek_days) == (None, None)


def test_a_vault_that_takes_no_kek_is_asked_a_few_times_and_the_job_says_what_was_tried(
    group, admin, vault, azure_stand_in
):
    assign(azure_stand_in, ("allowed_key_types", ["EC", "EC-HSM"]))
    job = push(group, admin)
    assert (job.state, job.error_code) == ("failed", "azure.refused_otherwise")
    assert creations(azure_stand_in) == [403] * 5
    assert "RSA 3072 bits, valid for 2 hours; RSA 4096 bits, valid for 2 hours; RSA 4096 bits, valid for 100 days" in (
        job.error_what
    )
    assert "Azure Policy is the usual reason" in job.error_remedy
    assert vault.keks() == []
    assert EphemeralKek.objects.get().state == "gone"
    assert KeyVault.objects.get(pk=group.vault_id).kek_bits is None


def test_a_refusal_for_a_named_reason_is_tried_again_with_a_new_token_only(group, admin, azure_stand_in):
    azure_stand_in.control(
        "POST",
        "/_emulator/clients",
        {"client_id": "22222222-2222-2222-2222-222222222222", "permissions": ["get", "list"]},
    )
    job = push(group, admin)
    assert job.error_code == "azure.permission"
    assert creations(azure_stand_in) == [403, 403]
    assert not any("trying another" in line for line in messages(job))


def test_a_remembered_shape_that_is_refused_in_turn_is_left_for_another(group, admin, azure_stand_in):
    KeyVault.objects.filter(pk=group.vault_id).update(kek_bits=4096, kek_days=400)
    assign(azure_stand_in, ("maximum_validity", 90))
    assert push(group, admin).state == "succeeded"
    assert creations(azure_stand_in) == [403, 200]
    known = KeyVault.objects.get(pk=group.vault_id)
    assert (known.kek_bits, known.kek_days) == (4096, None)


def test_a_crash_amid_the_tries_leaves_one_kek(group, admin, vault, azure_stand_in, monkeypatch):
    assign(azure_stand_in, ("minimum_rsa_size", 4096))
    after_create = kek_ledger.failpoint

    def crash(name):
        if name == "kek.after_create":
            raise SystemExit
        after_create(name)

    keys = make_keys(group, "one", actor=admin)
    job = request_synchronize(keys=keys, actor=admin)
    with monkeypatch.context() as patch:
        patch.setattr(kek_ledger, "failpoint", crash)
        with pytest.raises(SystemExit):
            work(job)
    assert len(vault.keks()) == 1
    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))
    assert work(job).state == "succeeded"
    assert EphemeralKek.objects.filter(job=job).count() == 1
    assert creations(azure_stand_in) == [403, 200]
    assert vault.keks() == []


def test_a_long_lived_kek_serves_no_longer_than_the_sweep_leaves_it(group, admin, device, settings):
    job = push(group, admin)
    row = EphemeralKek.objects.get(job=job)
    row.expires_at = now() + timedelta(days=100)
    assert not kek_ledger.is_near_expiry(row)
    row.created_at = now() - timedelta(seconds=settings.KMES_KEK_LIFETIME_SECONDS - 60)
    assert kek_ledger.is_near_expiry(row)


def test_one_kek_serves_all_groups_of_a_job_whose_keys_it_is_large_enough_for(group, credential, admin, azure_stand_in):
    other = make_group(credential, azure_stand_in.vault_url("kv-premium"), name="billing", spec="RSA-2048")
    keys = make_keys(group, "one", actor=admin) + make_keys(other, "two", actor=admin)
    job = work(request_synchronize(keys=keys, actor=admin))
    assert job.state == "succeeded"
    assert list(EphemeralKek.objects.filter(job=job).values_list("modulus_bits", flat=True)) == [3072]


@pytest.mark.parametrize("days", [0, 35, 100, 400])
def test_what_was_refused_is_not_among_what_is_tried_next(days):
    refused = kek_ledger.KekShape(4096, days)
    assert refused not in further_shapes(refused)
    assert len(further_shapes(kek_ledger.KekShape(3072))) == 4
