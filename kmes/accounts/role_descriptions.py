"""Descriptions of rights and roles, for the Roles page and the role field."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kmes.accounts.rights import ROLE_RIGHTS, Right, Role

ROLE_DESCRIPTIONS: dict[str, str | Promise] = {
    Role.ADMIN: _("Runs the console: users, devices, credentials, configuration. Has every right."),
    Role.CUSTODIAN: _("Keeps the keys: makes groups and keys, pushes, rotates, destroys; no credentials, no purge."),
    Role.OPERATOR: _("Does the daily work: pushes and rotates what custodians made."),
    Role.AUDITOR: _("Reads everything and exports the logs; changes nothing."),
}

AREAS: tuple[tuple[str | Promise, dict[Right, str | Promise]], ...] = (
    (
        _("Reading"),
        {
            Right.CONSOLE_READ: _("See all pages but the logs"),
            Right.LOG_READ: _("Read the System Logs"),
            Right.LOG_EXPORT: _("Export log rows as CSV"),
        },
    ),
    (
        _("Keys"),
        {
            Right.GROUP_MANAGE: _("Make, change and delete key groups and their rotation policy"),
            Right.KEY_CREATE: _("Make keys in the HSM"),
            Right.KEY_PUSH: _("Synchronize keys to the vault, and compare a group with its vault"),
            Right.KEY_ROTATE: _("Force a rotation, and let scheduled rotations go on after they were held"),
            Right.KEY_DISABLE: _("Enable and disable versions in the vault"),
            Right.KEY_DESTROY: _("Destroy key material here, for good"),
        },
    ),
    (
        _("Cloud"),
        {
            Right.CREDENTIAL_MANAGE: _("Add, change, test and delete cloud credentials"),
            Right.VAULT_LIST: _("Ask Azure which vaults a cloud credential can see"),
            Right.CLOUD_DELETE: _("Delete a key in the vault, and recover it"),
            Right.CLOUD_PURGE: _("Purge a deleted key from the vault, for good"),
            Right.JOB_CANCEL: _("Cancel jobs"),
        },
    ),
    (
        _("Administration"),
        {
            Right.DEVICE_MANAGE: _("Designate the device that pushes, and run its self-test"),
            Right.USER_MANAGE: _("Add users, change roles, reset passwords, unlock sign-ins"),
            Right.APPROVAL_MANAGE: _("Change which actions need the approval of others"),
            Right.NOTICE_MANAGE: _("Say which notices go where: mail, webhooks"),
            Right.LOG_FORWARD: _("Say where log rows are forwarded to: syslog servers, HTTP event collectors"),
            Right.CONFIGURATION_MANAGE: _("Change the options of the installation"),
        },
    ),
)


@dataclass(frozen=True)
class MatrixRow:
    """One right, and for each role whether it has it."""

    right: str
    text: str | Promise
    held: tuple[bool, ...]


def role_matrix() -> list[tuple[str | Promise, list[MatrixRow]]]:
    """Return the rights by area, each with a mark per role in the order of ``Role``."""
    return [
        (
            area,
            [
                MatrixRow(right, text, tuple(right in ROLE_RIGHTS[role] for role in Role))
                for right, text in rights.items()
            ],
        )
        for area, rights in AREAS
    ]
