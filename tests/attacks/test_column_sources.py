"""Where the values of each column come from, and that none can come which the column can't keep.

A new column has to be named here. SQLite refuses in tests what PostgreSQL refuses (``kmes.devtools.strict_columns``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

import pytest
from django.apps import apps
from django.db import DataError, models, transaction

from cloudcreds import vaults
from cloudcreds.azure import convert, policy_assignments, vault_documents
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.provider.recovery import days_of
from cloudcreds.provider.types import KekPublicKey, ProbeResult, VaultInfo
from cloudcreds.provider.vault_setup import PolicyAssignment, Rule, VaultSetup
from hsm.models import HsmDevice, WorkerSighting
from hsm.services import record_worker
from jobs.certifications.models import Certification
from jobs.models import Job
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from kmes.accounts import sign_in_limits
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.models import ConsoleSession, FailedSignIns, User
from kmes.core.actor import Actor, Trigger
from kmes.core.columns import max_length
from kmes.core.errors import KmesError
from kmes.core.stored_text import storable_json
from kmes.ui import saved_views
from logging_reports import time_stamp_requests
from logging_reports.forwarding import outages
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogCheckpoint, LogEntry, TimeStampOutage
from logging_reports.services import Subject, record
from logging_reports.time_stamps import TimeStamp
from tests.attacks.test_form_limits import TEXTS
from tests.keygroups.builders import make_credential, make_group, make_key, make_vault

pytestmark = pytest.mark.django_db
APPS = ("accounts", "ui", "logging_reports", "hsm", "cloudcreds", "keygroups", "jobs", "operations", "dashboard")
ODD = "a\0b\ud800" + "x" * 3000


class Source(Enum):
    """Where a value comes from, if from no form and no other column."""

    # Made by this console: codes, hashes, times of ours, names of kinds and events, counts.
    OURS = 1
    # Typed, and checked by the service: ``clean_key_name``.
    CHECKED = 2
    # Of fixed size in PKCS#11 (CK_TOKEN_INFO: 32, 32, 16 and 16 characters).
    DEVICE = 3
    # An id in a vault, which ``answers.judge`` lets pass in Azure's own form only.
    KEY_ID = 4
    # From outside; a test below writes odd values through the one function that stores it.
    FITTED = 5


OURS, CHECKED, DEVICE, KEY_ID, FITTED = Source
FORM = "form"
USERNAME, GROUP, KEY = (User, "username"), (KeyGroup, "name"), (Key, "name")
COLUMNS = {
    "accounts.User": {"password": OURS, "role": OURS}
    | dict.fromkeys(("username", "first_name", "last_name", "email"), FORM),
    "accounts.CustomRole": {"code": OURS, "rights": OURS, "name": FORM, "description": FORM},
    "accounts.RoleAssignment": {"role": OURS, "scope_value": OURS, "given_by": USERNAME},
    "accounts.FailedSignIns": {"name": FITTED, "address": OURS},
    "accounts.ConsoleSession": {**dict.fromkeys(("digest", "name", "address", "sign_on"), OURS), "device": FITTED},
    "accounts.SignOnProvider": {
        **dict.fromkeys(("name", "issuer", "client_id", "scopes", "username_claim", "groups_claim"), FORM),
        **dict.fromkeys(("group_roles", "factor_values"), FORM),
        **dict.fromkeys(("id", "unmatched_role"), CHECKED),
    },
    # A token with a longer subject, or one that is no text, is refused (tests/attacks/test_company_sign_on.py).
    "accounts.SignOnIdentity": {"issuer": (SignOnProvider, "issuer"), "subject": CHECKED},
    "accounts.DualLoginPolicy": dict.fromkeys(("id", "roles", "actions", "second_roles", "minutes"), CHECKED),
    "accounts.Passkey": {"name": FORM, "digest": OURS, "domain": OURS},
    "accounts.UsedChallenge": {"digest": OURS},
    "accounts.RecoveryCode": {"digest": OURS},
    "accounts.FactorFailure": {"address": OURS},
    "accounts.KnownDevice": {"address": OURS, "device": (ConsoleSession, "device")},
    "ui.Preference": {"name": OURS, "value": OURS},
    "ui.SavedView": {"table": OURS, "name": FORM, "address": FITTED, "layout": OURS},
    "logging_reports.Notice": dict.fromkeys(("key", "event", "url"), OURS),
    "logging_reports.Channel": {
        **dict.fromkeys(("name", "url", "recipients"), FORM),
        **dict.fromkeys(("salt", "key_check", "rules"), OURS),
    },
    "logging_reports.Delivery": {"last_answer": FITTED},
    "logging_reports.ForwardingDestination": {
        **dict.fromkeys(("name", "host", "path", "events"), FORM),
        **dict.fromkeys(("token", "seal", "services"), OURS),
        **dict.fromkeys(("last_error", "test_result"), FITTED),
    },
    "logging_reports.Reminder": {"key": OURS},
    "logging_reports.LogEntry": {
        **dict.fromkeys(("actor_name", "credential", "vault", "group"), FITTED),
        **dict.fromkeys(("key", "version", "provider_request_id", "data"), FITTED),
        **dict.fromkeys(("credential_id", "group_id", "key_id"), OURS),
        **dict.fromkeys(("event", "actor_trigger", "job_code", "previous_hash", "hash"), OURS),
    },
    "logging_reports.LogHead": {"hash": OURS},
    "logging_reports.LogCheckpoint": {"hash": OURS},
    "logging_reports.CheckpointTimeStamp": {"authority": FITTED, "policy": FITTED},
    "logging_reports.TimeStampOutage": {"last_error": FITTED},
    "logging_reports.LogExport": {
        **dict.fromkeys(("requested_by", "cancel_requested_by"), USERNAME),
        **dict.fromkeys(("wanted", "trigger", "file_name", "sha256"), OURS),
    },
    "logging_reports.SavedFilter": {"name": FORM, "owner_name": USERNAME},
    "hsm.HsmDevice": {
        **dict.fromkeys(("serial", "label", "manufacturer", "model", "firmware"), DEVICE),
        **dict.fromkeys(("mfk_kcv", "pmk_kcv", "sentinel_hash", "availability", "mechanisms", "self_test"), OURS),
    },
    "hsm.WorkerSighting": {"host": FITTED, "state": OURS, "version": OURS},
    "cloudcreds.CloudCredential": {
        **dict.fromkeys(("name", "tenant_id", "client_id", "secret_id", "authority_url", "arm_url"), FORM),
        "last_test": FITTED,
        **dict.fromkeys(("save_signer", "sealed_for"), OURS),
    },
    "cloudcreds.SignInCertificate": dict.fromkeys(("thumbprint", "thumbprint_sha256", "sealed_for"), OURS),
    "cloudcreds.KeyVault": {
        **dict.fromkeys(("name", "url", "recovery_level", "recoverable_days", "last_test", "policies"), FITTED),
        **dict.fromkeys(("kek_bits", "kek_days"), FITTED),
        **dict.fromkeys(("recent_changes", "save_signer"), OURS),
    },
    "cloudcreds.VaultConfiguration": {"private_endpoints": FITTED},
    "keygroups.KeyGroup": {
        **dict.fromkeys(("name", "azure_name", "owner", "tags"), FORM),
        **dict.fromkeys(("usage", "adopted_versions", "save_signer"), OURS),
        "current_version": KEY_ID,
    },
    "keygroups.Key": {"name": CHECKED, "thumbprint": OURS, "created_by": USERNAME},
    "keygroups.CloudVersion": {
        "azure_name": (KeyGroup, "azure_name"),
        **dict.fromkeys(("azure_version", "kid"), KEY_ID),
        **dict.fromkeys(("operations", "tags"), OURS),
    },
    "keygroups.Observation": {
        **dict.fromkeys(("azure_version", "kid"), KEY_ID),
        **dict.fromkeys(("operations", "tags"), FITTED),
        "flags": OURS,
    },
    "keygroups.KeyReading": dict.fromkeys(("rotation", "platforms"), FITTED),
    "jobs.Job": {
        **dict.fromkeys(("code", "kind", "trigger", "params", "idempotency_key", "lease_owner", "error_code"), OURS),
        **dict.fromkeys(("run_notes", "request_signer"), OURS),
        **dict.fromkeys(("actor_name", "cancel_requested_by"), USERNAME),
        **dict.fromkeys(("subject", "waiting_for"), FITTED),
        "device_serial": (HsmDevice, "serial"),
        "azure_lock": OURS,
    },
    "jobs.JobStep": {"name": OURS, "subject": KEY},
    "jobs.Intent": {**dict.fromkeys(("operation", "azure_lock", "thumbprint", "sent_boot_id"), OURS), "kid": KEY_ID},
    "jobs.EphemeralKek": {"name": OURS, "kid": KEY_ID},
    "jobs.ScheduleClock": {"id": OURS},
    "jobs.ClockWitness": {"boot_id": OURS},
    "jobs.ApprovalPolicy": {
        "action": OURS,
        "changed_by": USERNAME,
        **dict.fromkeys(("approvals", "role", "expires_hours", "scope_kind", "scope_value"), OURS),
    },
    "jobs.ApprovalRequest": {
        # The length and the characters of the field that asks for it (``ask_for_reason``); the service cuts it.
        "reason": CHECKED,
        "plan": FITTED,
        **dict.fromkeys(("digest", "requirements", "signer"), OURS),
    },
    "jobs.ApprovalDecision": {"reason": FORM, "user_name": USERNAME, "proof": OURS},  # Made of a checked answer.
    "jobs.BreakGlassReview": {"comment": FORM, "user_name": USERNAME},
    "jobs.Certification": {
        **dict.fromkeys(("code", "idempotency_key", "left_behind", "request_signer"), OURS),
        "vault_name": (KeyVault, "name"),
        "actor_name": USERNAME,
    },
    "jobs.CertificationStep": dict.fromkeys(("ordinal", "name", "evidence"), OURS),
    "dashboard.Acknowledgement": {
        **dict.fromkeys(("matter", "subject", "state"), OURS),
        "label": FITTED,
        "reason": FORM,
        "acknowledged_by": USERNAME,
    },
    "operations.StoredOption": {"name": OURS, "changed_by": USERNAME},
}
# Texts have a length, JSON no NUL; of numbers only small ones are told from outside.
KINDS = (models.CharField, models.JSONField, models.SmallIntegerField, models.PositiveSmallIntegerField)
# Counted or chosen here.
COUNTED = {"logging_reports.LogEntry": {"chain_format"}, "logging_reports.Delivery": {"attempts"}}


def test_every_column_is_listed():
    found = {
        model._meta.label: names
        for app in APPS
        for model in apps.get_app_config(app).get_models()
        if (
            names := {
                field.name
                for field in model._meta.concrete_fields
                if isinstance(field, KINDS) and not field.choices and not field.is_relation
            }
            - COUNTED.get(model._meta.label, set())
        )
    }
    assert found == {label: set(columns) for label, columns in COLUMNS.items()}


def test_a_column_that_copies_another_is_as_long():
    for label, columns in COLUMNS.items():
        for name, source in columns.items():
            if isinstance(source, tuple):
                assert (max_length(apps.get_model(label), name) or 0) >= (max_length(*source) or 0), (label, name)


def test_what_a_form_says_of_a_column_stands_in_its_limits():
    limited = {limit for texts in TEXTS.values() for limit in texts.values() if isinstance(limit, tuple)}
    for label, columns in COLUMNS.items():
        for name, source in columns.items():
            model = apps.get_model(label)
            if source == FORM and not isinstance(model._meta.get_field(name), models.JSONField):
                assert (model, name) in limited, (label, name)


def test_a_key_id_fits_its_columns():
    longest = "https://" + "v" * 255 + "/keys/" + "k" * 127 + "/" + "f" * 64
    assert vault_documents.KEY_ID.fullmatch(longest)
    assert len(longest) <= min(max_length(model, "kid") or 0 for model in (CloudVersion, Observation))
    azure_lock = (max_length(KeyVault, "url") or 0) + 1 + (max_length(KeyGroup, "azure_name") or 0)
    assert azure_lock <= (max_length(Job, "azure_lock") or 0)
    assert (max_length(Certification, "code") or 0) >= 6


@pytest.mark.parametrize(
    "kid",
    [
        "https://v.vault.azure.net/keys/a\0b/1",
        "https://v.vault.azure.net/keys/" + "k" * 128,
        "https://v.vault.azure.net/keys/k/" + "f" * 65,
        "https://v.vault.azure.net/keys/k/1?x=" + "y" * 600,
        "https://v.vault.azure.net/secrets/k/1",
    ],
)
def test_no_answer_with_an_id_that_no_key_has_is_believed(kid):
    attributes = {"enabled": True, "created": 1_700_000_000}
    name = kid.split("/")[4]
    asked = vault_documents.Asked("v.vault.azure.net:443", f"/keys/{name}", name)
    assert not vault_documents.is_list_of_keys({"value": [{"kid": kid}]}, asked)
    assert not vault_documents.is_key({"key": {"kid": kid, "kty": "RSA-HSM"}, "attributes": attributes}, asked)


# --- SQLite refuses what PostgreSQL refuses ------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 129},
        {"name": "a\0b"},
        {"notes": "a\0b"},
        {"tags": {"a": "b\0"}},
        {"tags": {"\0": ""}},
        {"rotate_every": 2**31},
    ],
)
def test_no_database_keeps_what_its_columns_can_not(changes):
    group = make_group(make_vault(make_credential()))
    with pytest.raises(DataError), transaction.atomic():
        KeyGroup.objects.filter(pk=group.pk).update(**changes)
    KeyGroup.objects.filter(pk=group.pk).update(tags={"a": "\\u0000", "b": "\\\\"})


def test_no_database_is_asked_for_a_nul_character():
    with pytest.raises(DataError), transaction.atomic():
        list(KeyGroup.objects.filter(name__icontains="a\0b"))


# --- What comes from outside ---------------------------------------------------------------------
class Told:
    """What the SDK tells of a key, as far as ``convert`` reads it."""

    def __init__(self, **told):
        self.__dict__.update(told)

    def __getattr__(self, name):
        return None


def test_what_a_vault_tells_of_a_version_can_be_stored():
    told = Told(id="https://v/keys/k/1", tags={ODD: ODD, "n": 3}, hsm_platform=ODD, recoverable_days=10**9)
    seen = convert.version(told)
    group = make_group(make_vault(make_credential()))
    key = convert.key(Told(id="i", name="n", key=Told(), properties=told, key_operations=[ODD]))
    row = Observation.objects.create(
        group=group, azure_version="1", seen_at=datetime.now(UTC), tags=seen.tags, operations=list(key.key_ops)
    )
    row.refresh_from_db()
    assert row.tags["n"] == "3"
    assert "\0" not in str(row.tags) + seen.hsm_platform
    assert key.recoverable_days is None


def test_what_the_management_service_tells_of_a_vault_can_be_stored():
    policies = [PolicyAssignment(Rule.MINIMUM_DAYS, "t", denies=True, value=policy_assignments.MAX_NUMBER)]
    setup = VaultSetup("roles", public_access=True, firewall=False, private_endpoints=1000, policies=tuple(policies))
    info = VaultInfo(ODD, "https://v.vault.azure.net", ODD, True, days_of(10**9), False, setup)
    vault = vaults.record_listed(make_credential(), info)
    vault.refresh_from_db()
    assert (len(vault.name), vault.recoverable_days, vault.kek_days) == (64, 90, policy_assignments.MAX_NUMBER + 1)


@pytest.mark.parametrize("value", [10**30, "9" * 400, -5, float("inf"), float("nan"), None, [], "x"])
def test_a_number_of_a_policy_is_one_or_none(value):
    row = {
        "scope": "/subscriptions/s",
        "displayName": ODD,
        "policyDefinitionId": "/x/5ff38825-c5d8-47c5-b70e-069a21955146",
        "parameters": {"minimumDaysBeforeExpiration": {"value": value}},
    }
    (found,) = policy_assignments.on_vault([{"properties": row}], "/subscriptions/s/vaults/v")
    assert found.value is None or 0 <= found.value <= policy_assignments.MAX_NUMBER
    assert "\0" not in found.title


@pytest.mark.parametrize("told", [10**9, -1, "90", True, 1.5, None])
def test_a_retention_period_is_a_number_of_days_or_none(told):
    assert days_of(told) is None
    assert days_of(7) == 7


def test_what_a_connection_test_found_can_be_stored():
    credential = make_credential()
    vault = make_vault(credential)
    facts = {"recovery_level": ODD, "recoverable_days": 90}
    vaults.record_test(credential, vault, [ProbeResult("n", True, ODD, facts=facts)], ok=True)
    kek = KekPublicKey("i", "n", "1", 1, 1, ODD, None)
    vaults.record_shown_by_kek(vault.pk, kek, seen_at=datetime.now(UTC))
    vault.refresh_from_db()
    assert len(vault.recovery_level) == 64
    assert CloudCredential.objects.get(pk=credential.pk).last_test[0]["name"] == "n"


def test_foreign_data_is_stored_as_plain_json():
    assert storable_json({ODD: (float("nan"), float("-inf"), 1.5, None, True)}) == {
        ODD.replace("\0", "\ufffd").replace("\ud800", "\ufffd"): ["nan", "-inf", 1.5, None, True]
    }


def test_a_log_row_takes_any_text():
    subject = Subject(**{name: ODD for name in Subject.__dataclass_fields__ if not name.endswith("_id")})
    actor = Actor(ODD, Trigger.USER, 1)
    record(
        "job.failed",
        actor=actor,
        message=ODD,
        subject=subject,
        provider_request_id=ODD,
        data={ODD: {"a": [ODD, float("nan")]}},
    )
    assert LogEntry.objects.count() == 1


def test_a_name_that_no_user_has_is_logged_shortened():
    sign_in_limits.log_refusal(name=ODD.replace("\ud800", ""), address="")
    assert len(FailedSignIns.objects.get().name) <= 64


def test_what_a_time_stamping_authority_says_can_be_stored():
    checkpoint = LogCheckpoint.objects.create(
        number=1, at=datetime.now(UTC), text="-", signature=b"-", public_key=b"-", hash="0" * 64
    )
    assert time_stamp_requests._claim()
    row = time_stamp_requests._store(checkpoint, b"-", TimeStamp(datetime.now(UTC), "1." * 200, ODD))
    row.refresh_from_db()
    assert (len(row.policy), len(row.authority)) == (128, 255)
    time_stamp_requests._write_failure(ODD + "\r\n")
    assert "\n" not in TimeStampOutage.objects.get().last_error


def test_what_a_receiver_of_log_rows_says_can_be_stored():
    destination = ForwardingDestination.objects.create(
        name="n", host="h", port=1, run_number=1, test_requested_at=datetime.now(UTC)
    )
    outages.write_failure(destination, KmesError(ODD + "\r\n"))
    outages.write_test(destination, KmesError(ODD), "")
    destination.refresh_from_db()
    assert (len(destination.last_error), len(destination.test_result)) == (500, 500)
    assert "\n" not in destination.last_error


def test_names_of_hosts_and_pages_are_cut(django_user_model):
    record_worker(host="h" * 500, state="ok")
    assert len(WorkerSighting.objects.get().host) == 128
    user = django_user_model.objects.create_user("ada", role="admin")
    kept = {"layout": {}, "is_shared": False, "name": "n", "table": "jobs"}
    view = saved_views.save_view(user=user, address="/jobs/?q=" + "x" * 5000, **kept)
    assert len(view.address) <= 2000
    assert make_key(make_group(make_vault(make_credential())))
