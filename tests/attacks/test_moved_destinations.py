"""An attacker who can write to the database points credentials at places of his own."""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from cloudcreds import certificates, seals
from cloudcreds.destinations import sign_new
from cloudcreds.models import CloudCredential
from cloudcreds.services import create_credential, delete_credential, update_credential
from cloudcreds.values import CredentialValues
from hsm.device import Device
from hsm.signed_saves import StrangeDestination
from jobs.kinds.list_vaults.spec import request_vault_list
from kmes.core.ids import new_uuid
from kmes.core.request_keys import Signer, make_request_keys
from kmes.core.secret_types import SecretText
from logging_reports.models import LogEntry, Notice
from logging_reports.services import Subject, record
from tests.jobs.builders import make_credential, work
from tests.jobs.conftest import admin, credential, device, hsm_token

__all__ = ["admin", "credential", "device", "hsm_token"]

pytestmark = pytest.mark.django_db(transaction=True)
STRANGER = "99999999-9999-9999-9999-999999999999"


@pytest.fixture
def opened(monkeypatch):
    """The destinations for which the device opened a secret."""
    found = []
    original = Device.open_secret

    def count(self, destination, sealed, **context):
        found.append(destination.credential)
        return original(self, destination, sealed, **context)

    monkeypatch.setattr(Device, "open_secret", count)
    return found


@pytest.fixture
def other(credential, azure_stand_in, admin):
    """A second credential, which a job has used."""
    made = make_credential(azure_stand_in.url, actor=admin, name="Other", secret="emulator-secret")
    assert ask(made, admin).state == "succeeded"
    return CloudCredential.objects.get(pk=made.pk)


def ask(row, actor):
    """Let a job sign in with a credential as its row is now."""
    return work(request_vault_list(credential=CloudCredential.objects.get(pk=row.pk), actor=actor))


def typed(row, **changes):
    """What the form of a credential sends."""
    kept = ("name", "tenant_id", "client_id", "cloud", "authority_url", "arm_url")
    return CredentialValues(**{**{name: getattr(row, name) for name in kept}, **changes})


def save(row, actor, **changes):
    """Change a credential as its page does."""
    current = CloudCredential.objects.get(pk=row.pk)
    values = typed(current, **changes)
    return update_credential(credential=current, values=values, lock_version=current.lock_version, actor=actor)


# What the attacker writes into a row, given another one.
EDITS = {
    "cloud": lambda _other: {"cloud": "public"},
    "tenant": lambda _other: {"tenant_id": STRANGER},
    "client": lambda _other: {"client_id": STRANGER},
    "authority": lambda _other: {"authority_url": "https://127.0.0.1:1"},
    "resource manager": lambda _other: {"arm_url": "https://127.0.0.1:1"},
    "way to sign in": lambda _other: {"sign_in": "federation"},
    "secret of another row": lambda other: {"sealed_secret": other.sealed_secret},
    "mark of another row": lambda other: {"mark": other.mark, "mark_number": other.mark_number},
    "mark forged": lambda _other: {"mark": b"\x5a" * 32},
    "number raised": lambda _other: {"mark_number": 7},
    "mark removed, tenant changed": lambda _other: {"mark": b"", "tenant_id": STRANGER},
    "all removed, as if from an earlier release": lambda _other: {
        "mark": b"",
        "mark_number": 0,
        "save_signature": b"",
        "tenant_id": STRANGER,
    },
    "signature of another row": lambda other: {
        "mark": b"",
        "save_signature": other.save_signature,
        "client_id": STRANGER,
    },
}


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "not used yet"])
def test_a_credential_whose_row_was_changed_signs_in_nowhere(is_used, credential, other, admin, opened):
    if is_used:
        assert ask(credential, admin).state == "succeeded"
    opened.clear()
    intact = CloudCredential.objects.values().get(pk=credential.pk)
    for edit in EDITS.values():
        changes = edit(other)
        CloudCredential.objects.filter(pk=credential.pk).update(**changes)
        job = ask(credential, admin)
        assert (job.state, "does not carry this device's mark" in job.error_what) == ("failed", True), changes
        CloudCredential.objects.filter(pk=credential.pk).update(**{name: intact[name] for name in changes})
    assert opened == []
    alarms = LogEntry.objects.filter(event="device.mark_refused", severity="error")
    assert alarms.count() == len(EDITS)
    assert Notice.objects.filter(event="device.mark_refused").exists()
    assert ask(credential, admin).state == "succeeded"


def test_two_rows_that_were_exchanged_are_both_refused(credential, other, admin, opened):
    assert ask(credential, admin).state == "succeeded"
    opened.clear()
    columns = ("tenant_id", "client_id", "sealed_secret", "mark", "mark_number", "save_signature")
    one, two = (CloudCredential.objects.values(*columns).get(pk=row.pk) for row in (credential, other))
    CloudCredential.objects.filter(pk=credential.pk).update(**two)
    CloudCredential.objects.filter(pk=other.pk).update(**one)
    assert {ask(row, admin).state for row in (credential, other)} == {"failed"}
    assert opened == []


def test_an_inserted_row_signs_in_nowhere(other, admin, opened):
    opened.clear()
    inserted = copy(other)
    inserted.pk, inserted.name = new_uuid(), "inserted"
    inserted.save(force_insert=True)
    assert ask(inserted, admin).state == "failed"
    CloudCredential.objects.filter(pk=inserted.pk).update(mark=b"", mark_number=0, save_signature=b"")
    job = ask(inserted, admin)
    assert "authorize_existing" in job.error_remedy
    assert opened == []


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "not used yet"])
def test_an_earlier_state_that_is_put_back_is_refused(is_used, credential, admin, opened):
    if is_used:
        assert ask(credential, admin).state == "succeeded"
    old = CloudCredential.objects.values().get(pk=credential.pk)
    save(credential, admin, client_id=STRANGER)
    opened.clear()
    CloudCredential.objects.filter(pk=credential.pk).update(**old)
    job = ask(credential, admin)
    assert "an earlier state of its row" in job.error_what
    with pytest.raises(StrangeDestination):
        save(credential, admin, secret=SecretText("another-secret"))
    assert opened == []


def test_a_deleted_credential_that_is_put_back_is_refused(other, admin, opened):
    opened.clear()
    row = copy(other)
    delete_credential(credential=other, actor=admin)
    row.save(force_insert=True)
    assert "an earlier state of its row" in ask(row, admin).error_what
    assert opened == []


def test_rows_that_are_added_to_the_log_make_no_earlier_state_newer(credential, admin):
    old = CloudCredential.objects.values().get(pk=credential.pk)
    save(credential, admin, client_id=STRANGER)
    CloudCredential.objects.filter(pk=credential.pk).update(**old)
    subject = Subject(credential_id=str(credential.pk))
    record("credential.destination_saved", actor=admin, subject=subject, data={"number": 1})
    assert "an earlier state of its row" in ask(credential, admin).error_what


@pytest.mark.parametrize("number", [2**31 - 1, 2**63, 10**30])
def test_a_number_in_the_log_that_no_column_keeps_is_refused_in_words(credential, admin, number):
    """Any process may add rows to the log, and nobody takes them away again."""
    subject = Subject(credential_id=str(credential.pk))
    record("credential.destination_saved", actor=admin, subject=subject, data={"number": number})
    with pytest.raises(StrangeDestination):
        save(credential, admin, client_id=STRANGER)
    with pytest.raises(CommandError, match="restore a backup"):
        call_command("authorize_existing", "--yes")


def test_nobody_signs_what_the_attacker_wrote_by_saving_something_else(credential, admin, opened):
    CloudCredential.objects.filter(pk=credential.pk).update(tenant_id=STRANGER)
    with pytest.raises(StrangeDestination, match="authorize_existing"):
        save(credential, admin, secret=SecretText("the-next-secret"))
    save(credential, admin, name="Renamed")
    assert ask(credential, admin).state == "failed"
    assert opened == []


def test_a_certificate_that_was_exchanged_is_refused(credential, admin, device):
    save(credential, admin, sign_in="managed_identity")
    made = [device.make_certificate(common_name="c", valid_for=timedelta(days=9)) for _ in range(2)]
    for each in made:
        with transaction.atomic():
            row = certificates.keep_made_within(credential, each, actor=admin)
        if each is made[0]:
            certificates.use_waiting(credential=credential, thumbprint=row.thumbprint, actor=admin)
    used, waiting = credential.certificates.order_by("-is_in_use")
    used.__class__.objects.filter(pk=used.pk).update(pem=waiting.pem, wrapped_key=waiting.wrapped_key)
    assert "does not carry this device's mark" in ask(credential, admin).error_what
    used.__class__.objects.filter(pk=used.pk).update(pem=used.pem, wrapped_key=used.wrapped_key)
    assert "mark" not in ask(credential, admin).error_what


def test_a_seal_opens_for_no_other_place_whatever_its_row_says(credential, admin, opened):
    assert ask(credential, admin).state == "succeeded"
    row = CloudCredential.objects.get(pk=credential.pk)
    row.tenant_id, row.sealed_for = STRANGER, seals.place_of(row, {"tenant_id": STRANGER})
    row.save()
    sign_new(row, actor=admin)
    assert ask(credential, admin).error_code == "sealed_damaged"


# --- How a destination becomes usable -------------------------------------------------------------
def test_the_first_job_has_a_saved_destination_marked_and_the_log_names_old_and_new(
    device, azure_stand_in, credential, admin
):
    assert not credential.mark
    job = ask(credential, admin)
    first = LogEntry.objects.get(event="credential.authorized")
    assert (first.job_id, first.actor_name, first.data["number"]) == (job.pk, "ada", 1)
    assert first.data["new"]["authority_url"] == azure_stand_in.url
    assert ask(credential, admin).state == "succeeded"
    save(credential, admin, client_id=STRANGER)
    ask(credential, admin)
    second = LogEntry.objects.filter(event="credential.authorized", sequence__gt=first.sequence).earliest("sequence")
    assert (second.data["old"]["client_id"], second.data["new"]["client_id"]) == (credential.client_id, STRANGER)
    assert not LogEntry.objects.filter(event="device.mark_refused").exists()


def test_what_a_page_saves_is_used_at_once(device, azure_stand_in, admin):
    url = azure_stand_in.url
    values = CredentialValues(
        name="New",
        tenant_id="11111111-1111-1111-1111-111111111111",
        client_id="22222222-2222-2222-2222-222222222222",
        secret=SecretText("emulator-secret"),
        cloud="custom",
        authority_url=url,
        arm_url=url,
    )
    made = create_credential(values=values, actor=admin)
    assert ask(made, admin).state == "succeeded"
    assert ask(save(made, admin, secret=SecretText("emulator-secret")), admin).state == "succeeded"


def test_a_secret_is_sealed_anew_where_its_tenant_was_corrected(device, azure_stand_in, admin, opened):
    wrong = make_credential(azure_stand_in.url, actor=admin, tenant=STRANGER)
    assert ask(wrong, admin).state == "failed"
    save(wrong, admin, tenant_id="11111111-1111-1111-1111-111111111111")
    assert ask(wrong, admin).state == "succeeded"
    row = CloudCredential.objects.get(pk=wrong.pk)
    assert row.sealed_for == seals.place_of(row)
    assert bytes(row.sealed_secret) != bytes(wrong.sealed_secret)
    assert ask(wrong, admin).state == "succeeded"
    assert CloudCredential.objects.get(pk=wrong.pk).sealed_secret == row.sealed_secret


def test_a_save_signed_by_a_key_that_was_exchanged_is_signed_again_by_the_next_job(credential, admin, settings):
    assert ask(credential, admin).state == "succeeded"
    make_request_keys(
        settings.KMES_REQUEST_KEYS_DIR, settings.KMES_REQUEST_SIGNERS_FILE, replace=[Signer.WEB, Signer.WORKER]
    )
    with pytest.raises(StrangeDestination):
        save(credential, admin, client_id=STRANGER)
    assert ask(credential, admin).state == "succeeded"
    save(credential, admin, client_id=STRANGER)


# --- What an earlier release made -----------------------------------------------------------------
@pytest.fixture
def unsigned(device, azure_stand_in, admin):
    """A credential as an earlier release left it."""
    return make_credential(azure_stand_in.url, actor=admin, is_signed=False)


def test_a_credential_of_an_earlier_release_is_listed_and_marked_once(unsigned, admin, capsys):
    assert "authorize_existing" in ask(unsigned, admin).error_remedy
    save(unsigned, admin, name="Renamed", client_id="22222222-2222-2222-2222-222222222222")
    call_command("authorize_existing", list=True)
    assert "cloud credential Renamed: cloud custom, tenant_id 1111" in capsys.readouterr().out
    assert ask(unsigned, admin).state == "failed"
    call_command("authorize_existing", yes=True)
    row = CloudCredential.objects.get(pk=unsigned.pk)
    assert row.sealed_for == seals.place_of(row), "sealed for its place as well"
    assert ask(unsigned, admin).state == "succeeded"
    call_command("authorize_existing", list=True)
    assert "Nothing to do" in capsys.readouterr().out
    save(unsigned, admin, client_id=STRANGER)


def test_one_that_is_changed_while_the_administrator_reads_is_not_marked_as_it_is_then(unsigned, admin, monkeypatch):
    def change_and_agree(_question):
        CloudCredential.objects.update(tenant_id=STRANGER)
        return "authorize"

    monkeypatch.setattr("builtins.input", change_and_agree)
    call_command("authorize_existing")
    assert ask(unsigned, admin).state == "failed"


def test_without_consent_it_stays_unmarked(unsigned, admin, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda _question: "no")
    with pytest.raises(CommandError, match="Nothing was marked"):
        call_command("authorize_existing")
    assert ask(unsigned, admin).state == "failed"


def test_a_name_in_the_database_hides_no_row_from_whoever_authorizes(credential):
    """Who compares the rows before the device marks them sees each one, whatever the terminal would do with its texts."""
    CloudCredential.objects.filter(pk=credential.pk).update(name="Other\x1b[1A\x1b[2K\u202e", tenant_id="evil")
    out = StringIO()
    call_command("authorize_existing", "--list", stdout=out)
    lines = out.getvalue().splitlines()
    assert any("Other\\u001b[1A" in line and "evil" in line for line in lines)
    assert all(line.isprintable() for line in lines)
