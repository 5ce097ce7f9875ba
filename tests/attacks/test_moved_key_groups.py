"""An attacker who can write to the database points vaults and key groups at places of his own."""

from __future__ import annotations

from copy import copy

import pytest
from django.core.management import call_command

from cloudcreds.models import KeyVault
from hsm.device import Device
from hsm.signed_saves import StrangeDestination
from jobs.kinds.list_vaults.spec import request_vault_list
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.models import KeyGroup
from keygroups.services import create_group, delete_group, update_group
from keygroups.values import GroupValues
from kmes.core.ids import new_uuid
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import make_credential, make_group, make_keys, make_vault, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault

__all__ = ["admin", "credential", "device", "group", "hsm_token", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wraps(monkeypatch):
    """The destinations for which the device wrapped a key."""
    found = []
    original = Device.wrap_for_kek

    def count(self, key, destination, **kek):
        found.append(destination)
        return original(self, key, destination, **kek)

    monkeypatch.setattr(Device, "wrap_for_kek", count)
    return found


@pytest.fixture
def elsewhere(credential, azure_stand_in, admin):
    """A group in another vault, by another credential; a job has used both."""
    other = make_credential(azure_stand_in.url, actor=admin, name="Other")
    made = make_group(other, azure_stand_in.vault_url("kv-protected"), name="elsewhere")
    assert rotate(made, admin).state == "succeeded"
    return KeyGroup.objects.select_related("vault").get(pk=made.pk)


def rotate(row, actor):
    """Let a job make and push a key of a group as its row is now."""
    found = KeyGroup.objects.select_related("vault", "credential").get(pk=row.pk)
    return work(request_rotation(group=found, actor=actor))


def push(key, actor):
    """Let a job push a key."""
    found = type(key).objects.select_related("group__vault", "group__credential").get(pk=key.pk)
    return work(request_synchronize(keys=[found], actor=actor))


def typed(row, **changes):
    """What the dialog of a key group sends."""
    kept = ("name", "key_spec", "azure_name")
    values = {name: getattr(row, name) for name in kept} | {"credential": row.credential, "vault": row.vault.url}
    return GroupValues(**{**values, "usage": tuple(row.usage), **changes})


def save(row, actor, **changes):
    """Change a group as its dialog does."""
    current = KeyGroup.objects.select_related("vault", "credential").get(pk=row.pk)
    values = typed(current, **changes)
    return update_group(group=current, values=values, lock_version=current.lock_version, actor=actor)


GROUP_EDITS = {
    "vault": lambda other: {"vault_id": other.vault_id},
    "credential": lambda other: {"credential_id": other.credential_id},
    "vault and credential": lambda other: {"vault_id": other.vault_id, "credential_id": other.credential_id},
    "name": lambda _other: {"azure_name": "stranger"},
    "operations": lambda _other: {"usage": ["sign", "encrypt"]},
    "mark of another row": lambda other: {"mark": other.mark, "mark_number": other.mark_number},
    "mark removed, name changed": lambda _other: {"mark": b"", "azure_name": "stranger"},
    "all removed, as if from an earlier release": lambda _other: {
        "mark": b"",
        "mark_number": 0,
        "save_signature": b"",
        "azure_name": "stranger",
    },
}
VAULT_EDITS = {
    "url": lambda other: {"url": other.vault.url},
    "credential": lambda other: {"credential_id": other.credential_id},
    "mark of another row": lambda other: {"mark": other.vault.mark},
    "mark removed, url changed": lambda other: {"mark": b"", "url": f"{other.vault.url}/"},
    "url and signature of another row": lambda other: {
        "mark": b"",
        "url": f"{other.vault.url}/",
        "save_signature": other.vault.save_signature,
    },
}


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "not used yet"])
def test_a_key_group_or_vault_whose_row_was_changed_gets_no_key(is_used, group, elsewhere, admin, vault, wraps):
    (key,) = make_keys(group, "first", actor=admin)
    if is_used:
        assert rotate(group, admin).state == "succeeded"
    wraps.clear()
    before = [vault.versions(name) for name in ("stranger", "payments")]
    edits = [(KeyGroup, group.pk, edit) for edit in GROUP_EDITS.values()]
    edits += [(KeyVault, group.vault_id, edit) for edit in VAULT_EDITS.values()]
    for model, pk, edit in edits:
        intact = model.objects.values().get(pk=pk)
        changes = edit(elsewhere)
        model.objects.filter(pk=pk).update(**changes)
        job = push(key, admin)
        assert (job.state, "device's mark" in job.error_what) == ("failed", True), (model, changes, job.error_what)
        model.objects.filter(pk=pk).update(**{name: intact[name] for name in changes})
    assert wraps == []
    assert [vault.versions(name) for name in ("stranger", "payments")] == before
    assert LogEntry.objects.filter(event="device.mark_refused", severity="error").count() == len(edits)
    assert Notice.objects.filter(event="device.mark_refused").exists()
    assert push(key, admin).state == "succeeded"


def test_an_inserted_vault_gets_no_key_and_no_token(group, admin, azure_stand_in, wraps):
    (key,) = make_keys(group, "first", actor=admin)
    url = azure_stand_in.vault_url("kv-protected").rstrip("/")
    mine = KeyVault.objects.create(credential=group.credential, name="mine", url=url)
    KeyGroup.objects.filter(pk=group.pk).update(vault=mine)
    asked = len(azure_stand_in.control("GET", "/_emulator/requests"))
    assert push(key, admin).state == "failed"
    assert len(azure_stand_in.control("GET", "/_emulator/requests")) == asked
    assert wraps == []


def test_two_groups_that_were_exchanged_are_both_refused(group, credential, azure_stand_in, admin, wraps):
    other = make_group(credential, azure_stand_in.vault_url("kv-premium"), name="stranger")
    for row in (group, other):
        assert rotate(row, admin).state == "succeeded"
    wraps.clear()
    columns = ("azure_name", "mark", "mark_number", "save_signature")
    one, two = (KeyGroup.objects.values(*columns).get(pk=row.pk) for row in (group, other))
    KeyGroup.objects.filter(pk=other.pk).update(azure_name="parked")
    KeyGroup.objects.filter(pk=group.pk).update(**two)
    KeyGroup.objects.filter(pk=other.pk).update(**one)
    assert {rotate(row, admin).state for row in (group, other)} == {"failed"}
    assert wraps == []


def test_an_earlier_state_of_a_group_that_is_put_back_is_refused(group, admin, wraps):
    (key,) = make_keys(group, "first", actor=admin)
    old = KeyGroup.objects.values().get(pk=group.pk)
    save(group, admin, azure_name="payments-2")
    KeyGroup.objects.filter(pk=group.pk).update(**old)
    assert "an earlier state of its row" in push(key, admin).error_what
    with pytest.raises(StrangeDestination):
        save(group, admin, azure_name="payments-3")
    assert wraps == []


def test_a_deleted_group_that_is_put_back_is_refused(group, credential, admin, wraps):
    row = copy(group)
    delete_group(group=group, actor=admin)
    row.save(force_insert=True)
    assert rotate(row, admin).state == "failed"
    assert wraps == []


def test_a_copy_of_a_group_under_another_id_is_refused(group, admin, wraps):
    copied = copy(group)
    copied.pk, copied.name, copied.azure_name = new_uuid(), "copy", "copy"
    copied.save(force_insert=True)
    assert rotate(copied, admin).state == "failed"
    assert wraps == []


# --- How a destination becomes usable -------------------------------------------------------------
def test_a_group_and_a_vault_that_a_page_saved_are_used_at_once_and_the_log_names_old_and_new(
    credential, azure_stand_in, admin, wraps
):
    url = azure_stand_in.vault_url("kv-premium").rstrip("/")
    values = GroupValues(name="orders", credential=credential, vault=url, key_spec="P-256")
    made = create_group(values=values, actor=admin)
    assert rotate(made, admin).state == "succeeded"
    assert wraps[-1].group.azure_name == "orders"
    save(made, admin, usage=("sign", "encrypt")[:1])
    first = LogEntry.objects.get(event="group.authorized")
    assert first.data["new"] == {"vault": url, "azure_name": "orders", "usage": "sign"}
    assert LogEntry.objects.get(event="vault.authorized").data["new"]["url"] == url


def test_a_changed_name_is_logged_with_the_old_one(group, admin):
    assert rotate(group, admin).state == "succeeded"
    other = make_group(group.credential, group.vault.url, name="fresh")
    (key,) = make_keys(other, "one", actor=admin)
    save(other, admin, azure_name="fresher")
    saved = LogEntry.objects.filter(event="group.destination_saved", group_id=str(other.pk)).latest("sequence")
    assert (saved.data["old"]["azure_name"], saved.data["new"]["azure_name"]) == ("fresh", "fresher")
    assert push(key, admin).state == "succeeded"


def test_vaults_that_a_list_found_are_used_without_more(credential, admin):
    assert work(request_vault_list(credential=credential, actor=admin)).state == "succeeded"
    found = KeyVault.objects.get(name="kv-premium")
    made = make_group(credential, found.url, name="listed")
    assert rotate(made, admin).state == "succeeded"


# --- What an earlier release made -----------------------------------------------------------------
def test_groups_and_vaults_of_an_earlier_release_are_listed_and_marked_once(credential, azure_stand_in, admin, capsys):
    url = azure_stand_in.vault_url("kv-premium").rstrip("/")
    vault = KeyVault.objects.create(credential=credential, name="kv", url=url)
    group = make_group(credential, url, name="payments", is_signed=False)
    assert "authorize_existing" in rotate(group, admin).error_remedy
    call_command("authorize_existing", list=True)
    said = capsys.readouterr().out
    assert f"key vault kv: url {url}" in said
    assert f"key group payments: vault {url}, azure_name payments, usage sign" in said
    call_command("authorize_existing", yes=True)
    assert rotate(group, admin).state == "succeeded"
    assert bytes(KeyVault.objects.get(pk=vault.pk).mark)
    assert make_vault(credential, url) == vault
