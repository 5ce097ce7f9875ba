"""A manager of one vault, one key group or one tag tries to act on what lies outside of that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from jobs.choices import JobState
from jobs.engine.creation import NewJob, create_job
from jobs.engine.entitlement import check_requester
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.many_groups.spec import request_many
from jobs.models import Job
from keygroups.choices import KeyUsage
from keygroups.models import KeyGroup
from keygroups.services import create_group, update_group
from keygroups.values import GroupValues
from kmes.accounts.assignments.services import give_role, take_role
from kmes.accounts.models import RoleAssignment
from kmes.accounts.roles.services import RoleValues, create_role
from kmes.accounts.services import UserValues, deactivate_user, reset_password, update_user
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from kmes.ui.many import Row, act_on
from logging_reports.models import LogEntry
from tests.keygroups.builders import make_credential, make_group, make_key, make_vault
from tests.logging_reports.harness import log_can_be_flushed
from tests.people import body, static_root

__all__ = ["log_can_be_flushed", "static_root"]

pytestmark = pytest.mark.django_db


class Run:
    """As much of a run as its checks read."""

    def __init__(self, job):
        self.job = Job.objects.get(pk=job.pk)


@pytest.fixture
def world(db):
    """Two vaults with a group each, the second one tagged, and a user who only reads."""
    credential = make_credential("Contoso")
    own, foreign = (
        make_vault(credential, "kv-own", tier="premium"),
        make_vault(credential, "kv-foreign", tier="premium"),
    )
    made = {
        "own": make_group(own, "own"),
        "foreign": make_group(foreign, "foreign", tags={"team": "payments"}),
        "vault": own,
        "foreign_vault": foreign,
        "credential": credential,
        "user": get_user_model().objects.create_user("sue", role="auditor"),
        "admin": Actor.from_user(get_user_model().objects.create_user("ada", role="admin")),
    }
    return type("World", (), made)


def give(world, kind, scope, role="custodian", user=None):
    return give_role(user=user or world.user, role=role, scope_kind=kind, scope=scope, actor=world.admin)


def values_of(group, **changes):
    values = GroupValues(
        name=group.name,
        credential=group.credential,
        vault=group.vault.url,
        key_spec=group.key_spec,
        azure_name=group.azure_name,
        usage=tuple(group.usage) or (KeyUsage.SIGN,),
        tags=dict(group.tags),
    )
    return replace(values, **changes)


def save(world, group, **changes):
    group = KeyGroup.objects.select_related("vault", "credential").get(pk=group.pk)
    return update_group(
        group=group,
        values=values_of(group, **changes),
        lock_version=group.lock_version,
        actor=Actor.from_user(world.user),
    )


@pytest.mark.parametrize(
    ("kind", "scope"), [("vault", "kv-foreign"), ("group", "foreign"), ("tag", "team=payments")], ids=str
)
def test_a_role_for_a_scope_counts_in_it_and_nowhere_else(world, kind, scope):
    assert not world.user.may("key.destroy", world.foreign)
    give(world, kind, scope)
    user = get_user_model().objects.get(pk=world.user.pk)
    assert user.may("key.destroy", world.foreign)
    assert not user.may("key.destroy", world.own)
    assert not user.may("key.destroy", world.own, world.foreign)
    assert not user.may("key.destroy")
    assert user.may_somewhere("key.destroy")
    assert not user.may_somewhere("cloud.purge")
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)
    assert not get_user_model().objects.get(pk=user.pk).may("key.destroy", world.foreign)


def test_rights_without_an_object_are_not_given_by_a_scope(world):
    give(world, "vault", "kv-own", role="admin")
    user = get_user_model().objects.get(pk=world.user.pk)
    for right in ("user.manage", "role.manage", "device.manage", "log.forward", "configuration.manage", "vault.list"):
        assert not user.may(right, world.own), right
        assert not user.may_somewhere(right), right


def test_no_service_makes_a_job_on_a_foreign_key_or_group(world):
    give(world, "vault", "kv-own")
    actor, keys = Actor.from_user(world.user), [make_key(world.own, "a"), make_key(world.foreign, "b")]
    for refused in (
        lambda: request_destroy(keys=keys, actor=actor),
        lambda: request_many(kind="check_drift", groups=[world.own, world.foreign], actor=actor),
        # Whoever forgets to check is refused all the same, and so is a foreign key beside a group of one's own.
        lambda: create_job(NewJob("destroy", "x", group=world.own, keys=keys), actor=actor, idempotency_key=""),
        lambda: create_job(NewJob("rotate", "x", group=world.foreign), actor=actor, idempotency_key=""),
        lambda: create_job(NewJob("rotate", "x"), actor=actor, idempotency_key=""),
        lambda: create_job(
            NewJob(
                "many_groups", "x", params={"each": "rotate", "group_ids": [str(world.own.pk), str(world.foreign.pk)]}
            ),
            actor=actor,
            idempotency_key="",
        ),
    ):
        with pytest.raises(PermissionRefused, match="scope that does not cover this"):
            refused()
    assert not Job.objects.exists()
    assert request_destroy(keys=keys[:1], actor=actor).state == JobState.QUEUED


def test_a_group_that_left_the_scope_while_its_job_waits_is_refused_when_a_worker_begins(world):
    give(world, "tag", "team=payments")
    job = request_destroy(keys=[make_key(world.foreign, "b")], actor=Actor.from_user(world.user))
    check_requester(Run(job))
    KeyGroup.objects.filter(pk=world.foreign.pk).update(tags={"team": "others"})
    with pytest.raises(PermissionRefused, match="scope that does not cover this"):
        check_requester(Run(job))
    give(world, "vault", "kv-foreign")
    check_requester(Run(job))
    KeyGroup.objects.filter(pk=world.foreign.pk).update(vault=world.vault)
    with pytest.raises(PermissionRefused, match="scope that does not cover this"):
        check_requester(Run(job))


def test_a_role_that_is_taken_away_ends_what_waits_for_it_and_nothing_else(world):
    kept, taken = give(world, "vault", "kv-own"), give(world, "vault", "kv-foreign")
    actor = Actor.from_user(world.user)
    jobs = [request_destroy(keys=[make_key(group, "k")], actor=actor) for group in (world.own, world.foreign)]
    take_role(user=world.user, assignment_id=taken.pk, actor=world.admin)
    assert [Job.objects.get(pk=job.pk).state for job in jobs] == [JobState.QUEUED, JobState.CANCELLED]
    row = LogEntry.objects.get(event="user.role_taken")
    assert (row.severity, row.data["changes"]["scoped_roles"][1]) == (
        "warning",
        ["Key custodian: vault " + kept.scope_value],
    )


def test_nobody_widens_their_scope_by_a_tag_or_a_vault(world):
    give(world, "vault", "kv-own")
    give(world, "tag", "team=payments", role="admin")
    with pytest.raises(PermissionRefused, match="rights on “own” that sue lacks"):
        save(world, world.own, tags={"team": "payments"})
    with pytest.raises(PermissionRefused, match="scope that does not cover this"):
        save(world, world.own, vault=world.foreign_vault.url)
    # Taking the tag off would leave a group that they manage no more.
    with pytest.raises(PermissionRefused, match="scope that does not cover this"):
        save(world, world.foreign, tags={})
    assert save(world, world.own, tags={"team": "others"}).tags == {"team": "others"}


def test_nobody_gives_others_what_they_lack_by_a_tag(world):
    give(world, "vault", "kv-own")
    other = get_user_model().objects.create_user("tom", role="auditor")
    give(world, "tag", "team=payments", role="admin", user=other)
    with pytest.raises(PermissionRefused, match="gives tom rights on “own”"):
        save(world, world.own, tags={"team": "payments"})


def test_a_group_is_made_in_a_vault_of_ones_scope_only(world):
    give(world, "vault", "kv-own")
    give(world, "tag", "team=payments")
    made = values_of(world.own, name="made", azure_name="made")
    with pytest.raises(PermissionRefused, match="scope that does not cover this"):
        create_group(
            values=replace(made, vault=world.foreign_vault.url, tags={"team": "payments"}),
            actor=Actor.from_user(world.user),
        )
    assert create_group(values=made, actor=Actor.from_user(world.user)).vault == world.vault


@pytest.mark.parametrize(("kind", "scope"), [("group", "foreign"), ("tag", "team=payments")], ids=str)
def test_a_group_goes_to_no_other_place_in_azure_without_the_right_in_that_vault(world, kind, scope):
    give(world, kind, scope)
    others = make_credential("Fabrikam")
    for moved in (
        # Its manager would fill a vault of others, or push into a key of theirs that this console does not know.
        {"vault": world.vault.url},
        {"azure_name": "billing"},
        {"credential": others},
    ):
        with pytest.raises(PermissionRefused, match="scope that does not cover this"):
            save(world, world.foreign, **moved)
    assert save(world, world.foreign, rotate_every=30).rotate_every == 30
    give(world, "vault", "kv-foreign")
    assert save(world, world.foreign, azure_name="billing").azure_name == "billing"


def test_nobody_gives_a_role_for_a_scope_that_they_lack_there(world):
    clerk = get_user_model().objects.create_user("clerk", role="auditor")
    role = _role_of_user_managers()
    get_user_model().objects.filter(pk=clerk.pk).update(role=role)
    give(world, "vault", "kv-own", user=clerk)
    actor = Actor.from_user(clerk)
    given = {"user": world.user, "role": "operator", "scope_kind": "vault", "actor": actor}
    assert give_role(**given, scope="kv-own").scope_value == world.vault.places[0].vault
    for kind, scope in (("vault", "kv-foreign"), ("group", "own")):
        with pytest.raises(PermissionRefused, match="lacks rights of “Operator”"):
            give_role(**(given | {"scope_kind": kind}), scope=scope)
    with pytest.raises(PermissionRefused, match="lacks rights of “Administrator”"):
        give_role(**(given | {"role": "admin"}), scope="kv-own")
    with pytest.raises(PermissionRefused):
        update_user(user=world.user, values=UserValues("operator"), actor=actor)


def test_whoever_has_more_in_a_scope_is_out_of_reach_of_who_has_less(world):
    clerk = get_user_model().objects.create_user("clerk", role=_role_of_user_managers())
    give(world, "vault", "kv-own")
    for act in (
        lambda: reset_password(user=world.user, actor=Actor.from_user(clerk)),
        lambda: deactivate_user(user=world.user, actor=Actor.from_user(clerk)),
        lambda: take_role(user=world.user, assignment_id=RoleAssignment.objects.get().pk, actor=Actor.from_user(clerk)),
    ):
        with pytest.raises(PermissionRefused, match="lacks rights of “sue”"):
            act()


def test_nobody_changes_their_own_scopes_and_a_scope_must_exist(world):
    boss = get_user_model().objects.get(username="ada")
    with pytest.raises(ConflictError, match="their own role"):
        give_role(user=boss, role="operator", scope_kind="vault", scope="kv-own", actor=world.admin)
    for kind, scope in (("vault", "kv-nowhere"), ("group", ""), ("tag", "team=nobody"), ("planet", "kv-own")):
        with pytest.raises(InputError, match="no such scope"):
            give(world, kind, scope)
    give(world, "vault", "kv-own")
    with pytest.raises(ConflictError, match="already"):
        give(world, "vault", "KV-OWN")


def test_a_bulk_act_leaves_out_what_it_may_not_touch(world):
    give(world, "vault", "kv-own")
    actor = Actor.from_user(world.user)
    rows = [Row(make_key(group, "k")) for group in (world.own, world.foreign)]
    outcome = act_on(rows, lambda key: request_destroy(keys=[key], actor=actor))
    assert [str(key.group) for key, _job in outcome.done] == ["own"]
    assert "scope that does not cover this" in outcome.refused[0][1]


def _role_of_user_managers():
    boss = get_user_model().objects.get(username="ada")
    rights = frozenset({"console.read", "log.read", "log.export", "user.manage"})
    return create_role(
        values=RoleValues("Clerk", "", rights, needs_second_factor=False), actor=Actor.from_user(boss)
    ).code


def test_a_form_for_an_own_key_takes_no_foreign_one_and_a_selection_leaves_it_out(world, client):
    give(world, "vault", "kv-own")
    client.force_login(world.user)
    keys = [make_key(group, name) for group, name in ((world.own, "mine"), (world.foreign, "theirs"))]
    start = reverse("jobs:start", args=["destroy"])
    named = "&".join(f"key={key.pk}" for key in keys)
    for method in (client.get, client.post):
        assert method(f"{start}?{named}").status_code == 403
    assert client.get(f"{start}?key={keys[0].pk}").status_code == 200
    page = body(client.post(start, {"selection": "1", "key": [str(key.pk) for key in keys], "ask": "1"}))
    assert "Left out: theirs. Outside of the scope of your right “Keys:Destroy”." in page
    assert not Job.objects.exists()


def test_a_form_for_many_groups_does_nothing_with_those_of_others(world, client):
    give(world, "vault", "kv-own")
    client.force_login(world.user)
    both = {"group_selection": "1", "picked": [str(world.own.pk), str(world.foreign.pk)]}
    changed = {"rotate": "on", "rotate_every": "30", "rotate_unit": "days"}
    page = body(client.post(reverse("keygroups:rotation"), {**both, "ask": "1"}))
    assert "Left out: Outside of the scope of your right “Key Groups:Manage”" in page
    assert client.post(reverse("keygroups:rotation"), both | changed).status_code == 302
    assert dict(KeyGroup.objects.values_list("name", "rotate_every")) == {"own": 30, "foreign": 90}
