"""Credentials are created, changed and deleted: sealed at once, no edit lost, none deleted that a group uses."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection

from cloudcreds import services
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.values import CredentialChangedError
from kmes.core.actor import Actor
from kmes.core.errors import ConflictError, DeviceError, InputError, PermissionRefused
from logging_reports.models import LogEntry
from tests.cloudcreds.builders import OTHER, SECRET, TENANT, make_group, open_sealed, values

pytestmark = pytest.mark.django_db


def events() -> list[str]:
    """The events about credentials, but for the signatures of their destinations."""
    rows = LogEntry.objects.filter(event__startswith="credential.").exclude(event="credential.destination_saved")
    return list(rows.order_by("sequence").values_list("event", flat=True))


def every_text_in_the_database() -> str:
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - our own table names
            found += [
                bytes(cell).decode("latin-1") if isinstance(cell, bytes | memoryview) else str(cell)
                for row in cursor.fetchall()
                for cell in row
            ]
    return "\n".join(found)


def test_the_secret_is_nowhere_in_the_database_and_opens_with_the_mfk_only(credential, mfk) -> None:
    assert SECRET not in every_text_in_the_database()
    assert open_sealed(credential, mfk) == SECRET
    assert events() == ["credential.created"]


def test_a_sealed_secret_moved_to_another_row_does_not_open(credential, mfk, admin) -> None:
    other = services.create_credential(values=values(name="Other", secret="another-secret"), actor=admin)
    other.sealed_secret = credential.sealed_secret
    with pytest.raises(DeviceError):
        open_sealed(other, mfk)


def test_a_secret_pasted_with_a_line_end_is_stored_without_it(device_row, mfk, admin) -> None:
    made = services.create_credential(values=values(secret=f"\n  {SECRET}\r\n"), actor=admin)
    assert open_sealed(made, mfk) == SECRET


def test_without_a_designated_device_nothing_is_stored(people) -> None:
    with pytest.raises(DeviceError):
        services.create_credential(values=values(secret=SECRET), actor=Actor.from_user(people["admin"]))
    assert not CloudCredential.objects.exists()


def test_a_new_credential_needs_a_secret(device_row, admin) -> None:
    with pytest.raises(InputError) as caught:
        services.create_credential(values=values(), actor=admin)
    assert caught.value.field == "secret"


@pytest.mark.parametrize("name", ["Contoso", "CONTOSO", "  contoso "])
def test_a_name_can_be_taken_once_whatever_its_case(credential, admin, name: str) -> None:
    with pytest.raises(InputError, match="exists already") as caught:
        services.create_credential(values=values(name=name, secret=SECRET), actor=admin)
    assert caught.value.field == "name"


def test_an_update_without_a_secret_keeps_the_stored_one(credential, admin, mfk) -> None:
    changed = services.update_credential(
        credential=credential,
        values=values(name="Contoso 2", sign_in_expires_on=date(2030, 1, 2)),
        lock_version=1,
        actor=admin,
    )
    assert (changed.name, changed.lock_version) == ("Contoso 2", 2)
    assert open_sealed(changed, mfk) == SECRET
    assert events() == ["credential.created", "credential.updated"]


def test_a_new_secret_is_an_event_of_its_own_and_shows_nowhere(credential, admin, mfk) -> None:
    changed = services.update_credential(
        credential=credential, values=values(secret="brand-new-secret-77"), lock_version=1, actor=admin
    )
    assert open_sealed(changed, mfk) == "brand-new-secret-77"
    assert events() == ["credential.created", "credential.secret_changed"]
    assert "brand-new-secret-77" not in every_text_in_the_database()


def test_saving_without_a_change_writes_nothing(credential, admin) -> None:
    same = services.update_credential(credential=credential, values=values(), lock_version=1, actor=admin)
    assert same.lock_version == 1
    assert events() == ["credential.created"]


def test_the_second_editor_overwrites_nothing_and_is_shown_what_differs(credential, admin) -> None:
    services.update_credential(credential=credential, values=values(tenant_id=OTHER), lock_version=1, actor=admin)
    with pytest.raises(CredentialChangedError) as caught:
        services.update_credential(credential=credential, values=values(name="Mine"), lock_version=1, actor=admin)
    assert {(each.label, each.stored, each.yours) for each in caught.value.differences} == {
        ("Name", "Contoso", "Mine"),
        ("Tenant ID", OTHER, TENANT),
    }
    credential.refresh_from_db()
    assert (credential.name, credential.tenant_id, credential.lock_version) == ("Contoso", OTHER, 2)


def test_a_changed_identity_makes_the_last_test_void(credential, admin) -> None:
    CloudCredential.objects.update(last_test_ok=True, last_test=[{"name": "Get"}])
    renamed = services.update_credential(credential=credential, values=values(name="B"), lock_version=1, actor=admin)
    assert renamed.last_test_ok is True
    moved = services.update_credential(
        credential=credential, values=values(name="B", tenant_id=OTHER), lock_version=2, actor=admin
    )
    assert (moved.last_test_ok, moved.last_test, moved.last_tested_at) == (None, [], None)


def test_a_stored_secret_can_not_be_redirected_to_another_place(credential, admin) -> None:
    with pytest.raises(InputError) as caught:
        services.update_credential(credential=credential, values=values(cloud="china"), lock_version=1, actor=admin)
    assert caught.value.field == "secret"


def test_the_cloud_stays_while_groups_push_through_it(credential, admin) -> None:
    make_group(credential)
    with pytest.raises(InputError, match="payments") as caught:
        services.update_credential(
            credential=credential, values=values(cloud="china", secret=SECRET), lock_version=1, actor=admin
        )
    assert caught.value.field == "cloud"


def test_a_credential_in_use_is_not_deleted_and_the_groups_are_named(credential, admin) -> None:
    make_group(credential, "payments")
    make_group(credential, "archive")
    with pytest.raises(ConflictError, match="archive, payments"):
        services.delete_credential(credential=credential, actor=admin)
    assert CloudCredential.objects.count() == 1


def test_a_free_credential_goes_with_its_vaults_and_leaves_a_log_row(credential, admin) -> None:
    KeyVault.objects.create(credential=credential, name="kv", url="https://kv-one.vault.azure.net")
    services.delete_credential(credential=credential, actor=admin)
    assert not CloudCredential.objects.exists()
    assert not KeyVault.objects.exists()
    assert events()[-1] == "credential.deleted"
    with pytest.raises(ConflictError):
        services.delete_credential(credential=credential, actor=admin)


@pytest.mark.parametrize("role", ["custodian", "operator", "auditor"])
def test_who_may_not_manage_credentials_changes_nothing(credential, people, role: str) -> None:
    actor = Actor.from_user(people[role])
    with pytest.raises(PermissionRefused):
        services.create_credential(values=values(name="X", secret=SECRET), actor=actor)
    with pytest.raises(PermissionRefused):
        services.update_credential(credential=credential, values=values(name="X"), lock_version=1, actor=actor)
    with pytest.raises(PermissionRefused):
        services.delete_credential(credential=credential, actor=actor)
    assert list(CloudCredential.objects.values_list("name", flat=True)) == ["Contoso"]
