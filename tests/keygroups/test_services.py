"""Making, changing and deleting key groups: rights, rules, log rows, conflicts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloudcreds.models import KeyVault
from keygroups import lifecycle, services
from keygroups.models import KeyGroup
from keygroups.values import PLAIN_FIELDS, GroupChangedError, GroupValues
from kmes.core.actor import Actor
from kmes.core.clock import now
from kmes.core.errors import ConflictError, InputError, PermissionRefused
from logging_reports.models import LogEntry
from tests.keygroups.builders import make_credential, make_group, make_key, make_vault, push, values
from tests.translations import speak

__all__ = ["speak"]
pytestmark = pytest.mark.django_db


def events():
    return list(LogEntry.objects.order_by("pk").values_list("event", flat=True))


def stored_values(group, **changes):
    """What the edit form sends when nothing was touched, but for ``changes``."""
    plain = {name: getattr(group, name) for name in PLAIN_FIELDS}
    typed = {**plain, "usage": tuple(group.usage), "credential": group.credential, "vault": group.vault.url, **changes}
    return GroupValues(**typed)


def refused(call, error=None):
    with pytest.raises(error or InputError) as caught:
        call()
    return caught.value


def test_a_group_is_stored_with_its_vault_its_schedule_and_a_log_row(credential, custodian) -> None:
    group = services.create_group(
        values=values(credential, name=" TDE prod ", vault="KV-Prod", valid_for=120, tags={"team": "db"}),
        actor=custodian,
    )
    assert (group.name, group.azure_name, group.vault.url) == (
        "TDE prod",
        "TDE-prod",
        "https://kv-prod.vault.azure.net",
    )
    assert group.vault.credential == credential
    assert abs(group.next_due_at - now() - timedelta(days=90)) < timedelta(minutes=5)
    row = LogEntry.objects.get(event="group.created")
    assert (row.group, row.credential, row.vault, row.actor_name) == ("TDE prod", "Contoso", "kv-prod", "a-custodian")
    assert row.data["validity"] == "120 days"


def test_a_vault_typed_again_is_the_known_one(vault, custodian) -> None:
    for name, typed in (("a", "kv-prod"), ("b", "https://kv-prod.vault.azure.net/"), ("c", "HTTPS://x")):
        if name == "c":
            error = refused(
                lambda: services.create_group(
                    values=values(vault.credential, name="c", vault="HTTPS://x"), actor=custodian
                )
            )
            assert error.field == "vault"
            continue
        services.create_group(values=values(vault.credential, name=name, vault=typed), actor=custodian)
    assert KeyVault.objects.count() == 1


def test_a_group_that_does_not_rotate_is_never_due(credential, custodian) -> None:
    group = services.create_group(values=values(credential, rotate=False), actor=custodian)
    assert group.next_due_at is None


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_who_may_not_manage_groups_changes_nothing(group, people, role) -> None:
    actor = Actor.from_user(people[role])
    new = values(group.credential, name="new")
    refused(lambda: services.create_group(values=new, actor=actor), PermissionRefused)
    refused(lambda: services.update_group(group=group, values=new, lock_version=1, actor=actor), PermissionRefused)
    refused(lambda: services.delete_group(group=group, actor=actor), PermissionRefused)
    assert list(KeyGroup.objects.values_list("name", flat=True)) == ["payments"]
    assert events() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "pay 🔑"}, "name"),
        ({"azure_name": "not legal"}, "azure_name"),
        ({"azure_name": "x" * 128}, "azure_name"),
        ({"azure_name": "pay🔑"}, "azure_name"),
        ({"name": "本番"}, "azure_name"),
        ({"azure_name": "kmes-kek-x"}, "azure_name"),
        ({"key_spec": "RSA-1024"}, "key_spec"),
        ({"key_spec": "P-256", "usage": ("sign", "encrypt")}, "usage"),
        ({"usage": ()}, "usage"),
        ({"rotate_every": 0}, "rotate_every"),
        ({"rotate_every": 10**12}, "rotate_every"),
        ({"rotate_unit": "years"}, "rotate_every"),
        ({"valid_for": 0}, "valid_for"),
        ({"vault": ""}, "vault"),
        ({"vault": "https://evil.example"}, "vault"),
        ({"vault": "https://kv-prod.vault.azure.net.evil.example"}, "vault"),
        ({"vault": "http://kv-prod.vault.azure.net"}, "vault"),
        ({"vault": "https://me@kv-prod.vault.azure.net"}, "vault"),
        ({"vault": "https://127.0.0.1:8443"}, "vault"),
        ({"owner": "x" * 129}, "owner"),
        ({"notes": "x" * 4001}, "notes"),
        ({"tags": {"kmes-key": "x"}}, "tags"),
    ],
)
def test_a_bad_value_is_told_at_its_field_and_nothing_is_half_done(credential, custodian, changes, field) -> None:
    error = refused(lambda: services.create_group(values=values(credential, **changes), actor=custodian))
    assert error.field == field
    assert error.what
    assert (KeyGroup.objects.count(), KeyVault.objects.count(), events()) == (0, 0, [])


def test_a_name_is_taken_whatever_its_case(group, custodian) -> None:
    error = refused(
        lambda: services.create_group(
            values=values(group.credential, name="PAYMENTS", azure_name="other"), actor=custodian
        )
    )
    assert error.field == "name"


def test_one_azure_key_belongs_to_one_group_whatever_the_case_or_the_credential(group, custodian) -> None:
    other = make_credential("Other")
    make_vault(other, "kv-prod")
    for credential in (group.credential, other):
        taken = values(credential, name="another", azure_name="PayMents")
        error = refused(lambda taken=taken: services.create_group(values=taken, actor=custodian))
        assert error.field == "azure_name"
        assert "payments" in str(error)
    elsewhere = values(other, name="another", azure_name="payments", vault="kv-else")
    assert services.create_group(values=elsewhere, actor=custodian).azure_name == "payments"


def test_two_who_save_at_once_get_the_rule_and_not_a_traceback(group, custodian, monkeypatch) -> None:
    """The look before the insert sees nothing, as when both look before either writes."""
    looks = []
    look = services._refuse_taken

    def late(*arguments, **named):
        looks.append(1)
        if len(looks) > 1:
            look(*arguments, **named)

    monkeypatch.setattr(services, "_refuse_taken", late)
    error = refused(lambda: services.create_group(values=values(group.credential), actor=custodian))
    assert error.field == "name"


def test_an_edit_saves_counts_up_and_logs_both_sides(group, custodian) -> None:
    saved = services.update_group(
        group=group, values=stored_values(group, name="Payroll", owner="Ada"), lock_version=1, actor=custodian
    )
    assert (saved.name, saved.owner, saved.lock_version) == ("Payroll", "Ada", 2)
    assert saved.next_due_at == group.next_due_at
    row = LogEntry.objects.get(event="group.updated")
    assert row.data["changed"] == {"name": ["payments", "Payroll"], "owner": ["", "Ada"]}


def test_saving_without_a_change_writes_nothing(group, custodian) -> None:
    saved = services.update_group(group=group, values=stored_values(group), lock_version=1, actor=custodian)
    assert saved.lock_version == 1
    assert events() == []


def test_a_changed_rotation_counts_from_the_change(group, custodian) -> None:
    long_ago = now() - timedelta(days=80)
    KeyGroup.objects.filter(pk=group.pk).update(rotation_anchor_at=long_ago)
    saved = services.update_group(
        group=group, values=stored_values(group, rotate_every=1, rotate_unit="weeks"), lock_version=1, actor=custodian
    )
    assert abs(saved.next_due_at - now() - timedelta(weeks=1)) < timedelta(minutes=5)
    off = services.update_group(group=saved, values=stored_values(saved, rotate=False), lock_version=2, actor=custodian)
    assert off.next_due_at is None


def test_who_comes_second_sees_the_difference_and_overwrites_nothing(group, custodian) -> None:
    services.update_group(group=group, values=stored_values(group, owner="Ada"), lock_version=1, actor=custodian)
    mine = stored_values(group, owner="Bob", rotate_every=30)
    error = refused(
        lambda: services.update_group(group=group, values=mine, lock_version=1, actor=custodian), GroupChangedError
    )
    assert {(each.label, each.stored, each.yours) for each in error.differences} == {
        ("Owner", "Ada", "Bob"),
        ("Rotate Key", "90 days", "30 days"),
    }
    group.refresh_from_db()
    assert (group.owner, group.rotate_every, group.lock_version) == ("Ada", 90, 2)


def test_the_key_type_is_settled_by_the_first_key_but_the_length_is_not(group, custodian) -> None:
    make_key(group)
    error = refused(
        lambda: services.update_group(
            group=group, values=stored_values(group, key_spec="P-256"), lock_version=1, actor=custodian
        )
    )
    assert error.field == "key_type"
    longer = stored_values(group, key_spec="RSA-4096")
    assert services.update_group(group=group, values=longer, lock_version=1, actor=custodian).key_spec == "RSA-4096"


def test_the_place_in_azure_is_settled_by_the_first_push(group, custodian) -> None:
    key = make_key(group)
    moved = stored_values(group, azure_name="before-push")
    group = services.update_group(group=group, values=moved, lock_version=1, actor=custodian)
    key.group = group
    push(key)
    other = make_credential("Other")
    for changes, field in (
        ({"azure_name": "after-push"}, "azure_name"),
        ({"vault": "kv-else"}, "vault"),
        ({"credential": other}, "credential"),
    ):
        error = refused(
            lambda changes=changes: services.update_group(
                group=group, values=stored_values(group, **changes), lock_version=2, actor=custodian
            )
        )
        assert error.field == field
        assert "before-push" in error.what


def test_a_push_that_failed_settles_nothing(group, custodian) -> None:
    key = make_key(group)
    lifecycle.begin_push(key=key)
    refused(
        lambda: services.update_group(
            group=group, values=stored_values(group, azure_name="moved"), lock_version=1, actor=custodian
        )
    )
    lifecycle.fail_push(key=key)
    moved = stored_values(group, azure_name="moved")
    assert services.update_group(group=group, values=moved, lock_version=1, actor=custodian).azure_name == "moved"


def test_what_the_log_keeps_of_a_group_is_english(group, custodian, speak) -> None:
    with speak("never", "%(count)d days"):
        services.update_group(group=group, values=stored_values(group, rotate=False), lock_version=1, actor=custodian)
    changed = LogEntry.objects.get(event="group.updated").data["changed"]
    assert changed["rotation"][1] == "never"


def test_an_empty_group_goes_and_leaves_a_log_row(group, custodian) -> None:
    services.delete_group(group=group, actor=custodian)
    assert not KeyGroup.objects.exists()
    assert events() == ["group.deleted"]
    refused(lambda: services.delete_group(group=group, actor=custodian), ConflictError)
    refused(
        lambda: services.update_group(group=group, values=stored_values(group), lock_version=1, actor=custodian),
        ConflictError,
    )


def test_a_group_with_keys_stays_and_says_what_to_do(group, custodian) -> None:
    key = make_key(group)
    for _ in range(2):
        error = refused(lambda: services.delete_group(group=group, actor=custodian), ConflictError)
        assert "has 1 key" in error.what
        assert "switch Rotate Key off" in error.remedy
        if not key.destroyed_at:
            lifecycle.destroy_key(key=key)
            key.refresh_from_db()


def test_if_the_log_can_not_be_written_nothing_happens(credential, custodian, monkeypatch) -> None:
    def broken(*_arguments, **_named):
        raise RuntimeError("disk full")

    monkeypatch.setattr(services, "record", broken)
    with pytest.raises(RuntimeError):
        services.create_group(values=values(credential), actor=custodian)
    assert not KeyGroup.objects.exists()


def test_a_vault_of_another_cloud_is_refused(custodian) -> None:
    china = make_credential("China", cloud="china")
    error = refused(
        lambda: services.create_group(values=values(china, vault="https://kv-prod.vault.azure.net"), actor=custodian)
    )
    assert error.field == "vault"
    group = services.create_group(values=values(china), actor=custodian)
    assert group.vault.url == "https://kv-prod.vault.azure.cn"


def test_groups_in_the_other_order_do_not_matter(vault, custodian) -> None:
    first, second = make_group(vault, "one"), make_group(vault, "two")
    taken = stored_values(second, name="ONE")
    error = refused(lambda: services.update_group(group=second, values=taken, lock_version=1, actor=custodian))
    assert error.field == "name"
    same = stored_values(first, name="One")
    assert services.update_group(group=first, values=same, lock_version=1, actor=custodian).name == "One"


@pytest.mark.parametrize("knows", ["this credential", "another credential"])
def test_a_standard_vault_is_refused_when_it_is_chosen(credential, custodian, knows) -> None:
    owner = credential if knows == "this credential" else make_credential("Fabrikam")
    make_vault(owner, "kv-plain", tier="standard")
    with pytest.raises(InputError, match="Standard tier") as refused:
        services.create_group(values=values(credential, name="tde", vault="kv-plain"), actor=custodian)
    assert (refused.value.field, "Premium" in refused.value.remedy) == ("vault", True)
    assert not KeyGroup.objects.exists()


def test_a_group_cannot_move_to_a_standard_vault_but_can_be_edited_on_one(group, custodian) -> None:
    make_vault(group.credential, "kv-plain", tier="standard")
    with pytest.raises(InputError, match="Standard tier"):
        services.update_group(
            group=group, values=stored_values(group, vault="kv-plain"), lock_version=1, actor=custodian
        )
    KeyVault.objects.filter(pk=group.vault_id).update(tier="standard")
    edited = services.update_group(
        group=group, values=stored_values(group, notes="wait"), lock_version=1, actor=custodian
    )
    assert edited.notes == "wait"
