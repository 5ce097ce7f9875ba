"""A key that somebody else made, beside ours or before it, is never taken for one of ours, whatever it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.kinds.repair.spec import request_repair
from jobs.kinds.rotate.spec import request_rotation
from keygroups.models import KeyGroup
from keygroups.services import accept_drift
from tests.damaged_answers.harness import made_versions_agree
from tests.faults.relay.damages import edited
from tests.keygroups.state_world import contradictions, readings

LATER = datetime(2031, 5, 1, tzinfo=UTC)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


UNKNOWN_KEYS = [
    {"kty": "AKP", "pub": "AQAB", "alg": "ML-DSA-65"},
    {"kty": "AKP-HSM", "pub": "AQAB"},
    {"kty": "OKP-HSM", "crv": "Ed25519", "x": "AQAB"},
    {"kty": "OKP-HSM", "crv": "X25519"},
    {"kty": "EC-HSM", "crv": "SECP256K1"},
    {"kty": "EC-HSM", "crv": "brainpoolP256r1"},
    {"kty": "EC-HSM", "crv": None},
    {"kty": "EC-HSM", "crv": "P-256", "y": None},
    {"kty": "RSA-HSM"},
    {"kty": "RSA-HSM", "n": "AA", "e": "AA"},
    {"kty": "oct-HSM"},
    {"kty": "Frobnicated"},
]


def disguised_as(members):
    """Edits a key's answer so that the key is of another type."""

    def disguise(_call, value):
        key = {"kid": value["key"]["kid"], "key_ops": ["sign"], **members}
        if members["kty"] == "EC-HSM":
            key = {**value["key"], **members}
        return {**value, "key": key}

    return edited(disguise)


@pytest.mark.parametrize(
    "members", UNKNOWN_KEYS, ids=lambda members: "-".join(str(value) for value in members.values())
)
def test_a_strangers_key_of_an_unknown_type_disturbs_nothing(world, members):
    world.push_one()
    stranger = world.push_of_somebody_else()
    world.damage(disguised_as(members), "GET", f"/keys/payments/{stranger}", count=None)
    # It is the vault's current version too, until a push.
    world.damage(disguised_as(members), "GET", "/keys/payments/")
    assert world.compare().state == "succeeded"
    (key,) = world.make_keys("two")
    push = world.push(key)
    world.work(push)
    world.rest(push)
    assert push.state == "succeeded", world.words(push)
    rotation = request_rotation(group=world.group, actor=world.actor)
    world.work(rotation)
    world.rest(rotation)
    assert rotation.state == "succeeded", world.words(rotation)
    made_versions_agree(world)


def set_outside(world, version, **changes):
    """What somebody does to a version in the portal."""
    world.vault.client.update_key_properties("payments", version, **changes)


def shown(world, pages):
    """What all pages say of the group and of its keys, which must be one thing each."""
    said = readings(world.group, pages)
    assert list(contradictions(world.group, said)) == []
    (of_group,), of_keys = said
    return of_group, {name: next(iter(said)) for name, said in of_keys.items()}


def repair(world):
    rows = list(world.group.observations.select_related("group__credential", "group__vault", "version__key"))
    job = request_repair(observations=rows, actor=world.actor)
    world.work(job)
    return job


def test_a_strangers_current_version_takes_the_place_of_ours_on_every_page(world, pages):
    world.push_one()
    stranger = world.push_of_somebody_else()
    job = world.compare()
    assert f"The vault's current version is {stranger}, which was not made here" in world.words(job)
    assert shown(world, pages) == ("In the vault, differs", {"first": "Superseded"})
    accept_drift(observation=world.group.observations.get(azure_version=stranger), actor=world.actor)
    assert shown(world, pages) == ("In the vault, no active version", {"first": "Superseded"})
    assert f"current version is {stranger}" in world.words(world.compare())
    world.run(request_rotation(group=KeyGroup.objects.get(pk=world.group.pk), actor=world.actor))
    assert shown(world, pages)[0] == "In the vault"
    made_versions_agree(world)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"enabled": False}, "Disabled, differs"),
        ({"expires_on": LATER}, "Active, differs"),
        ({"not_before": LATER}, "Active, differs"),
        ({"tags": {"owner": "somebody"}}, "Active, differs"),
    ],
    ids=["disabled", "expiry", "not before", "tags"],
)
def test_what_was_changed_outside_is_shown_as_last_seen_and_marked(world, pages, changes, label):
    key = world.push_one()
    set_outside(world, key.cloud_versions.get().azure_version, **changes)
    assert "No drift" not in world.words(world.compare())
    assert shown(world, pages) == ("In the vault, differs", {"first": label})


def test_a_start_in_the_future_is_found_and_set_back_to_where_the_vault_signs(world, pages):
    key = world.push_one()
    version = key.cloud_versions.get().azure_version
    set_outside(world, version, not_before=LATER)
    assert "Not before" in world.words(world.compare())
    assert repair(world).state == "succeeded"
    assert world.vault.client.get_key("payments", version).properties.not_before < LATER
    assert "No drift" in world.words(world.compare())
    assert shown(world, pages) == ("In the vault", {"first": "Active"})


def test_an_expiry_that_azure_keeps_is_never_called_repaired(world, pages):
    key = world.push_one()
    version = key.cloud_versions.get().azure_version
    set_outside(world, version, expires_on=LATER, tags={})
    world.compare()
    job = repair(world)
    assert "still differs: Expiry" in world.words(job)
    assert "Repaired" not in world.words(job)
    assert shown(world, pages) == ("In the vault, differs", {"first": "Active, differs"})
    accept_drift(observation=world.group.observations.get(), actor=world.actor)
    assert "No drift" in world.words(world.compare())
    assert shown(world, pages) == ("In the vault", {"first": "Active"})


@pytest.mark.parametrize("members", [{}, *UNKNOWN_KEYS[:2]], ids=["ordinary", "AKP", "AKP-HSM"])
def test_the_first_push_stops_before_a_strangers_key_and_goes_on_when_a_person_adopts_it(world, pages, members):
    stranger = world.push_of_somebody_else()
    if members:
        world.damage(disguised_as(members), "GET", f"/keys/payments/{stranger}", count=None)
    (key,) = world.make_keys("one")
    job = world.push(key)
    world.work(job)
    world.rest(job)
    assert (job.state, job.error_code) == ("failed", "name_taken"), world.words(job)
    assert stranger in job.error_what
    assert (len(world.vault.versions("payments")), world.vault.keks()) == (1, [])
    adopted = pages.post(f"/jobs/{job.code}/adopt/{world.group.pk}/", {"typed": "payments", "version": [stranger]})
    assert adopted.status_code == 302
    again = job.retries.get()
    world.work(again)
    assert again.state == "succeeded", world.words(again)
    assert world.current() == key.cloud_versions.get(state="active").azure_version
    made_versions_agree(world)


def test_a_rotation_that_is_due_never_adopts_a_strangers_key(world):
    stranger = world.push_of_somebody_else()
    job = world.make_due()
    world.work(job)
    assert (job.state, job.error_code) == ("failed", "name_taken"), world.words(job)
    assert world.vault.versions("payments") == [stranger]
    assert world.group.rotation_slots.get().next_try_at is not None


def test_a_strangers_key_among_the_deleted_ones_stops_the_push(world):
    world.soft_delete_of_somebody_else()
    job = world.push(*world.make_keys("one"))
    world.work(job)
    world.rest(job)
    assert (job.state, job.error_code) == ("failed", "name_taken"), world.words(job)
    assert world.vault.is_deleted("payments")
