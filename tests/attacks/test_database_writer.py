"""An attacker who can write to the database makes the device wrap what he moved or changed."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from hsm.device import Device, get_device
from hsm.mark_checks import check_keys
from hsm.marks import MAGIC
from hsm.verified import VerifiedKey
from jobs.kinds.synchronize.spec import request_synchronize
from keygroups.marks import facts_of_key
from keygroups.models import Key
from kmes.core.ids import new_uuid
from logging_reports.models import LogEntry, Notice
from tests.jobs.builders import make_group, make_keys, work
from tests.jobs.conftest import admin, credential, device, group, hsm_token, vault

__all__ = ["admin", "credential", "device", "group", "hsm_token", "vault"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wraps(monkeypatch):
    """The keys that the device was made to wrap."""
    asked = []
    original = Device.wrap_for_kek

    def count(self, key, destination, **kek):
        asked.append(key)
        return original(self, key, destination, **kek)

    monkeypatch.setattr(Device, "wrap_for_kek", count)
    return asked


@pytest.fixture
def other(credential, group, azure_stand_in, admin):
    """A key of another key group, with its vault."""
    made = make_group(credential, azure_stand_in.vault_url("kv-premium"), name="stranger", spec="RSA-2048")
    (key,) = make_keys(made, "theirs", actor=admin)
    return key


# What the attacker writes into the row of one key, given the row of another.
EDITS = {
    "both halves moved": lambda other: {"wrapped_private": other.wrapped_private, "public_spki": other.public_spki},
    "both halves and the mark moved": lambda other: {
        "wrapped_private": other.wrapped_private,
        "public_spki": other.public_spki,
        "mark": other.mark,
    },
    "private half exchanged": lambda other: {"wrapped_private": other.wrapped_private},
    "public half exchanged": lambda other: {"public_spki": other.public_spki},
    "type changed": lambda other: {"key_spec": other.key_spec},
    "moved to another group": lambda other: {"group_id": other.group_id},
    "mark of another row": lambda other: {"mark": other.mark},
    "mark forged": lambda _other: {"mark": b"\x5a" * 32},
    "mark removed": lambda _other: {"mark": b""},
}


def test_a_key_row_that_was_changed_is_not_wrapped(group, other, admin, vault, wraps):
    keys = make_keys(group, *EDITS, "intact", actor=admin)
    for key, edit in zip(keys, EDITS.values(), strict=False):
        Key.objects.filter(pk=key.pk).update(**edit(other))
    job = work(request_synchronize(keys=list(Key.objects.filter(pk__in=[key.pk for key in keys])), actor=admin))
    details = dict(job.targets.filter(state="failed").values_list("key__name", "detail"))
    assert {name for name, why in details.items() if "does not carry this device's mark" in why} == {*EDITS}
    assert [key.facts.id for key in wraps] == [keys[-1].pk], "only the intact one reaches the device"
    assert vault.versions("stranger") == []
    assert len(vault.versions("payments")) == 1
    alarms = LogEntry.objects.filter(event="device.mark_refused", severity="error")
    assert {name for alarm in alarms for name in alarm.data["refused"]} == {*EDITS}
    assert Notice.objects.filter(event="device.mark_refused").exists()


def test_a_copy_of_a_key_row_under_another_id_is_not_wrapped(group, admin, wraps):
    (mine,) = make_keys(group, "mine", actor=admin)
    copy = Key.objects.get(pk=mine.pk)
    copy.pk, copy.name = new_uuid(), "copy"
    copy.save(force_insert=True)
    assert work(request_synchronize(keys=[copy], actor=admin)).state == "failed"
    assert wraps == []


def test_the_device_is_asked_once_for_the_marks_of_a_batch(group, admin, monkeypatch):
    asked = []
    original = Device.check_marks

    def count(self, claims):
        asked.append([text for text, _mark in claims if text.startswith(MAGIC + b"s\x00\x00\x00\x03key")])
        return original(self, claims)

    monkeypatch.setattr(Device, "check_marks", count)
    keys = make_keys(group, "one", "two", "three", actor=admin)
    assert work(request_synchronize(keys=keys, actor=admin)).state == "succeeded"
    assert [len(texts) for texts in asked if texts] == [3]


# --- What an earlier release made -----------------------------------------------------------------
@pytest.fixture
def unmarked(group, admin):
    """Two keys as an earlier release left them, one of them with halves that don't fit."""
    one, broken = make_keys(group, "one", "broken", actor=admin)
    (spare,) = make_keys(group, "spare", actor=admin)
    Key.objects.filter(pk__in=[one.pk, broken.pk]).update(mark=b"")
    Key.objects.filter(pk=broken.pk).update(public_spki=spare.public_spki)
    return one


def test_keys_of_an_earlier_release_are_listed_and_marked_once(unmarked, admin, capsys):
    call_command("authorize_existing", list=True)
    assert "keys of group payments: 2 (one, broken)" in capsys.readouterr().out
    assert bytes(Key.objects.get(pk=unmarked.pk).mark) == b""
    call_command("authorize_existing", yes=True)
    said = capsys.readouterr()
    assert "1 rows marked" in said.out
    assert "left out: payments/broken" in said.err
    assert work(request_synchronize(keys=[Key.objects.get(pk=unmarked.pk)], actor=admin)).state == "succeeded"
    row = LogEntry.objects.get(event="device.rows_marked")
    assert (row.severity, list(row.data["left_out"])) == ("warning", ["payments/broken"])
    Key.objects.filter(name="broken").update(state="destroyed")
    call_command("authorize_existing")
    assert "Nothing to do" in capsys.readouterr().out


def test_nothing_is_marked_unless_the_administrator_says_so(unmarked, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _question: "yes")
    with pytest.raises(CommandError, match="Nothing was marked"):
        call_command("authorize_existing")
    assert bytes(Key.objects.get(pk=unmarked.pk).mark) == b""


def test_a_key_that_is_changed_while_the_administrator_reads_is_not_marked_as_it_is_then(unmarked, group, monkeypatch):
    spare = Key.objects.get(name="spare")

    def change_and_agree(_question):
        Key.objects.filter(pk=unmarked.pk).update(wrapped_private=spare.wrapped_private, public_spki=spare.public_spki)
        return "authorize"

    monkeypatch.setattr("builtins.input", change_and_agree)
    call_command("authorize_existing")
    changed = Key.objects.get(pk=unmarked.pk)
    (found,) = check_keys(get_device(), [("one", facts_of_key(changed), bytes(changed.mark))])
    assert not isinstance(found, VerifiedKey)
