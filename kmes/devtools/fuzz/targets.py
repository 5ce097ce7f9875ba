"""One row at least of each kind that an address speaks of, and the values of each argument of an address.

Rows are written without services; nothing here can act, and the credential points to a name that can't exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth import get_user_model
from django.db import transaction

from cloudcreds.models import CloudCredential, KeyVault, SignInCertificate
from hsm.models import HsmDevice, WorkerSighting
from jobs.approvals.models import ApprovalPolicy, ApprovalRequest
from jobs.certifications.models import Certification, CertificationStep
from jobs.choices import CertificationState, JobState
from jobs.engine.approval_policies import actions
from jobs.models import Job, ScheduleClock
from jobs.spec import registry
from keygroups.choices import Drift
from keygroups.models import CloudVersion, Key, KeyGroup, Observation, RotationSlot
from kmes.accounts.models import ConsoleSession, CustomRole, Passkey, RoleAssignment
from kmes.accounts.rights import Role
from kmes.accounts.scopes import ScopeKind
from kmes.accounts.user_selection_views import ACTS
from kmes.core.actor import SYSTEM
from kmes.core.clock import now
from kmes.core.pinned_keys import KeyUse, pin
from kmes.core.public_keys import fingerprint
from kmes.dashboard.attention.matters import MATTERS
from kmes.devtools import trial_data, trial_log
from kmes.ui.models import SavedView
from kmes.ui.tables import ConsoleTable
from kmes.ui.views import BACKGROUNDS
from logging_reports.choices import ExportState, Service
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import LogCheckpoint, LogExport, SavedFilter
from logging_reports.notices.choices import ChannelKind
from logging_reports.notices.models import Channel, Notice
from logging_reports.reports.registry import reports_for
from logging_reports.services import record

ROLES = tuple(Role.values)
# The values of each argument of the console's addresses, by its name.
ARGUMENTS: dict[str, Callable[[], Iterable[Any]]] = {
    "act": lambda: list(ACTS),
    "action": lambda: [action for action, _label in actions()],
    # 0 is none: a row that no worker signed would make each policy of its action strange.
    "policy_id": lambda: [0, *ApprovalPolicy.objects.exclude(scope_kind="").values_list("pk", flat=True)],
    "certificate_id": lambda: SignInCertificate.objects.values_list("pk", flat=True),
    "assignment_id": lambda: RoleAssignment.objects.values_list("pk", flat=True),
    "channel_id": lambda: Channel.objects.filter(user_id=None).values_list("pk", flat=True),
    "code": lambda: [
        *Job.objects.order_by("created_at").values_list("code", flat=True),
        *Certification.objects.values_list("code", flat=True),
    ],
    "credential_id": lambda: CloudCredential.objects.values_list("pk", flat=True),
    "destination_id": lambda: ForwardingDestination.objects.values_list("pk", flat=True),
    "device_id": lambda: HsmDevice.objects.values_list("pk", flat=True),
    "export_id": lambda: LogExport.objects.values_list("pk", flat=True),
    "filter_id": lambda: SavedFilter.objects.values_list("pk", flat=True),
    "group_id": lambda: KeyGroup.objects.order_by("name").values_list("pk", flat=True),
    "key_id": lambda: Key.objects.order_by("name").values_list("pk", flat=True),
    "kind": lambda: [*(spec.kind for spec in registry), *ChannelKind.values, *ScopeKind.values],
    "matter": lambda: sorted(MATTERS),
    "name": lambda: [*_report_names(), *_table_names()],
    "notice_id": lambda: Notice.objects.values_list("pk", flat=True),
    "number": lambda: (1, 2, 3, 4, 5),
    "observation_id": lambda: Observation.objects.values_list("pk", flat=True),
    "passkey_id": lambda: Passkey.objects.values_list("pk", flat=True),
    "role": lambda: [*ROLES, *CustomRole.objects.values_list("code", flat=True)],
    "sequence": lambda: (1, 2, 7),
    "service": lambda: Service.values,
    "session": lambda: ConsoleSession.objects.values_list("name", flat=True),
    "target": lambda: sorted(BACKGROUNDS),
    "user_id": lambda: get_user_model().objects.values_list("pk", flat=True),
    "vault_id": lambda: KeyVault.objects.order_by("name").values_list("pk", flat=True),
}


def _report_names() -> list[str]:
    admin = get_user_model().objects.filter(role=Role.ADMIN).first()
    return sorted(report.name for report in reports_for(admin))


def _table_names() -> list[str]:
    found, unseen = set(), [ConsoleTable]
    while unseen:
        table = unseen.pop()
        unseen += table.__subclasses__()
        found.add(table.saved_as)
    return sorted(found - {""})


# Parameters that name a row, by the argument that names the same.
PARAMETERS = {
    "group": "group_id",
    "picked": "group_id",
    "key": "key_id",
    "inspect": "key_id",
    "credential": "credential_id",
    "vault": "vault_id",
    "job": "code",
    "observation": "observation_id",
    "service": "service",
    "filter": "filter_id",
    "kind": "kind",
}


def write_rows() -> dict[str, Any]:
    """Write the rows in one transaction; return a user of each role, by role."""
    with transaction.atomic():
        people = {role: get_user_model().objects.create_user(f"fuzz-{role}", role=role) for role in ROLES}
        get_user_model().objects.create_user("fuzz-former", role=Role.AUDITOR, is_active=False)
        seeded = trial_data.write_rows(groups=3, keys=6)
        for service, count in trial_log.split(60).items():
            list(trial_log.write_rows(service, seeded, count))
        _write_cloud_rows()
        _write_job_rows()
        _write_log_rows(people[Role.ADMIN])
        _write_passkeys(people)
        rights = ["console.read", "key.rotate"]
        CustomRole.objects.create(code="role-fuzz", name="Rotator", rights=rights, changed_at=now())
        scope = {"scope_kind": ScopeKind.TAG, "scope_value": "team=payments", "given_at": now(), "given_by": "fuzz"}
        RoleAssignment.objects.create(user=people[Role.AUDITOR], role="role-fuzz", **scope)
        record("data.seeded", actor=SYSTEM, message="Trial data written")
    return people


def _write_passkeys(people: Mapping[str, Any]) -> None:
    about = {"domain": "testserver", "sign_count": 0, "is_synced": False, "added_at": now()}
    for role in (Role.ADMIN, Role.CUSTODIAN):
        sealed = {"digest": role[0] * 64, "sealed_credential": b"-", "handle": b"-"}
        Passkey.objects.create(user=people[role], name="key", **sealed, **about)


def _write_cloud_rows() -> None:
    mfk = rsa.generate_private_key(65537, 2048).public_key()
    spki = mfk.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin({KeyUse.MFK: fingerprint(spki)})
    common = {"label": "KMES", "manufacturer": "fuzz", "model": "fuzz", "firmware": "1", "mfk_public_spki": spki}
    kcv = {"mfk_kcv": "000000", "pmk_kcv": "000000", "sentinel_hash": "0" * 64, "last_seen_at": now()}
    device = HsmDevice.objects.create(serial="F1", is_designated=True, **common, **kcv)
    HsmDevice.objects.create(serial="F2", **common, **kcv)
    WorkerSighting.objects.create(host="fuzz", device=device, state="ok", version="1", seen_at=now())
    credential = CloudCredential.objects.get(name=trial_data.NAME)
    times = {"not_before": now(), "not_after": now() + timedelta(days=90)}
    certificate = {"pem": "-", "thumbprint": "A" * 40, "thumbprint_sha256": "0" * 64, "wrapped_key": trial_data.NO_KEY}
    SignInCertificate.objects.create(credential=credential, is_in_use=False, **certificate, **times)
    for version in CloudVersion.objects.select_related("group")[:2]:
        seen = {"kid": version.kid, "seen_at": now(), "enabled": True, "created_on": now()}
        Observation.objects.create(
            group=version.group, version=version, azure_version=version.azure_version, flags=[Drift.ENABLED], **seen
        )
        Observation.objects.create(
            group=version.group, azure_version=version.azure_version[::-1], flags=[Drift.UNKNOWN], **seen
        )


def _write_job_rows() -> None:
    group = KeyGroup.objects.select_related("vault").order_by("name").last()
    assert group is not None
    about = {"group": group, "credential_id": group.credential_id, "vault": group.vault, "subject": group.name}
    asked = {"kind": "synchronize", "actor_name": "fuzz", "trigger": "user", "run_after": now()}
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.CANCELLED):
        Job.objects.create(state=state, error_what="Made up.", **about, **asked)
    waiting = Job.objects.create(
        state=JobState.AWAITING, **about, **{**asked, "kind": "cloud_delete", "params": {"versions": []}}
    )
    times = {"requested_at": now(), "expires_at": now() + timedelta(days=1)}
    needed = [{"action": "cloud_delete", "number": 1, "approvals": 1, "role": "admin", "expires_hours": 24}]
    ApprovalRequest.objects.create(
        job=waiting,
        plan={"title": "Made up"},
        digest="0" * 64,
        requirements=needed,
        signer="web",
        signature=b"-",
        **times,
    )
    params = {"each": "rotate", "group_ids": [str(group.pk)]}
    whole = Job.objects.create(
        **asked | {"kind": "many_groups"}, subject="1 key group", state=JobState.FAILED, params=params
    )
    Job.objects.create(state=JobState.FAILED, part_of=whole, error_what="Made up.", **about, **asked)
    RotationSlot.objects.create(group=group, due_at=now() - timedelta(hours=1), next_try_at=now())
    ScheduleClock.objects.get_or_create(pk=1)
    run = Certification.objects.create(
        vault=group.vault,
        vault_name=group.vault.name,
        group=group,
        key_spec=group.key_spec,
        actor_name="fuzz",
        state=CertificationState.PASSED,
        finished_at=now(),
        report="{}",
        signature=b"-",
        signer_spki=bytes(Key.objects.filter(group=group)[0].public_spki),
    )
    CertificationStep.objects.create(certification=run, ordinal=1, name="push")


def _write_log_rows(admin: Any) -> None:
    asked = {"format": "csv", "up_to": 10, "requested_by": admin.username, "trigger": "user", "created_at": now()}
    for state in (ExportState.QUEUED, ExportState.READY, ExportState.FAILED):
        LogExport.objects.create(service=Service.AUDIT, state=state, requested_by_id=admin.pk, **asked)
    owner = {"owner_id": admin.pk, "owner_name": admin.username, "created_at": now()}
    SavedFilter.objects.create(name="mine", query="severity=error", is_shared=True, **owner)
    SavedView.objects.create(table="jobs", name="mine", address="/jobs/?show=failed", owner=admin, is_shared=True)
    Channel.objects.create(
        kind=ChannelKind.WEBHOOK, name="hook", url="https://hook.invalid/", rules={"jobs": "warning"}
    )
    destination = ForwardingDestination.objects.create(
        name="siem", transport="syslog", row_format="rfc5424", host="siem.invalid", port=6514, services=["audit"]
    )
    destination.positions.create(service=Service.AUDIT)
    Channel.objects.create(kind=ChannelKind.MAIL, name="mail", recipients=["a@fuzz.invalid"])
    about = {"event": "job.failed", "message": "Made up", "service": Service.AUDIT, "sequence": 1, "url": "/jobs/"}
    Notice.objects.create(key="fuzz", topic="jobs", severity="warning", at=now(), **about)
    LogCheckpoint.objects.create(number=1, at=now(), text="-", signature=b"-", public_key=b"-", hash="0" * 64)
