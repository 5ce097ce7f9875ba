"""Every state has one module that writes it, so that its moves are read in one place. So has what a signature covers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.repository import modules, tree
from tests.rules.writes import Write, find_writes, models

# Model and field -> the module, or the folder, that alone may write it.
OWNERS = {
    ("KeyVault", "tier"): "cloudcreds/vaults.py",
    ("KeyVault", "recovery_level"): "cloudcreds/vaults.py",
    ("KeyVault", "recent_changes"): "cloudcreds/rate_limit.py",
    ("Key", "state"): "keygroups/lifecycle.py",
    ("CloudVersion", "state"): "keygroups/lifecycle.py",
    ("CloudVersion", "enabled"): "keygroups/lifecycle.py",
    ("CloudVersion", "ordinal"): "keygroups/lifecycle.py",
    ("CloudVersion", "wanted_enabled"): "keygroups/lifecycle.py",
    ("CloudVersion", "differs"): "keygroups/lifecycle.py",
    ("KeyGroup", "current_version"): "keygroups/lifecycle.py",
    ("KeyGroup", "cloud_state"): "keygroups/lifecycle.py",
    ("KeyGroup", "rotation_anchor_at"): "keygroups/lifecycle.py",
    ("KeyGroup", "next_due_at"): "keygroups/lifecycle.py",
    ("KeyGroup", "last_rotated_at"): "keygroups/lifecycle.py",
    ("Observation", "enabled"): "keygroups/drift.py",
    ("RotationSlot", "state"): "keygroups/rotation_slots.py",
    ("Job", "state"): "jobs/engine/lifecycle.py",
    ("Job", "fence"): "jobs/engine/lifecycle.py",
    # A signature covers them from the moment of the request on.
    ("Job", "params"): "jobs/engine/creation.py",
    ("Job", "request_signature"): "jobs/engine/signatures.py",
    ("JobTarget", "request_signature"): "jobs/engine/signatures.py",
    ("ApprovalPolicy", "signature"): "jobs/engine/approval_policies.py",
    ("ApprovalRequest", "signature"): "jobs/engine/approval_requests.py",
    ("ApprovalDecision", "signature"): "jobs/engine/approval_requests.py",
    ("BreakGlassReview", "signature"): "jobs/engine/break_glass.py",
    ("Certification", "request_signature"): "jobs/certifications/signatures.py",
    ("JobStep", "state"): "jobs/engine/",
    ("JobTarget", "state"): "jobs/engine/",
    ("Intent", "state"): "jobs/journal/intents.py",
    ("EphemeralKek", "state"): "jobs/journal/kek_ledger.py",
    ("Certification", "state"): "jobs/certifications/progress.py",
    ("CertificationStep", "state"): "jobs/certifications/progress.py",
    ("LogExport", "state"): "logging_reports/export_lifecycle.py",
    ("Delivery", "state"): "logging_reports/notices/deliveries.py",
    ("WorkerSighting", "state"): "hsm/services.py",
    ("CustomRole", "rights"): "kmes/accounts/roles/services.py",
    ("Acknowledgement", "state"): "kmes/dashboard/attention/services.py",
}
# Fill a database with made-up rows, which begin in any state.
DEVELOPMENT = "kmes/devtools/"


def guarded_modules() -> list[Path]:
    return [path for path in modules() if path.parts[0] != "azure_emulator" and not str(path).startswith(DEVELOPMENT)]


def is_guarded(write: Write) -> bool:
    return (write.model, write.field) in OWNERS or (not write.model and write.field in {field for _, field in OWNERS})


def may_write(path: Path, write: Write) -> bool:
    """Whether the module owns the field; where the text doesn't tell the model, whether it owns one of that name."""
    owners = [owner for owned, owner in OWNERS.items() if owned[1] == write.field and write.model in {"", owned[0]}]
    return any(str(path).startswith(owner) for owner in owners)


def guarded_writes(path: Path) -> Iterator[Write]:
    return (write for write in find_writes(tree(path)) if is_guarded(write))


def test_a_state_is_written_by_its_owner_alone():
    second = [
        f"{path}:{write.line} writes {write.model or 'some'}.{write.field}"
        for path in guarded_modules()
        for write in guarded_writes(path)
        if not may_write(path, write)
    ]
    assert second == []


@pytest.mark.parametrize(
    ("owned", "owner"), OWNERS.items(), ids=lambda each: ".".join(each) if type(each) is tuple else ""
)
def test_an_owner_writes_what_it_owns(owned, owner):
    writes = {
        (write.model, write.field)
        for path in guarded_modules()
        if str(path).startswith(owner)
        for write in guarded_writes(path)
    }
    assert owned in writes or ("", owned[1]) in writes


def test_every_state_of_a_model_has_an_owner():
    states = {(model, field) for model, fields in models().items() for field in fields if field.endswith("state")}
    assert states - set(OWNERS) == set()


@pytest.mark.parametrize(
    "text",
    [
        "CloudVersion.objects.filter(pk=1).exclude(pk=2).update(state='active')",
        "CloudVersion.objects.create(key=key, state='active')",
        "CloudVersion.objects.update_or_create(pk=1, defaults={'state': 'active'})",
        "CloudVersion.objects.bulk_create([CloudVersion(state='active')])",
        "CloudVersion.objects.bulk_update(rows, ['kid', 'state'])",
        "group.cloud_versions.filter(pk=1).update(state='active')",
        "rows = CloudVersion.objects.all()\nrows.filter(pk=1).update(state='active')",
        "values = {'state': 'active'}\nCloudVersion.objects.update(**values)",
        "values = {}\nvalues['state'] = 'active'\nCloudVersion.objects.update(**values)",
        "def move(version: CloudVersion | None):\n    version.state = 'active'",
        "def move(version: CloudVersion):\n    version.kid, version.state = '', 'active'",
        "def move(version: CloudVersion):\n    setattr(version, 'state', 'active')",
    ],
)
def test_a_write_is_found_however_it_is_put(text):
    assert Write(text.count("\n") + 1, "CloudVersion", "state") in set(find_writes(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    ["CloudVersion.objects.filter(state='active').update(kid='')", "Q(state='active')", "version.state == 'active'"],
)
def test_a_read_is_none(text):
    assert "state" not in {write.field for write in find_writes(ast.parse(text))}


def test_a_row_of_unknown_kind_counts_against_whoever_writes_it():
    (write,) = find_writes(ast.parse("row.state = 'active'"))
    assert is_guarded(write)
    assert not may_write(Path("keygroups/services.py"), write)
    assert may_write(Path("keygroups/lifecycle.py"), write)
