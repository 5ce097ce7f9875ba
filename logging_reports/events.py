"""The registry of event names: the log, category, default severity and label of each.

A new event is one line here. Rows hold the names: never rename one that has been released. docs/log.md
says what the prefix of a name means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from logging_reports.choices import Category, Service, Severity, Topic

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True)
class Event:
    """A kind of row: its log, category, default severity and label."""

    name: str
    service: Service
    category: Category
    severity: Severity
    label: str | _StrPromise


class UnknownEventError(LookupError):
    """The event name is not registered: a programming error."""


EVENTS: dict[str, Event] = {}
_INFO, _WARNING, _ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


def find_event(name: str) -> Event:
    """Return the registered event.

    Raises:
        UnknownEventError: the name is not registered.

    """
    try:
        return EVENTS[name]
    except KeyError:
        message = f"{name!r} is not registered in logging_reports/events.py"
        raise UnknownEventError(message) from None


def _register(service: Service, *rows: tuple[str, Category, Severity, str | _StrPromise]) -> None:
    for name, category, severity, label in rows:
        if name in EVENTS:
            message = f"event {name!r} is registered twice"
            raise ValueError(message)
        EVENTS[name] = Event(name, service, category, severity, label)


_register(
    Service.AZURE,
    ("azure.token_obtained", Category.AUTHENTICATION, _INFO, _("Token obtained")),
    ("azure.token_failed", Category.AUTHENTICATION, _ERROR, _("Token refused")),
    ("azure.vault_looked_up", Category.VAULT, _INFO, _("Vault looked up")),
    ("azure.vaults_listed", Category.VAULT, _INFO, _("Vaults listed")),
    ("azure.kek_created", Category.KEK, _INFO, _("KEK created")),
    ("azure.kek_public_read", Category.KEK, _INFO, _("KEK public key read")),
    ("azure.kek_deleted", Category.KEK, _INFO, _("KEK deleted")),
    ("azure.kek_purged", Category.KEK, _INFO, _("KEK purged")),
    ("azure.kek_purge_not_needed", Category.KEK, _INFO, _("KEK purge not needed")),
    ("azure.key_wrapped", Category.KEY_WRAP, _INFO, _("Key wrapped")),
    ("azure.key_imported", Category.IMPORT, _INFO, _("Key imported")),
    ("azure.intent", Category.IMPORT, _INFO, _("Change about to be sent")),
    ("azure.import_verified", Category.VERIFICATION, _INFO, _("Import verified")),
    ("azure.key_signed", Category.VERIFICATION, _INFO, _("Signature made in the vault")),
    ("azure.signature_verified", Category.VERIFICATION, _INFO, _("Signature verified here")),
    ("azure.duplicate_version", Category.VERIFICATION, _WARNING, _("Duplicate version found")),
    ("azure.version_updated", Category.VERSION_STATE, _INFO, _("Version updated")),
    ("azure.key_read", Category.VERSION_STATE, _INFO, _("Key read")),
    ("azure.versions_listed", Category.VERSION_STATE, _INFO, _("Versions listed")),
    ("azure.rotation_policy_read", Category.ROTATION, _INFO, _("Rotation policy read")),
    ("azure.rotation_policy_set", Category.ROTATION, _INFO, _("Rotation policy replaced")),
    ("azure.rotate_action_found", Category.ROTATION, _WARNING, _("Rotate action found on a BYOK key")),
    ("azure.rotation_due", Category.ROTATION, _INFO, _("Rotation due")),
    ("azure.rotation_done", Category.ROTATION, _INFO, _("Rotation done")),
    ("azure.rotation_failed", Category.ROTATION, _ERROR, _("Rotation failed")),
    ("azure.rotation_missed", Category.ROTATION, _ERROR, _("Rotation missed")),
    ("azure.key_deleted", Category.DELETION, _INFO, _("Key deleted")),
    ("azure.deleted_key_read", Category.DELETION, _INFO, _("Deleted key read")),
    ("azure.key_recovered", Category.RECOVERY, _INFO, _("Key recovered")),
    ("azure.key_purged", Category.PURGE, _INFO, _("Key purged")),
    ("azure.throttled", Category.THROTTLING, _WARNING, _("Throttled")),
    ("azure.permission_missing", Category.PERMISSION, _ERROR, _("Permission missing")),
    ("azure.probe", Category.PERMISSION, _INFO, _("Permission probed")),
    ("azure.unreachable", Category.CONNECTIVITY, _ERROR, _("Azure unreachable")),
    ("azure.call_failed", Category.CONNECTIVITY, _ERROR, _("Call failed")),
    ("azure.drift_found", Category.DRIFT, _WARNING, _("Drift found")),
    ("azure.name_taken", Category.DRIFT, _WARNING, _("Azure key of another owner found")),
)

_register(
    Service.AUDIT,
    ("access.login", Category.ACCESS, _INFO, _("Signed in")),
    ("access.login_failed", Category.ACCESS, _WARNING, _("Sign-in failed")),
    ("access.logout", Category.ACCESS, _INFO, _("Signed out")),
    ("access.locked", Category.ACCESS, _WARNING, _("Sign-in locked")),
    # The row's actor is who signed in, so its notice goes to that user alone.
    ("access.new_device", Category.ACCESS, _WARNING, _("Sign-in from a new device")),
    ("access.factor_failed", Category.ACCESS, _WARNING, _("Second factor wrong")),
    ("access.factor_locked", Category.ACCESS, _WARNING, _("Second factor locked")),
    ("access.passkey_cloned", Category.ACCESS, _WARNING, _("Passkey used twice: a copy may exist")),
    ("access.recovery_code_used", Category.ACCESS, _WARNING, _("Recovery code used")),
    ("access.break_glass", Category.ACCESS, _ERROR, _("Signed in without company sign-on")),
    ("access.provider_logout", Category.ACCESS, _INFO, _("Signed out by the identity provider")),
    ("access.sign_on_changed", Category.CONFIGURATION, _WARNING, _("Company sign-on changed")),
    ("access.sign_on_tested", Category.CONFIGURATION, _INFO, _("Company sign-on tested")),
    ("access.sign_on_not_genuine", Category.INTEGRITY, _ERROR, _("Company sign-on refused: not as it was saved")),
    ("access.second_signed_in", Category.ACCESS, _INFO, _("Second administrator signed in")),
    ("access.second_refused", Category.ACCESS, _WARNING, _("Second administrator refused")),
    ("access.second_ended", Category.ACCESS, _INFO, _("Sign-in of the second administrator ended")),
    ("access.dual_login_changed", Category.CONFIGURATION, _WARNING, _("Dual login changed")),
    ("access.dual_login_not_genuine", Category.INTEGRITY, _ERROR, _("Dual login: settings not as they were saved")),
    ("access.session_ended", Category.ACCESS, _INFO, _("Session ended")),
    ("access.refused", Category.ACCESS, _WARNING, _("Access refused")),
    ("user.created", Category.ACCESS, _INFO, _("User created")),
    ("user.linked", Category.ACCESS, _WARNING, _("User linked to a company account")),
    ("user.unlinked", Category.ACCESS, _WARNING, _("User unlinked from a company account")),
    ("user.updated", Category.ACCESS, _INFO, _("User updated")),
    ("user.role_given", Category.ACCESS, _WARNING, _("Role given for a scope")),
    ("user.role_taken", Category.ACCESS, _WARNING, _("Role for a scope taken away")),
    ("user.deactivated", Category.ACCESS, _WARNING, _("User deactivated")),
    ("user.reactivated", Category.ACCESS, _WARNING, _("User reactivated")),
    ("user.password_reset", Category.ACCESS, _WARNING, _("Password reset")),
    ("user.password_changed", Category.ACCESS, _INFO, _("Password changed")),
    ("user.factor_added", Category.ACCESS, _INFO, _("Second factor added")),
    ("user.passkey_recorded", Category.ACCESS, _INFO, _("Public key of a passkey recorded")),
    ("user.factor_removed", Category.ACCESS, _WARNING, _("Second factor removed")),
    ("user.factor_reset", Category.ACCESS, _WARNING, _("Second factor reset")),
    ("user.recovery_codes_made", Category.ACCESS, _INFO, _("Recovery codes made")),
    ("role.created", Category.ACCESS, _WARNING, _("Role added")),
    ("role.updated", Category.ACCESS, _WARNING, _("Role changed")),
    ("role.deleted", Category.ACCESS, _WARNING, _("Role deleted")),
    ("user.unlocked", Category.ACCESS, _INFO, _("Sign-in unlocked")),
    ("configuration.changed", Category.CONFIGURATION, _INFO, _("Configuration changed")),
    ("configuration.request_key_made", Category.INTEGRITY, _WARNING, _("Key that signs requests made")),
    ("credential.created", Category.CONFIGURATION, _INFO, _("Cloud credential created")),
    ("credential.updated", Category.CONFIGURATION, _INFO, _("Cloud credential updated")),
    ("credential.destination_saved", Category.CONFIGURATION, _INFO, _("Destination of a cloud credential saved")),
    ("credential.authorized", Category.INTEGRITY, _INFO, _("Destination of a cloud credential marked by the device")),
    ("credential.deleted", Category.CONFIGURATION, _WARNING, _("Cloud credential deleted")),
    ("credential.secret_changed", Category.CONFIGURATION, _INFO, _("Client secret changed")),
    ("credential.certificate_made", Category.CONFIGURATION, _INFO, _("Certificate to sign in with made")),
    ("credential.certificate_changed", Category.CONFIGURATION, _INFO, _("Certificate to sign in with changed")),
    ("group.created", Category.KEYS, _INFO, _("Key group created")),
    ("group.updated", Category.KEYS, _INFO, _("Key group updated")),
    ("group.rotation_moved", Category.KEYS, _INFO, _("Due rotation moved")),
    ("groups.rotation_moved", Category.KEYS, _INFO, _("Due rotations of several key groups moved")),
    ("groups.rotation_changed", Category.KEYS, _INFO, _("Rotation of several key groups changed")),
    ("group.destination_saved", Category.KEYS, _INFO, _("Destination of a key group saved")),
    ("group.authorized", Category.INTEGRITY, _INFO, _("Destination of a key group marked by the device")),
    ("vault.authorized", Category.INTEGRITY, _INFO, _("Key vault marked by the device")),
    ("group.deleted", Category.KEYS, _WARNING, _("Key group deleted")),
    ("group.name_adopted", Category.KEYS, _WARNING, _("Azure key adopted")),
    ("key.created", Category.KEYS, _INFO, _("Key created")),
    ("key.destroyed", Category.KEYS, _WARNING, _("Key destroyed")),
    ("key.version_expiring", Category.KEYS, _WARNING, _("Key version near expiry")),
    ("credential.secret_expiring", Category.CONFIGURATION, _WARNING, _("Client secret near expiry")),
    ("credential.certificate_expiring", Category.CONFIGURATION, _WARNING, _("Certificate to sign in with near expiry")),
    ("key.tags_changed", Category.KEYS, _INFO, _("Tags of a version changed")),
    ("key.drift_accepted", Category.KEYS, _WARNING, _("Difference accepted")),
    ("job.requested", Category.JOBS, _INFO, _("Job requested")),
    ("job.started", Category.JOBS, _INFO, _("Job started")),
    ("job.finished", Category.JOBS, _INFO, _("Job finished")),
    ("job.failed", Category.JOBS, _ERROR, _("Job failed")),
    ("job.refused", Category.JOBS, _WARNING, _("Job refused: right withdrawn")),
    ("job.not_genuine", Category.INTEGRITY, _ERROR, _("Job refused: not as it was requested")),
    ("job.cancel_requested", Category.JOBS, _INFO, _("Job cancellation requested")),
    ("job.cancelled", Category.JOBS, _WARNING, _("Job canceled")),
    ("job.retried", Category.JOBS, _INFO, _("Job retried")),
    ("approval.requested", Category.JOBS, _WARNING, _("Approval requested")),
    ("approval.approved", Category.JOBS, _INFO, _("Request approved")),
    ("approval.refused", Category.JOBS, _WARNING, _("Request refused")),
    ("approval.expired", Category.JOBS, _WARNING, _("Approval request expired")),
    ("approval.glass_broken", Category.JOBS, _ERROR, _("Break glass: done without approvals")),
    ("approval.glass_reviewed", Category.JOBS, _WARNING, _("Break glass reviewed")),
    ("approval.not_genuine", Category.INTEGRITY, _ERROR, _("Approval refused: not as it was recorded")),
    ("approval.policy_changed", Category.CONFIGURATION, _WARNING, _("Approval policy changed")),
    ("certification.requested", Category.JOBS, _INFO, _("Self-certification requested")),
    ("certification.finished", Category.JOBS, _INFO, _("Self-certification finished")),
    ("certification.not_genuine", Category.INTEGRITY, _ERROR, _("Self-certification refused: not as requested")),
    ("schedule.clock_jump", Category.JOBS, _ERROR, _("The clock jumped")),
    ("schedule.held", Category.JOBS, _WARNING, _("Scheduled rotations held")),
    ("schedule.released", Category.JOBS, _INFO, _("Scheduled rotations released")),
    ("schedule.vault_tried", Category.JOBS, _INFO, _("Paused vault tried at once")),
    ("schedule.rotation_stopped", Category.JOBS, _WARNING, _("Due rotation given up")),
    ("schedule.rotation_tried", Category.JOBS, _INFO, _("Due rotation tried at once")),
    ("attention.acknowledged", Category.CONFIGURATION, _INFO, _("Matter acknowledged")),
    ("attention.acknowledgement_withdrawn", Category.CONFIGURATION, _INFO, _("Acknowledgement withdrawn")),
    ("backup.made", Category.CONFIGURATION, _INFO, _("Backup made")),
    ("backup.restored", Category.CONFIGURATION, _WARNING, _("Backup restored")),
    ("log.exported", Category.EXPORT, _INFO, _("Log exported")),
    ("report.exported", Category.EXPORT, _INFO, _("Report exported")),
    ("notice.channel_added", Category.CONFIGURATION, _INFO, _("Notice channel added")),
    ("notice.channel_changed", Category.CONFIGURATION, _INFO, _("Notice channel changed")),
    ("notice.channel_deleted", Category.CONFIGURATION, _WARNING, _("Notice channel deleted")),
    ("notice.secret_changed", Category.CONFIGURATION, _INFO, _("Webhook secret changed")),
    ("notice.test_sent", Category.CONFIGURATION, _INFO, _("Test of a notice channel")),
    ("notice.delivery_failed", Category.CONFIGURATION, _WARNING, _("Notice not delivered")),
    ("log.export_requested", Category.EXPORT, _INFO, _("Export requested")),
    # The row's actor is who requested the export, so its notice goes to that user alone.
    ("log.export_ready", Category.EXPORT, _INFO, _("Export ready")),
    ("log.export_failed", Category.EXPORT, _ERROR, _("Export failed")),
    ("log.export_cancelled", Category.EXPORT, _INFO, _("Export canceled")),
    ("log.filter_saved", Category.CONFIGURATION, _INFO, _("Log filter saved")),
    ("log.filter_deleted", Category.CONFIGURATION, _INFO, _("Log filter deleted")),
    ("log.checkpoint_key", Category.INTEGRITY, _INFO, _("Checkpoint key in use")),
    ("log.key_handed_over", Category.INTEGRITY, _WARNING, _("Checkpoint key handed over")),
    ("log.time_stamps_missing", Category.INTEGRITY, _WARNING, _("Time stamps missing")),
    ("log.time_stamps_resumed", Category.INTEGRITY, _INFO, _("Time stamps resumed")),
    ("forwarding.destination_added", Category.CONFIGURATION, _WARNING, _("Log destination added")),
    ("forwarding.destination_changed", Category.CONFIGURATION, _WARNING, _("Log destination changed")),
    ("forwarding.destination_deleted", Category.CONFIGURATION, _WARNING, _("Log destination deleted")),
    ("forwarding.test_requested", Category.CONFIGURATION, _INFO, _("Test of a log destination")),
    ("forwarding.sent_again", Category.CONFIGURATION, _WARNING, _("Log rows sent again")),
    ("forwarding.behind", Category.INTEGRITY, _ERROR, _("Log forwarding behind")),
    ("forwarding.resumed", Category.INTEGRITY, _INFO, _("Log forwarding resumed")),
    ("log.chain_broken", Category.INTEGRITY, _ERROR, _("Log chain broken")),
    ("data.seeded", Category.CONFIGURATION, _WARNING, _("Trial data written")),
)

_register(
    Service.DEVICE,
    ("device.registered", Category.DEVICE, _INFO, _("Device registered")),
    ("device.designated", Category.DEVICE, _INFO, _("Device designated")),
    ("device.self_test", Category.DEVICE, _INFO, _("Device self-test")),
    ("device.unavailable", Category.DEVICE, _ERROR, _("Device unavailable")),
    ("device.returned", Category.DEVICE, _INFO, _("Device returned")),
    ("device.replaced", Category.DEVICE, _ERROR, _("Device replaced")),
    ("device.keys_pinned", Category.INTEGRITY, _WARNING, _("Keys of the device pinned")),
    ("device.mfk_changed", Category.INTEGRITY, _ERROR, _("MFK in the database exchanged")),
    ("device.mfk_returned", Category.INTEGRITY, _INFO, _("MFK in the database as pinned again")),
    ("device.mark_refused", Category.INTEGRITY, _ERROR, _("Row without the device's mark refused")),
    ("device.rows_marked", Category.INTEGRITY, _WARNING, _("Rows of an earlier release marked")),
    ("device.key_generated", Category.DEVICE, _INFO, _("Key generated in the device")),
    ("device.report_signed", Category.DEVICE, _INFO, _("Report signed in the device")),
    ("device.secret_opened", Category.DEVICE, _INFO, _("Sealed secret opened")),
)

# In the order of their first event above, which is the order of a push.
CATEGORIES: dict[Service, tuple[Category, ...]] = {
    service: tuple(dict.fromkeys(e.category for e in EVENTS.values() if e.service == service)) for service in Service
}

# The events that create a notice, with its topic. The notice is written in the transaction of the row.
NOTICE_TOPICS: dict[str, Topic] = {
    "job.failed": Topic.JOBS,
    "job.refused": Topic.JOBS,
    "job.not_genuine": Topic.JOBS,
    "approval.not_genuine": Topic.JOBS,
    "certification.not_genuine": Topic.JOBS,
    "approval.requested": Topic.APPROVAL,
    "approval.refused": Topic.APPROVAL,
    "approval.expired": Topic.APPROVAL,
    "approval.glass_broken": Topic.APPROVAL,
    "approval.glass_reviewed": Topic.APPROVAL,
    "approval.policy_changed": Topic.APPROVAL,
    "azure.rotation_failed": Topic.ROTATION,
    "azure.rotation_missed": Topic.ROTATION,
    "key.version_expiring": Topic.EXPIRY,
    "credential.secret_expiring": Topic.EXPIRY,
    "credential.certificate_expiring": Topic.EXPIRY,
    "azure.drift_found": Topic.DRIFT,
    "azure.rotate_action_found": Topic.DRIFT,
    "azure.unreachable": Topic.VAULT,
    "device.unavailable": Topic.DEVICE,
    "device.replaced": Topic.DEVICE,
    "device.returned": Topic.DEVICE,
    "device.mfk_changed": Topic.DEVICE,
    "device.mark_refused": Topic.DEVICE,
    "device.mfk_returned": Topic.DEVICE,
    "log.export_ready": Topic.EXPORT,
    "log.export_failed": Topic.EXPORT,
    "access.break_glass": Topic.ACCESS,
    "access.sign_on_changed": Topic.ACCESS,
    "access.sign_on_not_genuine": Topic.ACCESS,
    "access.dual_login_changed": Topic.ACCESS,
    "access.dual_login_not_genuine": Topic.ACCESS,
    "user.linked": Topic.ACCESS,
    "user.unlinked": Topic.ACCESS,
    "access.new_device": Topic.SIGN_IN,
    "access.factor_locked": Topic.SIGN_IN,
    "access.passkey_cloned": Topic.SIGN_IN,
    "access.recovery_code_used": Topic.SIGN_IN,
    "user.factor_added": Topic.SIGN_IN,
    "user.factor_removed": Topic.SIGN_IN,
    "log.chain_broken": Topic.LOG,
    "log.time_stamps_missing": Topic.LOG,
    "log.time_stamps_resumed": Topic.LOG,
    "forwarding.behind": Topic.LOG,
    "forwarding.resumed": Topic.LOG,
    "notice.delivery_failed": Topic.DELIVERY,
}

# Alarms that every channel sends, users' own mail included, whatever was chosen there.
TO_EVERY_CHANNEL = frozenset({"approval.glass_broken"})
